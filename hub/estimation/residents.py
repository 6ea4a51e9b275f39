r"""Residents of today, from a register of the past and the growth of noisy counts between the two dates.

1. Y_t = Σ of the operators that are there in *both* periods; their noise variances add.
2. Growth G = log(Y₁/Y₀) of each zone, with variance D = (V₀ + Y₀)/Y₀² + (V₁ + Y₁)/Y₁² + δ²·f + κ²: noise and chance
   of both periods, drift of market shares (`hub.estimation.drift`), and a declared drift of coverage by zone.
3. Empirical Bayes towards the growth that covariates explain (`hub.estimation.blup`): N̂ = N₀·exp(ĝ), scaled to the
   national total if that is known.

Nothing is clipped before a logarithm is taken: a zone whose sum is within five standard deviations of its noise is
not measured at all, gets the growth of the model alone and is flagged as imputed. What moves all zones together
(national drift of shares and of coverage) does not enter step 3: it is one more error, correlated fully over zones,
which a known national total removes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm
from scipy.stats import t as student

from hub.estimation.blup import Areas, Fit, Predicted, excess, fit, predict
from hub.estimation.drift import Drift, drift_factor, national_drift, zone_drift

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: A sum counts as measured above so many standard deviations of its noise.
GATE = 5.0
#: Chance of a warning although everything was declared right.
_FALSE_ALARM = 0.001
#: Fewest zones that say something of the drift of shares.
_FEWEST = 10


@dataclass(frozen=True)
class Period:
    """What the operators' vectors of one date say.

    Attributes
    ----------
    counts
        Noisy counts, float64 of shape (operators, zones); those of a missing operator are not looked at.
    variance
        Of the noise in a cell of each operator, float64 of shape (operators,).
    present
        Which operators answered, bool of shape (operators,).
    """

    counts: Values
    variance: Values
    present: Mask

    def of(self, operators: Mask) -> tuple[Values, float]:
        """Return the sum over some operators, shape (zones,), and the variance of its noise."""
        return self.counts[operators].sum(axis=0), float(self.variance[operators].sum())


@dataclass(frozen=True)
class Assumed:
    """What mobile data cannot tell and is declared; every value is printed with the estimates.

    Attributes
    ----------
    kappa_zone, kappa_nation
        Standard deviation of the drift of coverage (logarithm) of a zone, and of the country.
    share_zone
        δ of zones, where it cannot be estimated because fewer than two operators take part.
    share_nation
        δ of the country, and how many operators' disagreement it is worth.
    tau
        Standard deviation of zones' growth beside the covariates, from the register's history; None if it is to be
        estimated from the counts, which cannot be told from a drift of coverage then.
    scatter
        What is added to τ² in a zone, times its registered persons: births, deaths and moves are counts, so that the
        growth of a small zone varies more. From the register's history too; zero if all zones vary alike.
    """

    kappa_zone: float
    kappa_nation: float
    share_zone: float
    share_nation: Drift
    tau: float | None = None
    scatter: float = 0.0


@dataclass(frozen=True)
class Residents:
    """Estimates of every zone, arrays of shape (zones,).

    Attributes
    ----------
    estimate
        Persons.
    sd, freedom
        Standard deviation of the logarithm, and the degrees of freedom with which it is known.
    gamma
        Weight of the counts against the model.
    noise_share
        Part of the variance that is noise of differential privacy.
    imputed
        Where nothing was measured.
    adjustment
        Factor by which all estimates were scaled to the national total; 1 if none is known.
    total_sd, total_freedom
        As `sd` and `freedom`, of the sum over zones.
    warnings
        What contradicts the assumptions.
    """

    estimate: Values
    sd: Values
    freedom: Values
    gamma: Values
    noise_share: Values
    imputed: Mask
    adjustment: float
    total_sd: float
    total_freedom: float
    tau: float
    share_sd: Drift
    share_sd_nation: Drift
    warnings: list[str] = field(default_factory=list)

    def interval(self, level: float) -> tuple[Values, Values]:
        """Return the lower and upper ends of intervals of a confidence level."""
        reach = np.exp(_quantile(level, self.freedom) * self.sd)
        return self.estimate / reach, self.estimate * reach

    def total_interval(self, level: float) -> tuple[float, float]:
        """Return the interval of the sum over zones."""
        total = float(self.estimate.sum())
        reach = float(np.exp(_quantile(level, np.array(self.total_freedom)) * self.total_sd))
        return total / reach, total * reach


def _quantile(level: float, freedom: Values) -> Values:
    tail = 0.5 + level / 2
    finite = np.isfinite(freedom)
    return np.asarray(np.where(finite, student.ppf(tail, np.where(finite, freedom, 1.0)), norm.ppf(tail)))


def residents(
    register: Values,
    before: Period,
    now: Period,
    covariates: Values,
    assumed: Assumed,
    *,
    market: Values,
    total: float | None = None,
) -> Residents:
    """Estimate residents.

    Parameters
    ----------
    register
        Registered persons N₀ at the date of `before`, float64 of shape (zones,); zero where nobody was.
    before, now
        Of the date of the register, and of now.
    covariates
        What growth is explained with, float64 of shape (zones, p); a column of ones among them.
    assumed
        What is declared.
    market
        National market share of every operator, also of those that are missing, float64 of shape (operators,).
    total
        National population now, if it is known.

    Raises
    ------
    ValueError
        If no operator is there in both periods, or too few zones were measured to fit the model.
    """
    both = before.present & now.present
    if not both.any():
        raise ValueError("no operator is there in both periods")
    growth, chance, noise = _growth(before.of(both), now.of(both))
    measured = np.isfinite(growth)
    shares = zone_shares(before, market)
    share = _zone_drift(before, now, both, assumed)
    moved = share.sd**2 * drift_factor(shares, both)
    variance = np.where(measured, chance + noise + moved + assumed.kappa_zone**2, np.inf)
    # In a zone without registered persons the growth does not matter.
    areas = Areas(growth, variance, covariates, assumed.scatter / np.maximum(register, 1.0))
    fitted = fit(areas.of(measured), assumed.tau)
    found = predict(fitted, areas)
    nation, common, freedom = _common(before, now, market, share.sd, assumed)
    estimate = register * np.exp(found.value)
    weights = estimate / estimate.sum()
    mse, adjustment = found.mse, 1.0
    whole = float(weights**2 @ mse) + _of_beta(found, fitted, covariates, weights)
    if total is not None:
        adjustment = total / float(estimate.sum())
        mse, common, whole = _within_total(mse, weights), 0.0, 0.0
    variance_now = mse + common
    return Residents(
        estimate=estimate * adjustment,
        sd=np.sqrt(variance_now),
        freedom=_freedom(variance_now, common, freedom),
        gamma=found.gamma,
        noise_share=np.where(measured, found.gamma**2 * np.where(measured, noise, 0.0) / variance_now, 0.0),
        imputed=~measured,
        adjustment=adjustment,
        total_sd=float(np.sqrt(whole + common)),
        total_freedom=float(_freedom(np.array(whole + common), common, freedom)),
        tau=fitted.tau,
        share_sd=share,
        share_sd_nation=nation,
        warnings=_warnings(fitted, areas.of(measured), assumed),
    )


def _growth(before: tuple[Values, float], now: tuple[Values, float]) -> tuple[Values, Values, Values]:
    """Return log growth, its variance by chance, and that by noise; not a number where it was not measured."""
    (first, noise_first), (second, noise_second) = before, now
    measured = (first > GATE * np.sqrt(noise_first)) & (second > GATE * np.sqrt(noise_second))
    # A zone in which nothing is added is measured only if somebody was counted.
    measured &= (first > 0) & (second > 0)
    first, second = np.where(measured, first, np.nan), np.where(measured, second, np.nan)
    noise = noise_first / first**2 + noise_second / second**2
    return np.log(second / first), 1 / first + 1 / second, noise


def zone_shares(before: Period, market: Values) -> Values:
    """Return the share of every operator in each zone, as it was counted before.

    A zone in which the noise is not small, and an operator that was not there, has the national share.

    Parameters
    ----------
    before
        A date.
    market
        National shares, float64 of shape (operators,).
    """
    counted, noise = before.of(before.present)
    seen = np.where(before.present[:, None], before.counts, 0.0) / np.where(counted > 0, counted, 1.0)
    rest = market[~before.present].sum()
    told = np.where(before.present[:, None], np.clip(seen, 0.0, 1.0) * (1.0 - rest), market[:, None])
    shares = np.where(counted > GATE * np.sqrt(noise), told, market[:, None])
    return np.asarray(shares / shares.sum(axis=0))


def _zone_drift(before: Period, now: Period, both: Mask, assumed: Assumed) -> Drift:
    """Return δ of zones: from the operators' disagreement, or as declared if there is none to be seen."""
    growth, noise = _by_operator(before, now, both)
    seen = np.isfinite(growth).all(axis=0)
    if growth.shape[0] < 2 or seen.sum() < max(_FEWEST, 2 * growth.shape[0]):
        return Drift(assumed.share_zone, np.inf)
    return Drift(zone_drift(growth[:, seen], noise[:, seen]), float((growth.shape[0] - 1) * (seen.sum() - 1)))


