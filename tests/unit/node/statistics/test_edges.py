"""Numbers that are exactly at an edge, and visits that are exactly long enough, worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from node.presence.hold import Hold
from tests.reference.days import Seen
from tests.support_engines import Load
from tests.support_node import instant
from tests.unit.node.statistics.cases import ZONES, World, inputs, terms_for, vectors

DAY = date(2026, 10, 20)
NIGHT = {"night_hours": [0, 1, 2, 3, 4, 5]}
FAR = 10**7


def bins(
    duckdb: Load,
    statistic: str,
    parameters: dict[str, Any],
    seen: Sequence[tuple[float, int]],
    positions: dict[int, tuple[int, int]] | None = None,
) -> list[int]:
    """Return the row of zone A: what one subscriber, seen at (hour, zone) with a hold of an hour, adds to it."""
    events = frozenset(Seen(7, instant(DAY, hour * 3600), zone + 1, zone) for hour, zone in seen)
    places = tuple((positions or {}).get(zone, (0, 0)) for zone in range(ZONES))
    world = World((DAY,), (events,), Hold(60), 1, 2, places, (1,) * (ZONES + 1))
    found = vectors(inputs(duckdb, world), terms_for(statistic, NIGHT | parameters, [DAY]))
    return [int(count) for count in found["zone"][0]]


@pytest.mark.parametrize(
    ("edges", "expected"),
    [([0, 2500], [0, 1]), ([0, 2501], [1, 0]), ([0, 1, 2499, 2500, 2501], [0, 0, 0, 1, 0])],
)
def test_a_radius_at_an_edge_is_in_the_bin_that_begins_there(
    duckdb: Load, edges: list[int], expected: list[int]
) -> None:
    """Two hours in A and two in B, 5000 m apart: r is 2500 m."""
    seen = [(0, 0), (1, 0), (8, 1), (9, 1)]
    assert bins(duckdb, "gyration", {"edges": edges}, seen, {1: (3000, 4000)}) == expected


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_radius_of_the_plane_is_told_to_the_metre(duckdb: Load, sign: int) -> None:
    """Half a day at each end of a diagonal of 2·10⁷·√2 m: r is 10⁷·√2 = 14,142,135.6 m."""
    seen = [(hour, 0 if hour < 12 else 1) for hour in range(24)]
    corners = {0: (-FAR, -FAR * sign), 1: (FAR, FAR * sign)}
    for edge, row in ((14_142_135, [0, 1]), (14_142_136, [1, 0])):
        assert bins(duckdb, "gyration", {"edges": [0, edge]}, seen, corners) == row


@pytest.mark.parametrize(("edges", "expected"), [([0, 6], [0, 1]), ([0, 7], [1, 0])])
def test_every_leg_is_rounded_down_to_whole_metres(
    duckdb: Load, edges: list[int], expected: list[int]
) -> None:
    """Three legs of √8 = 2.83 m are 2 m each; A has two hours of the night, B and A one more by day."""
    seen = [(0, 0), (1, 0), (7, 1), (8, 0), (9, 1)]
    parameters = {"min_stay_minutes": 0, "edges": edges}
    assert bins(duckdb, "travelled-distances", parameters, seen, {1: (2, 2)}) == expected


@pytest.mark.parametrize(
    ("shortest", "expected"),
    [(0, [0, 0, 1]), (30, [0, 0, 1]), (31, [1, 0, 0])],
    ids=["any", "equal", "longer"],
)
def test_a_visit_that_is_exactly_long_enough_is_a_stay(
    duckdb: Load, shortest: int, expected: list[int]
) -> None:
    """Half an hour in B, 1000 m away, between A and A."""
    parameters = {"min_stay_minutes": shortest, "edges": [0, 1, 2000]}
    seen = [(0, 0), (1, 0), (2, 1), (2.5, 0), (3, 0)]
    assert bins(duckdb, "travelled-distances", parameters, seen, {1: (600, 800)}) == expected


@pytest.mark.parametrize(("edges", "expected"), [([0, 60], [0, 1]), ([0, 61], [1, 0])])
def test_a_stay_at_an_edge_is_in_the_bin_that_begins_there(
    duckdb: Load, edges: list[int], expected: list[int]
) -> None:
    seen = [(0, 0), (1, 0), (8, 1)]
    assert bins(duckdb, "stay-durations", {"edges": edges}, seen) == expected


def test_a_silence_inside_a_visit_does_not_split_it(duckdb: Load) -> None:
    """Seen in B at 9 and at 17 o'clock, and nowhere between: nine hours with the last hold."""
    seen = [(0, 0), (1, 0), (9, 1), (17, 1)]
    assert bins(duckdb, "stay-durations", {"edges": [0, 540, 541]}, seen) == [0, 1, 0]


def test_the_anchor_itself_is_no_stay_away(duckdb: Load) -> None:
    assert bins(duckdb, "stay-durations", {"edges": [0, 1]}, [(0, 0), (1, 0), (20, 0)]) == [1, 0]


@pytest.mark.parametrize(("edges", "expected"), [([0, 3], [0, 1]), ([0, 4], [1, 0])])
def test_a_number_of_events_at_an_edge_is_in_the_bin_that_begins_there(
    duckdb: Load, edges: list[int], expected: list[int]
) -> None:
    assert bins(duckdb, "activity", {"edges": edges}, [(0, 0), (1, 0), (2, 1)]) == expected


@pytest.mark.parametrize(
    ("statistic", "parameters"),
    [
        ("gyration", {"edges": [0, 1]}),
        ("travelled-distances", {"min_stay_minutes": 0, "edges": [0, 1]}),
        ("stay-durations", {"edges": [0, 1]}),
        ("activity", {"edges": [0, 2]}),
    ],
)
def test_an_own_subscriber_without_an_hour_of_its_own_is_unanchored_in_the_first_bin(
    duckdb: Load, statistic: str, parameters: dict[str, Any]
) -> None:
    """Its only own event is overlaid at once by one of the same subscriber that says it roams."""
    start = instant(DAY, 0)
    events = frozenset({Seen(7, start, 1, 0, 0), Seen(7, start, 2, 1, 262)})
    world = World(
        (DAY,), (events,), Hold(60), 1, 2, ((0, 0), (9000, 0), (0, 0), (0, 0), (0, 0)), (1,) * (ZONES + 1)
    )
    found = vectors(inputs(duckdb, world), terms_for(statistic, NIGHT | parameters, [DAY]))
    assert found["zone"].tolist() == [[0, 0]] * ZONES + [[1, 0]]


def test_a_roamer_with_two_origins_is_one_visitor_of_the_smaller(duckdb: Load) -> None:
    """At night in A as a German, by day in B as French."""
    start = instant(DAY, 0)
    events = frozenset({Seen(7, start, 1, 0, 262), Seen(7, start + 12 * 3600 * 10**6, 2, 1, 208)})
    world = World((DAY,), (events,), Hold(60), 1, 2, ((0, 0),) * ZONES, (1,) * (ZONES + 1))
    parameters = NIGHT | {"countries": {"DE": [262], "FR": [208]}}
    found = vectors(inputs(duckdb, world), terms_for("visitors", parameters, [DAY]))
    assert found["zone"].tolist() == [[0, 1, 0], *[[0, 0, 0]] * ZONES]


def test_somebody_without_a_stay_went_nowhere(duckdb: Load) -> None:
    parameters = {"min_stay_minutes": 61, "edges": [0, 1]}
    assert bins(duckdb, "travelled-distances", parameters, [(0, 0), (1, 1), (2, 0)], {1: (900, 0)}) == [1, 0]
