"""The statistics against their references, and how far one subscriber and one day can move them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend
from numpy.typing import NDArray
from pydantic import ValidationError

from node.statistics import presence_by_hour, residents
from node.statistics.registry import Inputs, algorithms, exact_vector
from privacy.errors import UsageProblem
from privacy.ledger.entry import Terms
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS, declare
from tests.support_node import BRUSSELS, LONG_DAY, SHORT_DAY, agreement, instant, order_of
from tests.unit.node.reference import Dominant, Seen, dominant, home_counts, presence_counts
from tests.unit.node.worlds import (
    FEW_WORLDS,
    HOURS,
    ORDINARY_DAY,
    WORLDS,
    ZONES,
    World,
    built,
    events_on,
    holds,
    keys,
    worlds,
)

Vector = NDArray[np.int64]
#: Three dates of presence, the night hours of each, the fewest nights at home, and the key of ties.
Period = tuple[tuple[World, ...], tuple[tuple[int, ...], ...], int, int]


def table(db: Backend, world: World, name: str = "presence"):  # type: ignore[no-untyped-def]
    return db.create_table(name, built(db, world), temp=True, overwrite=True)


def counted(db: Backend, world: World) -> Vector:
    return presence_by_hour.vector(table(db, world), ZONES, HOURS[world.day])


def referred(world: World) -> Dominant:
    return dominant(world.events, world.limits, world.hold, world.key)


def without(world: World, subscriber: int) -> World:
    kept = frozenset(event for event in world.events if event.subscriber != subscriber)
    return World(world.day, kept, world.hold, world.key)


def distance_squared(left: Vector, right: Vector) -> int:
    return int(((left - right) ** 2).sum())


@WORLDS
@given(world=worlds)
def test_presence_by_hour_counts_what_the_reference_counts(db: Backend, world: World) -> None:
    vector = counted(db, world)
    assert vector.dtype == np.int64
    assert vector.tolist() == presence_counts(referred(world), ZONES, HOURS[world.day])


@WORLDS
@given(world=worlds)
def test_every_subscriber_fills_exactly_one_cell_in_every_hour(db: Backend, world: World) -> None:
    seen = len({event.subscriber for event in world.events})
    by_hour = counted(db, world).reshape(ZONES + 1, HOURS[world.day])
    assert by_hour.sum(axis=0).tolist() == [seen] * HOURS[world.day]
    assert by_hour.min() >= 0


@WORLDS
@given(world=worlds)
def test_one_subscriber_moves_presence_by_what_is_declared_and_no_more(db: Backend, world: World) -> None:
    declared = declare(PRESENCE_BY_HOUR, HOURS[world.day])
    vector = counted(db, world)
    for subscriber in {event.subscriber for event in world.events}:
        moved = distance_squared(vector, counted(db, without(world, subscriber)))
        assert moved == HOURS[world.day] == declared.period_squared == declared.day_squared


def test_somebody_seen_once_is_unobserved_in_the_other_hours(db: Backend) -> None:
    event = Seen(9, instant(ORDINARY_DAY, 12 * 3600), 1, 0)
    vector = counted(db, World(ORDINARY_DAY, frozenset({event}), 60, 1)).reshape(ZONES + 1, 24)
    assert vector[0].tolist() == [0] * 12 + [1] + [0] * 11
    assert vector[ZONES].tolist() == [1] * 12 + [0] + [1] * 11
    assert vector[1:ZONES].sum() == 0


def test_a_day_without_anybody_is_all_zeros(db: Backend) -> None:
    empty = World(ORDINARY_DAY, frozenset(), 60, 1)
    assert counted(db, empty).tolist() == [0] * (ZONES + 1) * 24
    assert home_vector(db, ((empty,), ((0, 1),), 1, 5)).tolist() == [0] * (ZONES + 1)


@st.composite
def periods(draw: st.DrawFn) -> Period:
    key, hold = draw(keys), draw(holds)
    days = tuple(World(day, draw(events_on(day)), hold, key) for day in (SHORT_DAY, ORDINARY_DAY, LONG_DAY))
    hours = st.lists(st.integers(0, 22), min_size=1, max_size=8, unique=True).map(tuple)
    return days, tuple(draw(hours) for _ in days), draw(st.integers(1, 3)), draw(keys)


def home_vector(db: Backend, period: Period) -> Vector:
    days, nights, min_nights, key = period
    tables = [table(db, day, f"presence_{number}") for number, day in enumerate(days)]
    return residents.vector(tables, nights, min_nights, ZONES, key)


@WORLDS
@given(period=periods())
def test_residents_are_the_homes_that_the_reference_finds(db: Backend, period: Period) -> None:
    days, nights, min_nights, key = period
    vector = home_vector(db, period)
    assert vector.dtype == np.int64
    assert vector.tolist() == home_counts([referred(day) for day in days], nights, min_nights, ZONES, key)
    assert vector.sum() == len({event.subscriber for day in days for event in day.events})


@FEW_WORLDS
@given(period=periods(), subscriber=st.sampled_from((1, 2, 2**31 + 1, 2**63 - 1)))
def test_one_subscriber_moves_residents_by_what_is_declared_and_no_more(
    db: Backend, period: Period, subscriber: int
) -> None:
    days, nights, min_nights, key = period
    assume(any(event.subscriber == subscriber for day in days for event in day.events))
    rest = tuple(without(day, subscriber) for day in days)
    moved = distance_squared(home_vector(db, period), home_vector(db, (rest, nights, min_nights, key)))
    assert moved == 1 == declare(RESIDENTS, 1).period_squared


@FEW_WORLDS
@given(period=periods(), subscriber=st.sampled_from((1, 2)), which=st.integers(0, 2))
def test_one_day_of_a_subscriber_moves_residents_by_at_most_two_cells(
    db: Backend, period: Period, subscriber: int, which: int
) -> None:
    days, nights, min_nights, key = period
    changed = tuple(without(day, subscriber) if at == which else day for at, day in enumerate(days))
    moved = distance_squared(home_vector(db, period), home_vector(db, (changed, nights, min_nights, key)))
    assert moved <= declare(RESIDENTS, 1).day_squared == 2


def nights_in(*zones: int) -> tuple[World, ...]:
    """Return a world for each date in which subscriber 4 spends the first two hours in a zone."""
    return tuple(
        World(day, frozenset({Seen(4, instant(day, 0), zone + 1, zone)}), 120, 1)
        for day, zone in ((ORDINARY_DAY + timedelta(days=at), zone) for at, zone in enumerate(zones))
    )


@pytest.mark.parametrize(
    ("zones", "min_nights", "counts"),
    [
        ((0, 0, 1), 1, [1, 0, 0, 0]),
        ((0, 0, 1), 2, [1, 0, 0, 0]),
        ((0, 0, 1), 3, [0, 0, 0, 1]),
        ((2, 1, 1), 2, [0, 1, 0, 0]),
        ((0, 1, 2), 2, [0, 0, 0, 1]),
    ],
)
def test_a_home_needs_enough_nights_or_its_subscriber_is_unanchored(
    db: Backend, zones: tuple[int, ...], min_nights: int, counts: list[int]
) -> None:
    days = [table(db, world, f"night_{at}") for at, world in enumerate(nights_in(*zones))]
    assert residents.vector(days, [(0, 1)] * 3, min_nights, ZONES, key=3).tolist() == counts


def test_changing_one_day_can_indeed_move_a_home_between_two_zones(db: Backend) -> None:
    before, after = (
        residents.vector(
            [table(db, world, f"day_{at}") for at, world in enumerate(nights_in(*zones))],
            [(0, 1)] * len(zones),
            1,
            ZONES,
            key=3,
        )
        for zones in ((0, 0, 1, 1, 1), (0, 0, 1))
    )
    assert distance_squared(before, after) == 2


def test_days_without_night_hours_find_nobody_at_home(db: Backend) -> None:
    vector = home_vector(db, (nights_in(0, 1), ((), ()), 1, 5))
    assert vector.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("day", [SHORT_DAY, ORDINARY_DAY, LONG_DAY])
def test_the_registry_gives_each_statistic_the_hours_and_nights_of_the_day(
    db: Backend, tmp_path: Path, day: date
) -> None:
    """Somebody changes zone every half hour; night hours 2 and 3 are clock hours of the local day."""
    visits = {Seen(8, instant(day, 1800 * at), at % 3 + 1, at % 3) for at in range(2 * HOURS[day])}
    world = World(day, frozenset(visits), 30, 17)
    path = tmp_path / f"{day}.parquet"
    pq.write_table(built(db, world), path)
    inputs = Inputs(db, [path], ZONES, BRUSSELS, 17)
    presence = exact_vector(terms("presence", day), inputs)
    assert presence.tolist() == presence_counts(referred(world), ZONES, HOURS[day])
    asked = terms("residents", day).model_copy(
        update={"parameters": {"night_hours": [2, 3], "min_nights": 1}}
    )
    night = {SHORT_DAY: [2], ORDINARY_DAY: [2, 3], LONG_DAY: [2, 3, 4]}[day]
    assert exact_vector(asked, inputs).tolist() == home_counts([referred(world)], [night], 1, ZONES, 17)


def terms(product: str, day: date) -> Terms:
    return order_of(agreement(), product, (day, day)).terms


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"night_hours": [], "min_nights": 1},
        {"night_hours": [1], "min_nights": 0},
        {"night_hours": [1], "min_nights": 32},
        {"night_hours": [1], "min_nights": "1"},
        {"night_hours": [1], "min_nights": 1, "more": 1},
        {"night_hours": "1", "min_nights": 1},
    ],
)
def test_parameters_of_residents_that_mean_nothing_are_refused(
    db: Backend, parameters: dict[str, object]
) -> None:
    asked = terms("residents", ORDINARY_DAY).model_copy(update={"parameters": parameters})
    with pytest.raises(UsageProblem, match="the parameters of residents are wrong") as caught:
        exact_vector(asked, Inputs(db, [], ZONES, BRUSSELS, 1))
    assert isinstance(caught.value.__cause__, ValidationError)


def test_each_statistic_has_a_digest_of_its_code_that_stays_the_same() -> None:
    digests = algorithms()
    assert sorted(digests) == [PRESENCE_BY_HOUR, RESIDENTS]
    assert all(len(digest) == 64 for digest in digests.values())
    assert len(set(digests.values())) == 2
    assert digests == algorithms()