def _by_operator(before: Period, now: Period, both: Mask) -> tuple[Values, Values]:
    """Return the growth of each operator in each zone and its variance, shape (operators in both, zones)."""
    found = [
        _growth(
            (before.counts[operator], float(before.variance[operator])),
            (now.counts[operator], float(now.variance[operator])),
        )
        for operator in np.flatnonzero(both)
    ]
    return np.stack([growth for growth, _c, _n in found]), np.stack(
        [chance + noise for _g, chance, noise in found]
    )


def _common(
    before: Period, now: Period, market: Values, share_sd: float, assumed: Assumed
) -> tuple[Drift, float, float]:
    """Return δ of the country, the variance that all zones share, and its degrees of freedom."""
    both = before.present & now.present
    growth, noise = _by_operator(
        Period(
            before.counts.sum(axis=1, keepdims=True), before.variance * before.counts.shape[1], before.present
        ),
        Period(now.counts.sum(axis=1, keepdims=True), now.variance * now.counts.shape[1], now.present),
        both,
    )
    told = np.isfinite(growth[:, 0])
    sizes = np.maximum(before.of(both)[0], 0.0)
    zones = share_sd**2 * float((sizes**2).sum() / max(float(sizes.sum()), 1.0) ** 2)
    nation = national_drift(growth[told, 0], noise[told, 0] + zones, assumed.share_nation)
    drift = nation.sd**2 * float(drift_factor(market[:, None], both)[0])
    return nation, drift + assumed.kappa_nation**2, nation.freedom if drift > 0 else np.inf


