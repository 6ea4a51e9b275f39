r"""Belgium at two dates, person by person: who lives there, and with which operators, then and later.

The register of 2011 is the population of the first date, that of 2015 (with the ages of 2011) the one of the second.
Both are simulated at a scale. As in reality persons stay: in every zone and age band as many as there are at both
dates are the same persons, with the same home, workplace, phones and activity; the others move in or away. Of those
who stay some change their operator, just as many as the drift of the shares needs: a subscriber of operator k stays
with probability min(1, s'_k / s_k), the others go where shares grew, so that shares are s before and s' after.

Shares and drifts are those of `tests.statistical.scenarios`: s ∝ (.40, .35, .25)·exp(N(0, .20²) by district +
N(0, .15²) by zone); s' ∝ s·exp(N(0, .05²))·(.97, 1.00, 1.05). Coverage is the subscriptions of a phone owner: 1.12 ·
exp(N(0, .10²)) by zone, from one to two, later · exp(N(0, κ²)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deploy.demo.country import Country
from deploy.demo.simulation import Settings
from deploy.demo.simulation.cells import draw_cells, draw_favourites
from deploy.demo.simulation.persons import Gravity, Persons, draw_persons, draw_register
from deploy.demo.simulation.phones import (
    ID_BOUND,
    NO_OPERATOR,
    SECOND_AT_ANOTHER_OPERATOR,
    Phones,
    Subscriptions,
    draw_activity,
    draw_phones,
    draw_shares,
    holders,
)
from deploy.demo.simulation.streams import round_randomly, unique_ids
from deploy.demo.simulation.world import Operator, World
from tests.statistical.scenarios import GAINS, SECOND_SUBSCRIPTIONS, belgium

Values = NDArray[np.float64]
Operators = NDArray[np.int8]
KAPPA, SHARE_DRIFT, COVERAGE_SD = 0.005, 0.05, 0.10


@dataclass(frozen=True)
class Market:
    """What holds at a date, by zone.

    Attributes
    ----------
    shares
        Of the operators, float64 of shape (zones, operators), rows of sum 1.
    second
        Part of the phone owners who have a second subscription, float64 of shape (zones,).
    """

    shares: Values
    second: Values


@dataclass(frozen=True, eq=False)
class Times:
    """The country at both dates, and what its operators were drawn with."""

    worlds: tuple[World, World]
    markets: tuple[Market, Market]


def draw_times(country: Country, then: Settings, later: Settings) -> Times:
    """Draw both dates.

    Parameters
    ----------
    country
        Belgium, whose zones are those of the register of two dates.
    then, later
        With the same scale, seed and operators, and other days.
    """
    chance = np.random.default_rng([then.seed, 2015])
    before = draw_register(country, then)
    register = belgium()
    after = round_randomly(chance, before * (register.now / register.then)[:, None])
    gravity = Gravity.of(country)
    everybody = draw_persons(country, gravity, np.maximum(before, after), then)
    markets = _markets(country, then, chance)
    phones = draw_phones(everybody, markets[0].shares, then, markets[0].second)
    lines = _Lines.draw(chance, everybody.size)
    dates = (
        (then, before, phones),
        (later, after, changed(chance, phones, everybody.home, markets)),
    )
    first, second = (
        _world(country, settings, gravity, everybody, (population, found, lines))
        for settings, population, found in dates
    )
    return Times((first, second), markets)


def _markets(country: Country, settings: Settings, chance: np.random.Generator) -> tuple[Market, Market]:
    zones, shares = len(country.zone_codes), draw_shares(country, settings)
    drifted = shares * np.exp(chance.normal(0, SHARE_DRIFT, shares.shape)) * GAINS
    coverage = SECOND_SUBSCRIPTIONS * np.exp(chance.normal(0, COVERAGE_SD, zones))
    covered = coverage * np.exp(chance.normal(0, KAPPA, zones))
    return (
        Market(shares, np.clip(coverage, 1, 2) - 1),
        Market(drifted / drifted.sum(axis=1, keepdims=True), np.clip(covered, 1, 2) - 1),
    )


def changed(
    chance: np.random.Generator, phones: Phones, home: NDArray[np.int32], markets: tuple[Market, Market]
) -> Phones:
    """Return the phones of the same persons later: as few change as the drift of the markets needs."""
    before, after = markets
    owner = np.flatnonzero(phones.first != NO_OPERATOR)
    zone, first, second = home[owner], phones.first[owner].astype(int), phones.second[owner].astype(int)
    new_first = _switched(chance, before.shares[zone], after.shares[zone], first)
    same, elsewhere = second == first, (second != NO_OPERATOR) & (second != first)
    new_second = np.where(same, new_first, second)
    # A second subscription elsewhere is one of the others, by their shares among themselves.
    others_before, others_after = (
        _others(market.shares[zone], chosen) for market, chosen in ((before, first), (after, new_first))
    )
    others_before[first != new_first] = 0.0
    moved = _switched(chance, others_before, others_after, np.maximum(second, 0))
    new_second[elsewhere] = moved[elsewhere]
    new_second = _more_or_fewer(chance, (new_first, new_second), zone, markets, others_after)
    found_first, found_second = phones.first.copy(), phones.second.copy()
    found_first[owner], found_second[owner] = new_first, new_second
    return Phones(found_first, found_second, phones.national_id)


def _more_or_fewer(
    chance: np.random.Generator,
    found: tuple[NDArray[np.int64], NDArray[np.int64]],
    zone: NDArray[np.int32],
    markets: tuple[Market, Market],
    others: Values,
) -> NDArray[np.int64]:
    """Give up second subscriptions, or take some, as the coverage drifts."""
    first, second = found
    before, after = (market.second[zone] for market in markets)
    has, uniform = second != NO_OPERATOR, chance.random(zone.size)
    gives_up = has & (uniform > after / np.maximum(before, 1e-9))
    takes = ~has & (uniform < (after - before) / np.maximum(1 - before, 1e-9))
    another = _chosen(chance, others)
    taken = np.where(chance.random(zone.size) < SECOND_AT_ANOTHER_OPERATOR, another, first)
    return np.where(gives_up, NO_OPERATOR, np.where(takes, taken, second))


def _switched(
    chance: np.random.Generator, before: Values, after: Values, chosen: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return whom everybody is with when the probabilities have changed, and as few as possible with them."""
    rows = np.arange(chosen.size)
    kept = np.minimum(after[rows, chosen], before[rows, chosen])
    stays = chance.random(chosen.size) * before[rows, chosen] < kept
    gains = np.maximum(after - before, 0.0)
    # Rounding can leave nobody who gains; then nobody goes.
    somewhere = gains.sum(axis=1) > 0
    return np.where(stays | ~somewhere, chosen, _chosen(chance, np.where(somewhere[:, None], gains, 1.0)))


