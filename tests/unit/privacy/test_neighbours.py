"""The rule of windows against brute force: every tiny world and every neighbour of it, for every statistic.

A world is one subscriber's data over some days; the neighbour of a world in a window has none of the data of
that window's days. Each release moves by a distance between both worlds, in the norm that its noise is made
for; the squared distances, in units of the noise, add up to the loss. The charge must not be smaller for any
world, and where a statistic is tight it is not larger than needed: some world attains it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import combinations_with_replacement, product

import numpy as np
import pytest

from privacy.calculus import DAY, MONTH, Charge, charge
from privacy.errors import UsageProblem
from privacy.levels import part_of
from privacy.quantile import Choice, scores
from privacy.sensitivity import Declaration, Mechanism
from privacy.statistics import (
    COMMUTING,
    CONTRIBUTION_BOUND,
    PRESENCE_BY_HOUR,
    QUALITY_INDICATORS,
    RESIDENTS,
    STATISTICS,
    UNION_SKETCH,
    declare,
)
from privacy.terms import Level
from tests.unit.privacy.tiny import (
    FOUR_DAYS,
    SOME_DAYS,
    THREE_MONTHS,
    TINY,
    Answer,
    Cells,
    Day,
    Tiny,
    by_hour,
    daily,
    kept,
    residents,
)

World = tuple[Day | None, ...]
ORIGIN = date(2026, 3, 1)
#: Loss of a squared distance of 1, in nano-rho.
UNIT = 1_000
MECHANISMS: tuple[Mechanism, ...] = ("discrete-gaussian", "discrete-laplace")


def day(position: int) -> date:
    return ORIGIN + timedelta(days=position)


def moved(here: Cells, there: Cells, mechanism: Mechanism) -> int:
    """Squared distance in the norm of a mechanism: the sum of squares, or the square of the sum."""
    steps = [abs(here[cell] - there[cell]) for cell in here.keys() | there.keys()]
    if mechanism == "discrete-gaussian":
        return sum(step**2 for step in steps)
    return sum(steps) ** 2


@dataclass(frozen=True)
class Release:
    """A release in a tiny world: the days it reads, by position, and the cells it counts."""

    first: int
    last: int
    bounds: Declaration
    answer: Answer
    mechanism: Mechanism = "discrete-gaussian"
    unit: int = UNIT
    _found: dict[tuple[World, int, int], int] = field(default_factory=dict, compare=False)

    @property
    def charge(self) -> Charge:
        period, _day = self.bounds.distances_squared(self.mechanism)
        return charge(self.bounds, self.mechanism, day(self.first), day(self.last), self.unit * period)

    def loss(self, world: World, first: int, last: int) -> int:
        """Loss in nano-rho between a world and the one without the days from first to last."""
        seen, start, end = world[self.first : self.last + 1], first - self.first, last - self.first
        if (seen, start, end) not in self._found:
            rest = [None if start <= at <= end else data for at, data in enumerate(seen)]
            squared = moved(self.answer(seen), self.answer(rest), self.mechanism)
            self._found[seen, start, end] = squared * self.unit
        return self._found[seen, start, end]


def releases_of(tiny: Tiny, bounds: Declaration, mechanism: Mechanism) -> list[Release]:
    """Return one release after another, each of so many days."""
    ends = np.cumsum(tiny.periods).tolist()
    return [
        Release(end - length, end - 1, bounds, tiny.answer, mechanism)
        for end, length in zip(ends, tiny.periods, strict=True)
    ]


def worlds_of(tiny: Tiny) -> list[World]:
    return list(product((None, *tiny.days), repeat=sum(tiny.periods)))


def worst(worlds: Iterable[World], releases: Sequence[Release], length: int, first: int) -> int:
    """Return the largest loss of any world against its neighbour in a window."""
    last = first + length - 1
    near = [release for release in releases if first <= release.last and release.first <= last]
    clipped = [(release, max(first, release.first), min(last, release.last)) for release in near]
    return max(sum(release.loss(world, *days) for release, *days in clipped) for world in worlds)


def charged(releases: Sequence[Release], length: int, first: int) -> int:
    """Return what the calculus charges a window for these releases."""
    return sum(dict(release.charge.windows(length)).get(day(first), 0) for release in releases)


def windows(
    worlds: Sequence[World], releases: Sequence[Release], days: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yield (length, first position, largest loss, charge) of every window that touches any of the days.

    Windows reach beyond the days on both sides; those with the same days in them lose the same.
    """
    lost: dict[tuple[int, int], int] = {}
    for length in range(1, days + 2):
        for first in range(1 - length, days):
            inside = max(0, first), min(first + length, days) - 1
            if inside not in lost:
                lost[inside] = worst(worlds, releases, inside[1] - inside[0] + 1, inside[0])
            yield length, first, lost[inside], charged(releases, length, first)