def _of_beta(found: Predicted, fitted: Fit, covariates: Values, weights: Values) -> float:
    """Return what zones' predictions have in common through the coefficients, beyond each one's own part."""
    of_zones = (weights * (1 - found.gamma))[:, None] * covariates
    together = of_zones.sum(axis=0)
    own = ((of_zones @ fitted.covariance) * of_zones).sum()
    return float(together @ fitted.covariance @ together - own)


def _within_total(mse: Values, weights: Values) -> Values:
    """Return mean squared errors of estimates that are scaled to a known total: e_z − Σ w·e."""
    return np.asarray(np.maximum(mse * (1 - 2 * weights) + float(weights**2 @ mse), 0.0))


def _freedom(variance: Values, common: float, freedom: float) -> Values:
    """Return degrees of freedom of a sum of which one part is known with few (Welch 1947, Biometrika 34, 28-35)."""
    if common <= 0 or not np.isfinite(freedom):
        return np.full(variance.shape, np.inf)
    return np.asarray(freedom * (variance / common) ** 2)


def _warnings(fitted: Fit, areas: Areas, assumed: Assumed) -> list[str]:
    if assumed.tau is None:
        return []
    squares, free = excess(fitted, areas)
    if chi2.sf(squares, free) >= _FALSE_ALARM:
        return []
    return [
        f"zones grow apart {np.sqrt(squares / free):.2f} times as much as declared: the drift of coverage "
        f"(kappa_zone = {assumed.kappa_zone:g}) or the spread of growth (tau = {assumed.tau:g}) is too small, "
        "and so are the intervals"
    ]
