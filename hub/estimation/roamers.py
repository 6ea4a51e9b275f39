"""Counts of roamers by country and zone as they are best known, and how many visitors a roamer stands for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hub.estimation.drift import Drift, national_drift
from hub.estimation.od_model import GATE, at_least, rated
from hub.estimation.od_prior import flat, learnt
from hub.estimation.od_smooth import Rows, predicted
from hub.estimation.od_table import APART, Counted, Model

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Relative variance of the number of a country's roamers of which nothing is known.
_UNKNOWN = 1e4
#: As many countries of the same size, at least, tell where visitors are.
_SEVERAL = 1.5


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


def above(values: Values, variance: float | Values) -> Mask:
    """Return which counts are told from noise of a variance."""
    return np.asarray((values > GATE * np.sqrt(variance)) & (values > 0))


@dataclass(frozen=True)
class Factor:
    """The middle factor, the variance of the logarithm of another country's around it, and φ."""

    middle: float
    doubt: float
    spread: Drift


def factor(sums: Values, variance: float, totals: Totals, assumed: Assumed, told: Mask) -> Factor:
    """Return the factor of countries without a total; 1, and certain, if no country has one."""
    told = told & (np.where(told, totals.persons, 0.0) > 0)
    if not told.any():
        return Factor(1.0, 0.0, assumed.factor)
    persons, counts = totals.persons[told], sums[told]
    logarithm = np.log(persons / counts)
    error = totals.variance[told] / persons**2 + (variance + assumed.dispersion * counts) / counts**2
    spread = national_drift(logarithm, error, assumed.factor)
    weight = 1.0 / (spread.sd**2 + error)
    middle = float(weight @ logarithm / weight.sum())
    return Factor(float(np.exp(middle)), spread.sd**2 + 1.0 / float(weight.sum()), spread)


def smoothed(
    counted: Counted, totals: Totals, factor: Factor, told: Mask, size: Values | None, *, smooth: bool
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
    # K countries, and one that is not among them: it differs from their mean by (K + 1)/(K - 1) times as much as
    # they do.
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
    counted: Counted, model: Values, totals: Totals, factor: Factor, told: Mask
) -> tuple[Values, Values, Mask]:
    """Return how many roamers of each country are expected in zones, its relative variance, and who has a signal.

    That is their sum; where it is within its noise, what the total says by the middle factor; or what the zones
    say that most visitors go to, with all that is not known about it.
    """
    known, noise = np.isfinite(totals.persons), counted.noise
    pattern = np.where(counted.kinds() == APART, model, 0.0)
    inverse = 1.0 / (pattern**2).sum(axis=1)
    sums, by_pattern = counted.sums(APART), (pattern * counted.cells).sum(axis=1) * inverse
    sd = np.sqrt(noise * inverse)
    signal = told | (by_pattern > GATE * sd) | above(counted.cells.max(axis=1), noise)
    level = np.where(known, np.nan_to_num(totals.persons) / factor.middle, np.maximum(by_pattern, 0.0) + sd)
    error = np.where(known & (factor.doubt > 0), factor.doubt, _UNKNOWN)
    by_sum = told & (sums > 0)
    square = np.where(by_sum, sums, 1.0) ** 2
    error = np.where(by_sum, (pattern.shape[1] - 1) * noise / square, error)
    return np.where(by_sum, sums, level), error, signal | ~known