# --- every statistic --------------------------------------------------------------------------------------


def test_every_declared_statistic_has_its_worlds() -> None:
    """Who adds a statistic adds a definition of it to the tiny worlds; the choice of a bound is below."""
    assert TINY.keys() | {CONTRIBUTION_BOUND} == STATISTICS.keys()
    for name, found in TINY.items():
        assert any(tiny.tight for tiny in found)
        months = max(max(tiny.periods) for tiny in found)
        assert (months > 1) == (STATISTICS[name].reads == "period"), name


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize(
    ("name", "tiny"),
    [
        pytest.param(name, tiny, id=f"{name}-{number}")
        for name, found in TINY.items()
        for number, tiny in enumerate(found)
    ],
)
def test_no_world_loses_more_than_its_window_is_charged(name: str, tiny: Tiny, mechanism: Mechanism) -> None:
    bounds = declare(name, tiny.parameters, tiny.hours)
    releases, worlds = releases_of(tiny, bounds, mechanism), worlds_of(tiny)
    for length, first, lost, cost in windows(worlds, releases, sum(tiny.periods)):
        assert lost <= cost, f"the {length} days from {first}"
        assert lost == cost or not tiny.tight, f"the {length} days from {first} cost more than anybody loses"


def too_small(cells_by_period: int, cells_by_day: int) -> Declaration:
    return Declaration(cells_by_period=cells_by_period, cells_by_day=cells_by_day)


@pytest.mark.parametrize(
    ("name", "number", "bounds"),
    [
        (RESIDENTS, 0, too_small(1, 1)),
        (COMMUTING, 0, too_small(1, 1)),
        (UNION_SKETCH, 4, too_small(2, 3)),
        (PRESENCE_BY_HOUR, 0, too_small(1, 1)),
        (QUALITY_INDICATORS, 0, too_small(3, 3)),
    ],
)
def test_the_worlds_would_notice_bounds_that_are_too_small(
    name: str, number: int, bounds: Declaration
) -> None:
    tiny = TINY[name][number]
    releases = [
        replace(release, unit=UNIT * declare(name, tiny.parameters, tiny.hours).period_squared)
        for release in releases_of(tiny, bounds, "discrete-gaussian")
    ]
    found = windows(worlds_of(tiny), releases, sum(tiny.periods))
    assert any(lost > cost for _length, _first, lost, cost in found)


# --- what the rules of the statistics are for --------------------------------------------------------------


def test_a_home_from_other_days_would_cost_more_than_a_daily_release_is_charged() -> None:
    """So the anchor of a daily statistic is that of the same day."""

    def by_later_home(days: Sequence[Day | None]) -> Cells:
        today, other = days
        home = other[0] if other else None
        return Cells([(home, hour) for hour in range(2)] if today is not None else [])

    yesterday = Release(0, 1, too_small(2, 2), by_later_home)
    worlds = list(product((None, *SOME_DAYS), repeat=2))
    assert worst(worlds, [yesterday], DAY, 1) == 4 * UNIT, "charged 0 if only the first day were read"


def test_a_sketch_that_truncates_persons_and_not_subscribers_would_cost_double() -> None:
    """Somebody has two subscriptions, and the world holds the zones of each on one day."""
    bounds = declare(UNION_SKETCH, {"by_zone": True, "limit": 2}, 24)
    first, other = ("A", "B"), ("C", "D")
    person = moved(kept(first + other), kept(other), "discrete-gaussian")
    assert person == 4 > bounds.period_squared
    subscribers = moved(kept(kept(first) | kept(other), 4), kept(other), "discrete-gaussian")
    assert subscribers == 2 == bounds.period_squared


# --- several releases over the same days ------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_costs_of_different_products_over_the_same_days_add_up(mechanism: Mechanism) -> None:
    days: tuple[Day, ...] = (("A", "B"), ("B", "B"))
    hourly = Tiny(daily(by_hour), days, FOUR_DAYS)
    homes = Tiny(residents(1), days, (2, 2))
    releases = releases_of(hourly, declare(PRESENCE_BY_HOUR, {}, 2), mechanism)
    releases += releases_of(homes, declare(RESIDENTS, {}, 2), "discrete-gaussian")
    for _length, _first, lost, cost in windows(worlds_of(hourly), releases, 4):
        assert lost == cost