def _chosen(chance: np.random.Generator, weights: Values) -> NDArray[np.int64]:
    """Draw a column of each row by its weights."""
    ends = np.cumsum(weights, axis=1)
    points = chance.random(weights.shape[0]) * ends[:, -1]
    found: NDArray[np.int64] = (points[:, None] >= ends).sum(axis=1)
    return np.asarray(np.minimum(found, weights.shape[1] - 1), dtype=np.int64)


def _others(shares: Values, chosen: NDArray[np.int64]) -> Values:
    """Return the shares of all operators but that which was chosen, rows of sum 1."""
    others = shares.copy()
    others[np.arange(chosen.size), chosen] = 0.0
    return np.asarray(others / others.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class _Lines:
    """Identifier and activity of the first and second subscription of everybody, of shape (2, persons)."""

    ids: NDArray[np.int64]
    activity: Values

    @classmethod
    def draw(cls, chance: np.random.Generator, persons: int) -> _Lines:
        ids = unique_ids(chance, 2 * persons, ID_BOUND)
        return cls(ids.reshape(2, persons), draw_activity(chance, 2 * persons).reshape(2, persons))

    def of(self, who: NDArray[np.int64]) -> _Lines:
        return _Lines(self.ids[:, who], self.activity[:, who])


def _world(
    country: Country,
    settings: Settings,
    gravity: Gravity,
    everybody: Persons,
    date: tuple[NDArray[np.int64], Phones, _Lines],
) -> World:
    """Return the world of the persons who live there at a date."""
    population, phones, lines = date
    who = np.flatnonzero(_rank(everybody) < population[everybody.home, everybody.age])
    persons = Persons(everybody.home[who], everybody.age[who], everybody.work[who])
    there = Phones(phones.first[who], phones.second[who], phones.national_id[who])
    operators = tuple(
        _operator(country, settings, persons, there, (index, lines.of(who)))
        for index in range(settings.operators)
    )
    return World(country, settings, gravity, population, persons, there, operators)


def _rank(persons: Persons) -> NDArray[np.int64]:
    """Return the place of everybody among the persons of the same zone and age band; they are in that order."""
    cell = persons.home.astype(np.int64) * 128 + persons.age
    starts = np.flatnonzero(np.concatenate(([True], cell[1:] != cell[:-1])))
    lengths = np.diff(np.append(starts, cell.size))
    return np.arange(cell.size) - np.repeat(starts, lengths)


def _operator(
    country: Country, settings: Settings, persons: Persons, phones: Phones, numbered: tuple[int, _Lines]
) -> Operator:
    index, lines = numbered
    person, slot = holders(phones, index)
    subscriptions = Subscriptions.of(person, lines.ids[slot, person], lines.activity[slot, person])
    # Cells are drawn from the seed alone: the same at both dates.
    cells = draw_cells(country, index, settings)
    favourites = draw_favourites(persons, subscriptions, cells, index, settings)
    return Operator(index, settings.operator_ids[index], subscriptions, cells, favourites)


def subscriptions_at_home(world: World) -> Values:
    """Return the subscriptions of each operator by zone of their holder's home, of shape (operators, zones)."""
    zones = len(world.country.zone_codes)
    return np.stack(
        [
            np.bincount(world.persons.home[operator.subscriptions.person], minlength=zones)
            for operator in world.operators
        ]
    ).astype(np.float64)
