"""The rule of windows against brute force: every tiny world and every neighbour of it.

A world is one subscriber's data over some days; the neighbour of a world in a window has none of the data of
that window's days. Answers of several releases are one long vector whose squared distances, each divided by
the sensitivity that its noise is made for, add up to the loss between both worlds. The charge must not be
smaller for any world, and it is not larger than needed: some world attains it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import date, timedelta
from fractions import Fraction
from itertools import product

import pytest

from privacy.calculus import Charge, charge
from privacy.sensitivity import Declaration
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS, declare

World = tuple[Hashable, ...]
Answer = Callable[[Sequence[Hashable]], Counter[Hashable]]
ORIGIN = date(2026, 3, 1)
RHO = 1_000


def day(position: int) -> date:
    return ORIGIN + timedelta(days=position)


class Release:
    """A release in a tiny world: the days it reads, by position, and the cells it counts."""

    def __init__(self, first: int, last: int, bounds: Declaration, answer: Answer) -> None:
        self.first, self.last, self.bounds, self._answer = first, last, bounds, answer
        self.charge: Charge = charge(bounds, day(first), day(last), RHO)

    def loss(self, world: World, neighbour: World) -> Fraction:
        """Loss in nano-rho between two worlds: the squared distance, in units of the noise."""
        here, there = (self._answer(data[self.first : self.last + 1]) for data in (world, neighbour))
        squared = sum((here[cell] - there[cell]) ** 2 for cell in here.keys() | there.keys())
        return Fraction(squared * RHO, self.bounds.period_squared)


def home(days: Sequence[Hashable]) -> Counter[Hashable]:
    """One home: the zone of most days, the first by name of several; no day at all, nobody to count."""
    seen = Counter(zone for zone in days if zone is not None)
    if not seen:
        return Counter()
    return Counter([min(seen, key=lambda zone: (-seen[zone], str(zone)))])


def home_or_unanchored(days: Sequence[Hashable]) -> Counter[Hashable]:
    """As `home`, but a zone of one day only is no home."""
    seen = Counter(zone for zone in days if zone is not None)
    homes = [zone for zone, nights in seen.items() if nights >= 2]
    return Counter(homes[:1] or ["unanchored"]) if seen else Counter()


def hourly(days: Sequence[Hashable]) -> Counter[Hashable]:
    """One cell for each hour of the one day; a day without any event is not counted, even as unobserved."""
    (hours,) = days
    return Counter(enumerate(hours)) if isinstance(hours, tuple) else Counter()


def losses(worlds: Iterator[World], releases: Sequence[Release], length: int, first: int) -> Fraction:
    """Return the largest loss of any world against its neighbour in a window."""
    window = range(first, first + length)
    return max(
        sum((release.loss(world, _without(world, window)) for release in releases), Fraction(0))
        for world in worlds
    )


def _without(world: World, window: range) -> World:
    return tuple(None if position in window else data for position, data in enumerate(world))


def charged(releases: Sequence[Release], length: int, first: int) -> int:
    """Return what the calculus charges a window for these releases."""
    return sum(dict(release.charge.windows(length)).get(day(first), 0) for release in releases)


def months(count: int, days: int, answer: Answer) -> list[Release]:
    bounds = declare(RESIDENTS, 24)
    return [Release(n * days, (n + 1) * days - 1, bounds, answer) for n in range(count)]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6])
def test_residents_of_three_months_cost_each_window_exactly_what_its_worst_neighbour_loses(
    length: int,
) -> None:
    releases = months(3, 2, home)
    for first in range(1 - length, 6):
        worst = losses(product((None, "A", "B"), repeat=6), releases, length, first)
        assert worst == charged(releases, length, first), f"the {length} days from {first}"


def test_a_window_over_a_whole_month_and_parts_of_two_others_costs_two_one_and_two() -> None:
    releases = months(3, 2, home)
    assert charged(releases, 4, 1) == (2 + 1 + 2) * RHO
    assert losses(product((None, "A", "B"), repeat=6), releases, 4, 1) == 5 * RHO


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_residents_with_too_few_nights_are_somewhere_too(length: int) -> None:
    releases = months(2, 3, home_or_unanchored)
    for first in range(1 - length, 6):
        worst = losses(product((None, "A", "B"), repeat=6), releases, length, first)
        assert worst <= charged(releases, length, first)
        if length < 3 and 0 <= first <= 6 - length:
            assert worst == charged(releases, length, first)


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_presence_costs_each_window_the_days_that_it_has_in_it(length: int) -> None:
    bounds = declare(PRESENCE_BY_HOUR, 2)
    releases = [Release(n, n, bounds, hourly) for n in range(4)]
    states = (None, ("A", "A"), ("A", "B"), ("unobserved", "B"))
    for first in range(1 - length, 4):
        inside = len({n for n in range(first, first + length) if 0 <= n < 4})
        worst = losses(product(states, repeat=4), releases, length, first)
        assert worst == charged(releases, length, first) == inside * RHO


@pytest.mark.parametrize("length", [1, 2, 3])
def test_costs_of_different_products_over_the_same_days_add_up(length: int) -> None:
    def zones_of(days: Sequence[Hashable]) -> Counter[Hashable]:
        return home([hours[0] if isinstance(hours, tuple) else None for hours in days])

    releases = [Release(n, n, declare(PRESENCE_BY_HOUR, 2), hourly) for n in range(4)]
    releases += months(2, 2, zones_of)
    states = (None, ("A", "B"), ("B", "B"))
    for first in range(1 - length, 4):
        worst = losses(product(states, repeat=4), releases, length, first)
        assert worst == charged(releases, length, first)