@pytest.mark.parametrize(("mechanism", "by_day"), [("discrete-gaussian", 2), ("discrete-laplace", 4)])
def test_the_levels_of_a_hierarchy_split_the_loss_by_their_shares(mechanism: Mechanism, by_day: int) -> None:
    """A and B are in one region, C in another: only who moves to C moves both levels."""
    bounds, rho = declare(RESIDENTS, {}, 24), 1_000_000
    levels = (Level(name="region", share_permille=250), Level(name="zone", share_permille=750))
    parts = [part_of(level, rho) for level in levels]
    region = {"A": "North", "B": "North", "C": "South", "unanchored": "unanchored"}

    def of_regions(days: Sequence[Day | None]) -> Cells:
        return Cells(region[str(zone)] for zone in residents(1)(days).elements())

    tiny = Tiny(residents(1), (("A",), ("B",), ("C",)), THREE_MONTHS)
    releases = [
        replace(release, unit=part, answer=answer, _found={})
        for part, answer in zip(parts, (of_regions, residents(1)), strict=True)
        for release in releases_of(tiny, bounds, mechanism)
    ]
    whole = charge(bounds, mechanism, day(0), day(1), rho)
    assert (sum(parts), whole.by_day) == (rho, by_day * rho)
    for _length, _first, lost, cost in windows(worlds_of(tiny), releases, 6):
        assert lost == cost
    assert charged(releases, 2, 0) == whole.by_period
    assert charged(releases, 1, 0) == whole.by_day


def test_a_release_for_the_second_time_costs_as_much_again() -> None:
    """With one noise for both it would not; a revision has noise of its own."""
    tiny = Tiny(residents(1), (("A",), ("B",)), THREE_MONTHS)
    once = releases_of(tiny, declare(RESIDENTS, {}, 24), "discrete-gaussian")
    for length, first, lost, _cost in windows(worlds_of(tiny), once + once, 6):
        assert lost == 2 * charged(once, length, first)


# --- the worked example, with real months ------------------------------------------------------------------

MONTHS = (
    (date(2026, 1, 1), date(2026, 1, 31)),
    (date(2026, 2, 1), date(2026, 2, 28)),
    (date(2026, 3, 1), date(2026, 3, 31)),
)
#: The only nights with data: enough to make and to move a home in each month, inside and outside the window.
NIGHTS = tuple(date(2026, *night) for night in [(1, 29), (1, 30), (1, 31), (2, 1), (2, 28), (3, 1), (3, 2)])


@pytest.mark.parametrize(("mechanism", "cost"), [("discrete-gaussian", 5), ("discrete-laplace", 9)])
def test_from_30_january_to_1_march_residents_cost_what_the_specification_says(
    mechanism: Mechanism, cost: int
) -> None:
    bounds = declare(RESIDENTS, {}, 24)
    costs = [charge(bounds, mechanism, *month, UNIT) for month in MONTHS]
    nights = [[at for at, night in enumerate(NIGHTS) if first <= night <= last] for first, last in MONTHS]
    monthly = [Release(at[0], at[-1], bounds, residents(1), mechanism) for at in nights]
    worlds = list(product((None, ("A",), ("B",)), repeat=len(NIGHTS)))
    lost: dict[tuple[int, ...], int] = {(): 0}
    for length, offset in [(days, at - days) for days in (DAY, MONTH) for at in range(1, 91 + days)]:
        first = MONTHS[0][0] + timedelta(days=offset)
        gone = tuple(at for at, night in enumerate(NIGHTS) if first <= night < first + timedelta(days=length))
        if gone not in lost:
            lost[gone] = worst(worlds, monthly, len(gone), gone[0])
        asked = sum(dict(made.windows(length)).get(first, 0) for made in costs)
        assert lost[gone] <= asked, f"the {length} days from {first}"
        if (length, first) == (MONTH, date(2026, 1, 30)):
            assert lost[gone] == asked == cost * UNIT
    assert max(lost.values()) == cost * UNIT


# --- the choice of a contribution bound --------------------------------------------------------------------


@pytest.mark.parametrize("permille", [500, 800, 990])
def test_one_subscriber_moves_a_score_by_no_more_than_the_choice_of_a_bound_says(permille: int) -> None:
    """Its loss is Δ²/(2·scale²) like that of a vector, with Δ the largest change of any one score."""
    choice = Choice((1, 2, 4), UNIT, quantile_permille=permille)
    furthest = 0
    for size in range(4):
        for others in combinations_with_replacement(range(1, 6), size):
            for cells in range(1, 6):
                here, there = (
                    scores(np.asarray(column, dtype=np.int64), choice, 0)
                    for column in ([*others, cells], others)
                )
                furthest = max(furthest, int(np.abs(here - there).max()))
    assert furthest == choice.sensitivity


def test_no_noise_can_be_added_to_the_choice_of_a_bound() -> None:
    with pytest.raises(UsageProblem, match="contribution-bound is not a vector of counts"):
        declare(CONTRIBUTION_BOUND, {}, 24)
    assert STATISTICS[CONTRIBUTION_BOUND].reads == "day"
