"""Presence of a day: the node's intervals against the reference's seconds, on worlds made by hypothesis."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given
from ibis.backends.duckdb import Backend

from node.presence.hold import Hold
from node.tables import PRESENCE
from tests.reference.days import Present, Seen, masks, presence, tie
from tests.support_node import LONG_DAY, SHORT_DAY, instant
from tests.unit.node.worlds import FEW_WORLDS, HOURS, ORDINARY_DAY, WORLDS, World, built, worlds

Rows = dict[tuple[int, int], int]


def rows_of(found: pa.Table) -> Rows:
    """Return the masks of the zones that were dominant."""
    rows = {(row["subscriber"], row["zone"]): row["hours_mask"] for row in found.to_pylist()}
    return {row: mask for row, mask in rows.items() if mask}


def of_one(day: date, hold: int, *visits: tuple[float, int]) -> World:
    """Return the world of one subscriber who is at (seconds since midnight, zone)."""
    events = frozenset(Seen(7, instant(day, seconds), zone + 1, zone) for seconds, zone in visits)
    return World(day, events, Hold(hold), key=1)


def hours_by_zone(db: Backend, world: World) -> dict[int, list[int]]:
    hours = {
        row["zone"]: [hour for hour in range(25) if row["hours_mask"] >> hour & 1]
        for row in built(db, world).to_pylist()
    }
    return {zone: found for zone, found in hours.items() if found}


@WORLDS
@given(world=worlds)
def test_the_node_and_the_reference_see_everybody_in_the_same_zones(db: Backend, world: World) -> None:
    expected = presence(world.events, world.limits, world.hold, world.key)
    found = built(db, world)
    assert [Present(**row) for row in found.to_pylist()] == expected
    assert rows_of(found) == masks(world.dominant)


@WORLDS
@given(world=worlds)
def test_presence_is_ordered_int64_with_one_zone_at_most_in_an_hour(db: Backend, world: World) -> None:
    found = built(db, world)
    assert found.schema == pa.schema([(name, pa.int64()) for name in PRESENCE])
    keys = list(zip(found["subscriber"].to_pylist(), found["zone"].to_pylist(), strict=True))
    assert keys == sorted(set(keys))
    taken: dict[int, int] = {}
    for (subscriber, _zone), mask in rows_of(found).items():
        assert taken.get(subscriber, 0) & mask == 0
        assert 0 < mask < 2 ** HOURS[world.day]
        taken[subscriber] = taken.get(subscriber, 0) | mask
    assert set(taken) == {event.subscriber for event in world.events}


@FEW_WORLDS
@given(world=worlds)
def test_the_day_of_one_subscriber_changes_nobody_else(db: Backend, world: World) -> None:
    everybody = rows_of(built(db, world))
    somebody = min(event.subscriber for event in world.events)
    others = {row: mask for row, mask in everybody.items() if row[0] != somebody}
    assert rows_of(built(db, world.without(somebody))) == others != everybody


def test_an_event_holds_until_the_next_one(db: Backend) -> None:
    world = of_one(ORDINARY_DAY, 120, (0, 0), (3600, 1))
    assert hours_by_zone(db, world) == {0: [0], 1: [1, 2]}


def test_an_event_holds_no_longer_than_the_charter_says(db: Backend) -> None:
    assert hours_by_zone(db, of_one(ORDINARY_DAY, 1, (3600, 0))) == {0: [1]}
    assert hours_by_zone(db, of_one(ORDINARY_DAY, 60, (3600, 0))) == {0: [1]}
    assert hours_by_zone(db, of_one(ORDINARY_DAY, 61, (3600, 0))) == {0: [1, 2]}
    assert hours_by_zone(db, of_one(ORDINARY_DAY, 60, (3601, 0))) == {0: [1, 2]}


@pytest.mark.parametrize(("day", "hours"), [(ORDINARY_DAY, 24), (SHORT_DAY, 23), (LONG_DAY, 25)])
def test_an_event_at_midnight_that_holds_a_day_fills_the_elapsed_hours_of_the_day(
    db: Backend, day: date, hours: int
) -> None:
    found = hours_by_zone(db, of_one(day, 24 * 60, (0, 2), (3600 * (hours - 1), 2)))
    assert found == {2: list(range(hours))}


def test_the_last_instant_of_a_day_still_counts_one_second(db: Backend) -> None:
    world = of_one(ORDINARY_DAY, 1440, (24 * 3600 - 1e-6, 1))
    assert hours_by_zone(db, world) == {1: [23]}


def test_the_longest_dwell_of_an_hour_wins_not_the_last(db: Backend) -> None:
    world = of_one(ORDINARY_DAY, 120, (0, 0), (2000, 1), (3600, 2))
    assert hours_by_zone(db, world) == {0: [0], 2: [1, 2]}


def test_dwells_of_one_zone_in_one_hour_add_up(db: Backend) -> None:
    world = of_one(ORDINARY_DAY, 120, (0, 0), (1000, 1), (2500, 0), (3500, 2), (3600, 2))
    assert hours_by_zone(db, world)[0] == [0]  # 1000 + 1000 seconds against 1500


def test_at_one_instant_the_event_of_the_last_cell_holds(db: Backend) -> None:
    world = of_one(ORDINARY_DAY, 60, (0, 1), (0, 0))
    assert hours_by_zone(db, world) == {1: [0]}


@pytest.mark.parametrize("key", range(8))
def test_equal_dwells_are_decided_by_the_keyed_hash_alone(db: Backend, key: int) -> None:
    visits = [(0, 0), (1800, 1), (3600, 1), (5400, 0)]
    events = frozenset(
        Seen(subscriber, instant(ORDINARY_DAY, seconds), zone + 1, zone)
        for subscriber in range(1, 21)
        for seconds, zone in visits
    )
    rows = rows_of(built(db, World(ORDINARY_DAY, events, Hold(30), key)))
    for subscriber in range(1, 21):
        winner = max((0, 1), key=lambda zone: tie(subscriber, zone, key) >> 2)
        assert rows[subscriber, winner] == 0b11
        assert (subscriber, 1 - winner) not in rows
    assert len({zone for _subscriber, zone in rows}) == 2
