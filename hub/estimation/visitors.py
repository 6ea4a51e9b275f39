r"""Visitors: persons from abroad by zone and country, from noisy counts of inbound roamers.

Roamers are a stratum of their own. Their counts say how a country's visitors are spread over zones; how many there are is
told by border or accommodation statistics, N_c of country c, where there are any:

    x_zc = N_c·û_zc/û_c                                 where N_c is known,
    x_zc = F·û_zc,     log(N_c/n_c) = log F + f_c,      f_c ~ N(0, φ²), elsewhere.

û are the counts, smoothed towards the spread over zones of all countries (`hub.estimation.od_smooth`), n_c their noisy sum.
The factor of a country has everything that is between roamers and visitors: which operators have agreements with its
networks and how its phones choose among them, phones counted by two operators in one night, several phones, none, and
phones that do not roam. So it differs between countries: φ is declared, with a weight, and corrected by what the countries
with a total show (`hub.estimation.drift`); a factor that was not measured has the uncertainty of one drawn at random
(random effects: DerSimonian and Laird 1986, Controlled Clinical Trials 7, 177-188; a prediction with its own spread:
Higgins, Thompson and Spiegelhalter 2009, JRSS A 172, 137-159). Without any total the counts are published as what they are:
roamers counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hub.estimation.drift import Drift, national_drift
from hub.estimation.od_model import GATE, at_least, rated
from hub.estimation.od_smooth import Rows, flat, learnt, predicted
from hub.estimation.od_spread import Spread
from hub.estimation.od_table import APART, Counted, Model
from hub.estimation.quantiles import quantile

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Relative variance of the number of a country's roamers of which nothing is known.
_UNKNOWN = 1e4
#: As many countries of the same size, at least, tell where visitors are.
_SEVERAL = 1.5
_STRATUM = "Visitors are a stratum of their own: residents are not in the table, nor visitors among residents."
_FACTOR = (
    "One factor of a country stands for agreements between its networks and those here, for phones that two operators "
    "counted in one night, for persons with several phones or none, and for phones that do not roam. It is the same in all "
    "zones, though the networks of the operators that answered are not."
)
_POOLED = "Countries without a total have the middle factor of those with one; how much factors differ is in their errors."
_ROAMERS = "No total is known: the numbers are roamers counted by the operators that answered, not persons."
_NIGHT = "Those who spent the night: roamers who were seen but not at night are left out."


@dataclass(frozen=True)
class Totals:
    """Visitors of a date by country, as border or accommodation statistics know them.

    Attributes
    ----------
    persons
        Not negative, or not a number where it is not known; float64 of shape (countries,).
    variance
        Of each; zero where it is known exactly.
    night
        Whether they are persons who spend the night (accommodation); otherwise all who are in the country (border).
    """

    persons: Values
    variance: Values
    night: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be totals.

        Raises
        ------
        ValueError
            If a total is negative, or the variance of a known one is not a number that is not negative.
        """
        known = np.isfinite(self.persons)
        if self.persons.shape != self.variance.shape or np.any(self.persons[known] < 0):
            raise ValueError("totals are not negative, and there is one variance for each")
        if not np.all(np.isfinite(self.variance[known]) & (self.variance[known] >= 0)):
            raise ValueError("a total that is known has a variance")


@dataclass(frozen=True)
class Assumed:
    """What is declared.

    Attributes
    ----------
    factor
        φ: standard deviation of the logarithm of countries' factors, and how many countries it is worth.
    dispersion
        Variance of roamers around what the factor leads to expect, as a part of their number.
    """

    factor: Drift
    dispersion: float = 1.0


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
        Countries with a total, and those of them that have no signal: their zones are those of all countries (status I).
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
        Noisy counts of roamers, summed over operators, float64 of shape (zones + 1, countries) as a release has them: the
        last row has those without a night zone.
    noise
        Variance of the noise of each.
    totals
        By country.
    assumed
        What is declared.
    size
        To which visitors are about proportional (beds, residents), for zones that are within their noise; shape (zones,).
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
    told = _above(sums, variance)
    factor = _factor(sums, variance, totals, assumed, told & np.isfinite(totals.persons))
    rows, seen = _smoothed(counted, totals, factor, told, size, smooth=smooth)
    return _scaled(rows, columns, totals, assumed, factor, seen)


def _above(values: Values, variance: float | Values) -> Mask:
    return np.asarray((values > GATE * np.sqrt(variance)) & (values > 0))


