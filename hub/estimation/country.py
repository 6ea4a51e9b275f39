r"""What all zones share: the growth of the country, and the drift of shares and of coverage.

Where too few zones stand out from their noise to fit a model of growth, every zone has the growth of the country,
with the variance of that and τ² + ω_z:

- from a national total that is known, log(T/ΣN₀), with the variance of the total;
- otherwise from the national sums of the counts, if these stand out: log(ΣY₁/ΣY₀), with the variance of its noise
and
  chance, and Σ w²(τ² + ω), because the zones' own growth is in it.

If neither is there, nothing can be said, and that is an error. Variances of logarithms are by the delta method
(Oehlert 1992, "A note on the delta method", The American Statistician 46(1)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation.blup import Areas, Fit, fit
from hub.estimation.drift import Drift, drift_factor, national_drift
from hub.estimation.figures import Total
from hub.estimation.period import Period, by_operator, growth
from privacy.errors import UsageProblem

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Common:
    """The error that all zones share.

    Attributes
    ----------
    share
        δ of the country.
    variance, freedom
        Of the logarithm, with the drift of coverage; and the degrees of freedom with which it is known.
    """

    share: Drift
    variance: float
    freedom: float


def common(
    periods: tuple[Period, Period], market: Values, share_sd: float, declared: Drift, kappa_nation: float
) -> Common:
    """Return what moves all zones together.

    Parameters
    ----------
    periods
        Of the register's date, and of now.
    market
        National shares, float64 of shape (operators,).
    share_sd
        δ of zones, of which a part remains in the national sums.
    declared
        δ of the country.
    kappa_nation
        Standard deviation of the national drift of coverage.
    """
    before, now = periods
    both = before.present & now.present
    grown, noise = by_operator(before.nation(), now.nation(), both)
    told = np.isfinite(grown[:, 0])
    sizes = np.maximum(before.of(both)[0], 0.0)
    zones = share_sd**2 * float((sizes**2).sum() / max(float(sizes.sum()), 1.0) ** 2)
    nation = national_drift(grown[told, 0], noise[told, 0] + zones, declared)
    drift = nation.sd**2 * float(drift_factor(market[:, None], both)[0])
    return Common(nation, drift + kappa_nation**2, nation.freedom if drift > 0 else np.inf)


@dataclass(frozen=True)
class Model:
    """The growth that covariates explain, and where it comes from.

    Attributes
    ----------
    fitted, areas
        The model, and what it is told of every zone.
    counted
        Whether counts have a part in it.
    total
        A known total that is still to be met; None if there is none, or if it is in the model already.
    note
        Where growth comes from, if not from zones.
    """

    fitted: Fit
    areas: Areas
    counted: bool
    total: Total | None
    note: str | None = None


def model(
    areas: Areas, register: Values, periods: tuple[Period, Period], tau: float | None, total: Total | None
) -> Model:
    """Fit the growth of zones, or take that of the country if too few of them were measured.

    Parameters
    ----------
    areas
        Growth of every zone; an infinite variance where it was not measured.
    register
        Persons, float64 of shape (zones,).
    periods
        Of the register's date, and of now; only their national sums are looked at.
    tau
        Declared spread of growth, if any.
    total
        National total, if one is known.

    Raises
    ------
    UsageProblem
        If too few zones were measured, and τ is not declared or the growth of the country is not known.
    """
    seen = np.isfinite(areas.variance)
    if seen.sum() > areas.covariates.shape[1]:
        return Model(fit(areas.of(seen), tau), areas, True, total)
    told = f"only {int(seen.sum())} of {seen.size} zones stand out from their noise at both dates"
    if tau is None:
        raise UsageProblem(
            told,
            means="how much zones differ in growth cannot be estimated",
            todo="declare tau from the history of a register, or measure larger zones",
        )
    alike = Areas(areas.measured, areas.variance, np.ones((seen.size, 1)), areas.scatter)
    if total is not None:
        rate = float(np.log(total.value / register.sum()))
        note = f"{told}: zones grow as the known national total does"
        left = total if total.sd <= 0 else None
        return Model(_given(tau, rate, total.sd**2), alike, bool(seen.any()), left, note)
    rate, variance = _national_growth(register, periods, tau**2 + areas.scatter, told)
    return Model(
        _given(tau, rate, variance),
        alike,
        True,
        None,
        f"{told}: zones grow as the national sum of the counts does",
    )


def _given(tau: float, rate: float, variance: float) -> Fit:
    return Fit(tau, np.array([rate]), np.array([[variance]]), 0.0)


def _national_growth(
    register: Values, periods: tuple[Period, Period], between: Values, told: str
) -> tuple[float, float]:
    """Return the growth of the national sums and its variance as that of any zone's expectation."""
    before, now = periods
    both = before.present & now.present
    found = growth(before.nation().of(both), now.nation().of(both))
    if not np.isfinite(found.value[0]):
        raise UsageProblem(
            f"{told}, and neither does the sum over the country",
            means="there is noise and no signal: nothing can be said of growth",
            todo="give the national population of now, a projection with its uncertainty will do; or let the "
            "charter spend more on this product",
        )
    weights = register / register.sum()
    return float(found.value[0]), float(found.chance[0] + found.noise[0] + weights**2 @ between)
