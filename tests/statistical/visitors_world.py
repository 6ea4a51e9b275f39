"""Made-up visitors of Belgium, and the roamers that operators count of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hub.estimation.roamers import Totals
from tests.statistical.commuting_world import municipalities

Values = NDArray[np.float64]
#: Persons of a night from each country that has a column, and from all others together.
COUNTRIES = (46000, 31000, 18000, 15000, 9000, 7000, 5000, 4000, 3000, 2000, 1200, 25000)
#: Spread of where countries' visitors go, around where all go, and of how attractive zones are for their size.
_TASTE, _ATTRACTION = 0.7, 1.0
_NOT_AT_NIGHT = 0.08


@dataclass(frozen=True)
class Abroad:
    """Whole visitors who spend the night, float64 of shape (countries, zones), and residents by zone."""

    persons: Values
    residents: Values


@cache
def abroad(*, by_municipality: bool = False) -> Abroad:
    """Return visitors of one night, by 43 districts or 589 municipalities."""
    residents, _places, district = municipalities()
    if not by_municipality:
        residents = np.bincount(district, residents).astype(np.float64)
    chance = np.random.default_rng(12)
    attraction = residents * np.exp(chance.normal(0, _ATTRACTION, residents.size))
    share = attraction * np.exp(chance.normal(0, _TASTE, (len(COUNTRIES), residents.size)))
    expected = np.array(COUNTRIES)[:, None] * share / share.sum(axis=1, keepdims=True)
    return Abroad(chance.poisson(expected).astype(np.float64), residents)


@dataclass(frozen=True)
class World:
    """How roamers are counted.

    Attributes
    ----------
    sigma
        Of the noise of each cell of each operator.
    present
        Which operators answer.
    factor_sd
        Of the logarithm of roamers for each person, between countries, beside a common factor; `declared` is what the
        estimator is told, as worth four countries.
    network_sd
        Of the logarithm of an operator's part of a country's roamers: agreements differ.
    known
        How many countries have a total, beginning with the largest; its error, as a part.
    smooth, by_municipality
        Whether small cells lean on the spread of all; 589 zones instead of 43.
    """

    name: str
    sigma: float = 100.0
    present: tuple[bool, bool, bool] = (True, True, True)
    market: tuple[float, float, float] = (0.40, 0.35, 0.25)
    factor_sd: float = 0.30
    declared: float = 0.30
    network_sd: float = 0.40
    known: int = 6
    error: float = 0.02
    smooth: bool = True
    by_municipality: bool = False


WORLDS = (
    World("σ = 20", sigma=20.0),
    World("σ = 100"),
    World("σ = 400", sigma=400.0),
    World("σ = 100, third operator missing", present=(True, True, False)),
    World("σ = 100, all totals known", known=12),
    World("σ = 100, two totals known", known=2),
    World("σ = 100, two totals known, φ = .15 declared", known=2, declared=0.15),
    World("σ = 100, not smoothed", smooth=False),
    World("589 zones, σ = 20", sigma=20.0, by_municipality=True),
    World("589 zones, σ = 100", by_municipality=True),
)


def roamers(world: World, country: Abroad, chance: np.random.Generator) -> tuple[Values, float]:
    """Return the noisy counts of a release, of shape (zones + 1, countries), and the variance of their noise."""
    countries, zones = country.persons.shape
    factor = 0.6 * np.exp(chance.normal(0, world.factor_sd, countries))
    part = np.array(world.market)[:, None] * np.exp(chance.normal(0, world.network_sd, (3, countries)))
    part /= part.sum(axis=0)
    cells = np.zeros((countries, zones + 1))
    for operator, there in enumerate(world.present):
        if there:
            cells[:, :-1] += chance.poisson(country.persons * (factor * part[operator])[:, None])
            lost = country.persons.sum(axis=1) * factor * part[operator] * _NOT_AT_NIGHT
            cells[:, -1] += chance.poisson(lost)
    noise = world.sigma**2 * sum(world.present)
    return (cells + np.rint(chance.normal(0, np.sqrt(noise), cells.shape))).T, noise


def totals(world: World, country: Abroad, chance: np.random.Generator) -> Totals:
    """Return the totals that are known, with their error."""
    persons = country.persons.sum(axis=1)
    told = persons * (1 + chance.normal(0, world.error, persons.size))
    told[world.known :] = np.nan
    return Totals(told, (world.error * np.nan_to_num(told)) ** 2)