@dataclass(frozen=True)
class _Factor:
    """The middle factor, the variance of the logarithm of another country's around it, and φ."""

    middle: float
    doubt: float
    spread: Drift


def _factor(
    sums: Values, variance: float, totals: Totals, assumed: Assumed, told: Mask
) -> _Factor:
    """Return the factor of countries without a total; 1, and certain, if no country has one."""
    told = told & (np.where(told, totals.persons, 0.0) > 0)
    if not told.any():
        return _Factor(1.0, 0.0, assumed.factor)
    persons, counts = totals.persons[told], sums[told]
    logarithm = np.log(persons / counts)
    error = totals.variance[told] / persons**2 + (variance + assumed.dispersion * counts) / counts**2
    spread = national_drift(logarithm, error, assumed.factor)
    weight = 1.0 / (spread.sd**2 + error)
    middle = float(weight @ logarithm / weight.sum())
    return _Factor(float(np.exp(middle)), spread.sd**2 + 1.0 / float(weight.sum()), spread)


def _smoothed(
    counted: Counted, totals: Totals, factor: _Factor, told: Mask, size: Values | None, *, smooth: bool
) -> tuple[Rows, Mask]:
    """Return the counts of each country as they are best known, and which countries have a signal."""
    known = np.isfinite(totals.persons)
    counts = counted.sums(APART)[told]
    several = float(counts.sum()) ** 2 / float((counts**2).sum()) if told.any() else 0.0
    if several < _SEVERAL:
        # No countries say together where visitors are: counts stand alone, and totals without counts for nothing.
        return predicted(counted, flat(counted.cells.shape), told | ~known), told | ~known
    model = _everybody(counted, told, size)
    level, error, seen = _levels(counted, model.mean, totals, factor, told)
    model = replace(model, mean=model.mean * level[:, None])
    prior = replace(learnt(counted, model, told), common=error)
    alone = (seen if not smooth else np.zeros_like(seen))[:, None]
    # K countries, and one that is not among them: it differs from their mean by (K + 1)/(K - 1) times as much as they do.
    further = np.where(told, 1.0, (several + 1.0) / (several - 1.0))[:, None]
    spread, doubt = np.where(alone, np.inf, prior.spread * further), np.where(alone, 0.0, prior.doubt)
    return predicted(counted, replace(prior, spread=spread, doubt=doubt), seen), seen


def _everybody(counted: Counted, told: Mask, size: Values | None) -> Model:
    """Return where visitors of all countries are, as parts of those in zones, of the shape of the counts."""
    together = counted.cells[told].sum(axis=0)
    whole = np.ones(together.size - 1) if size is None else size
    zones, error = rated(together[:-1], int(told.sum()) * counted.noise, whole)
    none, of_none = at_least(float(together[-1]), int(told.sum()) * counted.noise)
    row = np.append(zones, none)
    whole = np.tile(row / max(float(zones.sum()), 1.0), (counted.cells.shape[0], 1))
    return Model(whole, np.append(error, of_none))


def _levels(
    counted: Counted, model: Values, totals: Totals, factor: _Factor, told: Mask
) -> tuple[Values, Values, Mask]:
    """Return how many roamers of each country are expected in zones, the relative variance of that, and who has a signal.

    That is their sum; where it is within its noise, what the total says by the middle factor; or what the zones say that most
    visitors go to, with all that is not known about it.
    """
    known, noise = np.isfinite(totals.persons), counted.noise
    pattern = np.where(counted.kinds() == APART, model, 0.0)
    inverse = 1.0 / (pattern**2).sum(axis=1)
    sums, by_pattern = counted.sums(APART), (pattern * counted.cells).sum(axis=1) * inverse
    sd = np.sqrt(noise * inverse)
    signal = told | (by_pattern > GATE * sd) | _above(counted.cells.max(axis=1), noise)
    level = np.where(known, np.nan_to_num(totals.persons) / factor.middle, np.maximum(by_pattern, 0.0) + sd)
    error = np.where(known, factor.doubt, _UNKNOWN)
    by_sum = told & (sums > 0)
    square = np.where(by_sum, sums, 1.0) ** 2
    error = np.where(by_sum, (pattern.shape[1] - 1) * noise / square, error)
    return np.where(by_sum, sums, level), error, signal | ~known


def _scaled(
    rows: Rows, columns: int, totals: Totals, assumed: Assumed, found: _Factor, signal: Mask
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
