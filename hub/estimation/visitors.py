r"""Visitors: persons from abroad by zone and country, from noisy counts of inbound roamers.

Roamers are a stratum of their own. Their counts say how a country's visitors are spread over zones; how many there
are is told by border or accommodation statistics, N_c of country c, where there are any:

    x_zc = N_c·û_zc/û_c                                 where N_c is known,
    x_zc = F·û_zc,     log(N_c/n_c) = log F + f_c,      f_c ~ N(0, φ²), elsewhere.

û are the counts, smoothed towards the spread over zones of all countries (`hub.estimation.od_smooth`), n_c their
noisy sum. The factor of a country has everything that is between roamers and visitors: which operators have
agreements with its networks and how its phones choose among them, phones counted by two operators in one night,
several phones, none, and phones that do not roam. So it differs between countries: φ is declared, with a weight,
and corrected by what the countries with a total show (`hub.estimation.drift`); a factor that was not measured has
the uncertainty of one drawn at random (random effects: DerSimonian and Laird 1986, Controlled Clinical Trials 7,
177-188; a prediction with its own spread: Higgins, Thompson and Spiegelhalter 2009, JRSS A 172, 137-159). Without
any total the counts are published as what they are: roamers counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hub.estimation.drift import Drift
from hub.estimation.od_smooth import Rows
from hub.estimation.od_spread import Spread
from hub.estimation.od_table import Counted
from hub.estimation.quantiles import quantile
from hub.estimation.roamers import Assumed, Factor, Totals, above, factor, smoothed

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
_STRATUM = (
    "Visitors are a stratum of their own: residents are not in the table, nor visitors among residents."
)
_FACTOR = (
    "One factor of a country stands for agreements between its networks and those here, for phones that two "
    "operators counted in one night, for persons with several phones or none, and for phones that do not roam. It is "
    "the same in all zones, though the networks of the operators that answered are not."
)
_POOLED = "Countries without a total have the middle factor of those with one; how factors differ is in their errors."
_ROAMERS = "No total is known: the numbers are roamers counted by the operators that answered, not persons."
_NIGHT = "Those who spent the night: roamers who were seen but not at night are left out."


@dataclass(frozen=True)
class Visitors:
    """Estimates by country and zone; not cut at zero.

    Attributes
    ----------
    estimate
        Persons (or roamers, see `scope`), float64 of shape (countries, zones), with a last column of those without a
        night zone if totals are of the border.
    spread
        Covariance of the cells of each country.
    common
        Part of each cell's variance that comes from a factor that was not measured.
    freedom
        Degrees of freedom with which that part is known.
    noise
        Part that is noise of differential privacy.
    gamma
        Weight of the cell's own count.
    factor
        Persons for each roamer, shape (countries,); 1 where roamers are published.
    calibrated, imputed
        Countries with a total, and those of them that have no signal: their zones are those of all countries
        (status I).
    factor_sd
        φ, and how well it is known.
    scope
        What the numbers are.
    """

    estimate: Values
    spread: Spread
    common: Values
    freedom: float
    noise: Values
    gamma: Values
    factor: Values
    calibrated: Mask
    imputed: Mask
    factor_sd: Drift
    scope: tuple[str, ...] = field(default_factory=tuple)

    @property
    def sd(self) -> Values:
        """Return the standard deviation of each cell."""
        return np.sqrt(self.spread.variance())

    def interval(self, level: float) -> tuple[Values, Values]:
        """Return the lower and upper ends of intervals of a confidence level, not cut at zero."""
        variance = self.spread.variance()
        # Welch 1947, Biometrika 34, 28-35: one part of the variance is known with few degrees of freedom.
        part = np.where(self.common > 0, variance / np.where(self.common > 0, self.common, 1.0), np.inf)
        reach = quantile(level, self.freedom * np.maximum(part, 1.0) ** 2) * np.sqrt(variance)
        return self.estimate - reach, self.estimate + reach


def visitors(
    cells: Values,
    noise: float,
    totals: Totals,
    assumed: Assumed,
    *,
    size: Values | None = None,
    smooth: bool = True,
) -> Visitors:
    """Estimate visitors.

    Parameters
    ----------
    cells
        Noisy counts of roamers, summed over operators, float64 of shape (zones + 1, countries) as a release has
        them: the last row has those without a night zone.
    noise
        Variance of the noise of each.
    totals
        By country.
    assumed
        What is declared.
    size
        To which visitors are about proportional (beds, residents), for zones that are within their noise; shape
        (zones,).
    smooth
        Whether small cells lean on the spread over zones of all countries.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    zones, countries = cells.shape[0] - 1, cells.shape[1]
    if totals.persons.shape != (countries,) or (size is not None and size.shape != (zones,)):
        raise ValueError("there is one total for each country and one size for each zone")
    counted = Counted(cells.T, noise, stays=False)
    columns = zones if totals.night else zones + 1
    sums, variance = counted.cells[:, :columns].sum(axis=1), columns * noise
    told = above(sums, variance)
    middle = factor(sums, variance, totals, assumed, told & np.isfinite(totals.persons))
    rows, seen = smoothed(counted, totals, middle, told, size, smooth=smooth)
    return _scaled(rows, columns, totals, assumed, found=middle, signal=seen)


def _scaled(
    rows: Rows, columns: int, totals: Totals, assumed: Assumed, *, found: Factor, signal: Mask
) -> Visitors:
    """Return persons: shares of the totals that are known, and counts times the middle factor elsewhere."""
    value, own = rows.value[:, :columns], rows.own[:, :columns]
    known = np.isfinite(totals.persons)
    none = known & (totals.persons == 0)
    counts = Spread.of(
        own, rows.factors[:, :columns], rows.core, rows.drawn[:, :columns], rows.destinations[:columns]
    )
    seen = signal[:, None]
    sampled = replace(counts, own=own + assumed.dispersion * np.where(seen, np.maximum(value, 0.0), 0.0))
    whole = value.sum(axis=1)
    told = known & (whole > 0) & np.isfinite(own).all(axis=1)
    share = np.where(told[:, None], value, np.nan) / np.where(told, whole, np.nan)[:, None]
    weight = np.where(told, totals.persons, np.nan) / np.where(told, whole, 1.0)
    estimate = np.where(known[:, None], totals.persons[:, None] * share, found.middle * value)
    doubt = np.where(known, 0.0, found.doubt)
    middle = np.full(whole.size, found.middle)

    def both(spread: Spread) -> Spread:
        return spread.shared(share).times(weight).either(known, spread.times(middle))

    calibrated = both(sampled).along(share, np.where(known, totals.variance, 0.0)).along(estimate, doubt)
    return Visitors(
        estimate=np.where(none[:, None], 0.0, estimate),
        spread=calibrated.instead(none, np.where(none, totals.variance, 0.0)),
        common=doubt[:, None] * np.nan_to_num(estimate) ** 2,
        freedom=found.spread.freedom,
        noise=np.where(none[:, None], 0.0, both(counts).variance()),
        gamma=rows.gamma[:, :columns],
        factor=np.where(known, weight, found.middle),
        calibrated=known,
        imputed=known & ~signal & ~none,
        factor_sd=found.spread,
        scope=_scope(known, totals.night),
    )


def _scope(known: Mask, night: bool) -> tuple[str, ...]:
    if not known.any():
        parts: tuple[str, ...] = (_ROAMERS,)
    else:
        parts = (_FACTOR,) if known.all() else (_FACTOR, _POOLED)
    return (_STRATUM, *parts, *((_NIGHT,) if night else ()))
