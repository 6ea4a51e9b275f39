"""Visits of a day, worked out by hand: where they begin and end, and what does not split them."""

from __future__ import annotations

from datetime import date

import pytest
from ibis.backends.duckdb import Backend

from node.presence.build import visits
from node.presence.hold import Hold
from node.sources.events import Day
from node.tables import VISITS
from tests.reference.days import Seen
from tests.support_node import BRUSSELS, LONG_DAY, SHORT_DAY, instant
from tests.unit.node.worlds import ORDINARY_DAY, loaded

HOUR = 3600


def found(
    db: Backend, day: date, hold: int, *seen: tuple[float, int], origins: tuple[int, ...] = ()
) -> list[tuple[int, float, float, int, int]]:
    """Return (zone, begin, end, events, origin) of one subscriber's visits, in hours of the day.

    Events are (hour, cell); two cells make a zone; the last event comes first in the table.
    """
    rows = [
        Seen(7, instant(day, hour * HOUR), cell, cell // 2, origins[place] if origins else 0)
        for place, (hour, cell) in enumerate(seen)
    ][::-1]
    events = loaded(db, "events", {name: [getattr(row, name) for row in rows] for name in Seen._fields})
    table = visits(events, Day.of(day, BRUSSELS), Hold(hold)).to_pyarrow()
    assert table.column_names == list(VISITS)
    assert table["seq"].to_pylist() == list(range(table.num_rows))
    start = instant(day, 0)
    return [
        (row["zone"], (row["t_in"] - start) / 3.6e9, (row["t_out"] - start) / 3.6e9, row["n"], row["origin"])
        for row in table.to_pylist()
    ]


def test_a_visit_lasts_until_the_next_zone_is_seen(db: Backend) -> None:
    assert found(db, ORDINARY_DAY, 120, (8, 0), (9, 2), (9.5, 2)) == [(0, 8, 9, 1, 0), (1, 9, 11.5, 2, 0)]


def test_another_cell_of_the_zone_is_the_same_visit(db: Backend) -> None:
    assert found(db, ORDINARY_DAY, 60, (8, 0), (8.5, 1), (9, 0)) == [(0, 8, 10, 3, 0)]


def test_a_visit_ends_when_its_last_event_no_longer_holds(db: Backend) -> None:
    assert found(db, ORDINARY_DAY, 30, (8, 0), (9, 2)) == [(0, 8, 8.5, 1, 0), (1, 9, 9.5, 1, 0)]


def test_a_silence_inside_a_visit_does_not_split_it(db: Backend) -> None:
    assert found(db, ORDINARY_DAY, 30, (8, 0), (17, 0), (18, 2)) == [(0, 8, 17.5, 2, 0), (1, 18, 18.5, 1, 0)]


def test_somebody_who_comes_back_has_another_visit(db: Backend) -> None:
    assert [visit[0] for visit in found(db, ORDINARY_DAY, 60, (8, 0), (9, 2), (10, 0), (11, 2))] == [
        0,
        1,
        0,
        1,
    ]


@pytest.mark.parametrize(("day", "hours"), [(ORDINARY_DAY, 24), (SHORT_DAY, 23), (LONG_DAY, 25)])
def test_no_visit_lasts_past_midnight(db: Backend, day: date, hours: int) -> None:
    assert found(db, day, 1440, (0, 0), (hours - 1, 2)) == [
        (0, 0, hours - 1, 1, 0),
        (1, hours - 1, hours, 1, 0),
    ]


@pytest.mark.parametrize("cells", [(0, 2, 4), (4, 0, 2), (2, 4, 0)])
def test_at_one_instant_zones_are_visited_in_the_order_of_their_cells(
    db: Backend, cells: tuple[int, ...]
) -> None:
    """All but the last for no time at all."""
    seen = ((8.0, cell) for cell in cells)
    assert found(db, ORDINARY_DAY, 60, *seen) == [(0, 8, 8, 1, 0), (1, 8, 8, 1, 0), (2, 8, 9, 1, 0)]


def test_a_visit_has_the_smallest_origin_of_its_events(db: Backend) -> None:
    seen = ((8.0, 0), (9.0, 1), (10.0, 2), (11.0, 3))
    visited = found(db, ORDINARY_DAY, 60, *seen, origins=(262, 208, 0, 262))
    assert [visit[4] for visit in visited] == [208, 0]


def test_a_day_without_events_has_no_visits(db: Backend) -> None:
    assert found(db, ORDINARY_DAY, 60) == []
