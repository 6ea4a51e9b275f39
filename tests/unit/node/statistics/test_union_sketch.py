"""The union sketch: who is in which bin, and how far one subscription can move it, by brute force.

The definitions of tests.reference go through all tiny worlds here; that the node counts as they do is shown on worlds
made by hypothesis (test_definitions), and on a few of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from itertools import product

import numpy as np
import pytest

from node.presence.hold import Hold
from node.statistics.registry import exact_vector
from privacy.errors import DataUnavailable, PrivacyProblem
from privacy.statistics import UNION_SKETCH, declare
from tests.reference import statistics as by_hand
from tests.reference.days import Present
from tests.reference.statistics import Case, Table, union_sketch
from tests.support_engines import Load
from tests.support_node import BRUSSELS
from tests.unit.node.statistics.cases import (
    PERIOD_KEY,
    ZONING,
    World,
    columns_of,
    inputs,
    of_persons,
    terms_for,
    vectors,
)

DATES = (date(2026, 10, 20), date(2026, 10, 21))
NATIONAL = {"bins": 64, "by_zone": False}
#: Draws zones 3 and 0 of subscriber 20 before 2 and 1, so that a day less can put both others in their place.
SAMPLING_KEY = 1
#: Persons in different bins of 64.
P, Q, R = 1, 2, 3
#: Somebody's day: zones in which there were events, and the person by the operator's records that day.
Day = tuple[tuple[int, ...], int | None] | None
World_ = Mapping[int, tuple[Day, ...]]


def by_zone(limit: int) -> dict[str, object]:
    return {"bins": 64, "by_zone": True, "limit": limit}


def case_of(world: World_, parameters: Mapping[str, object], roamers: frozenset[int] = frozenset()) -> Case:
    presence, persons = [], []
    for number in range(len(DATES)):
        seen = {who: days[number] for who, days in world.items()}
        presence.append(
            tuple(
                Present(who, 262 if who in roamers else 0, zone, 1, 1, 0, 0)
                for who, day in sorted(seen.items())
                for zone in (day[0] if day else ())
            )
        )
        persons.append({who: day[1] for who, day in seen.items() if day and day[1] is not None})
    return Case(
        zones=tuple({"zone": zone.code, **zone.parents} for zone in ZONING.zones),
        dates=DATES,
        time_zone=BRUSSELS,
        presence=tuple(presence),
        visits=((), ()),
        parameters=parameters,
        key=1,
        sampling_key=SAMPLING_KEY,
        persons=tuple(persons),
        period_key=PERIOD_KEY,
    )


def of_node(load: Load, case: Case, level: str) -> Table:
    """Return the node's table of a level."""
    world = World(
        DATES, (frozenset(), frozenset()), Hold(60), case.key, case.sampling_key, ((0, 0),) * 5, (1,) * 6
    )
    given = replace(
        inputs(load, world),
        presence=[
            load(f"presence_{n}", columns_of(rows, Present._fields)) for n, rows in enumerate(case.presence)
        ],
        persons=[load(f"persons_{n}", of_persons(found)) for n, found in enumerate(case.persons)],
    )
    return list(vectors(given, terms_for(UNION_SKETCH, case.parameters, DATES))[level].tolist())


# --- who is in which bin ----------------------------------------------------------------------------------


def test_a_person_counts_once_and_who_is_nobody_or_two_or_roams_does_not(duckdb: Load) -> None:
    somewhere = ((0, 1), P), None
    world: World_ = {
        11: somewhere,
        12: (((2,), P), ((1,), P)),
        13: (None, ((3,), Q)),
        14: (((0,), None), ((0,), None)),
        15: (((0,), Q), ((0,), R)),
        16: (((0,), R), ((0,), R)),
    }
    case = case_of(world, NATIONAL, roamers=frozenset({16}))
    [row] = of_node(duckdb, case, "nation")
    expected = np.zeros(64, int)
    for person in (P, Q):
        expected[by_hand.bin_of(person, PERIOD_KEY, 64)] += 1
    assert row == expected.tolist()
    assert [row] == union_sketch(case, "nation")


def test_by_zone_a_person_is_once_in_each_area_of_their_subscriptions(duckdb: Load) -> None:
    world: World_ = {11: (((0, 1), P), ((1,), P)), 12: (((1, 2), P), None), 13: (((3,), Q), None)}
    case = case_of(world, by_zone(5))
    zones, districts = of_node(duckdb, case, "zone"), of_node(duckdb, case, "district")
    # A, B and C have seen P; zone D has seen Q, and has no district. D1 is B, D2 is A and C.
    assert [sum(row) for row in zones] == [1, 1, 1, 1, 0]
    assert [sum(row) for row in districts] == [1, 1, 0]
    assert (zones, districts) == (union_sketch(case, "zone"), union_sketch(case, "district"))


def test_a_day_without_the_identifier_still_says_where_the_person_was(duckdb: Load) -> None:
    case = case_of({11: (((0,), P), ((2,), None))}, by_zone(5))
    assert [sum(row) for row in of_node(duckdb, case, "zone")] == [1, 0, 1, 0, 0]


# --- how far one subscription moves it --------------------------------------------------------------------

ZONE_SETS: tuple[tuple[int, ...], ...] = ((0,), (1, 2), (0, 3))
DAYS: tuple[Day, ...] = (None, *product(ZONE_SETS, (None, P, Q)))
#: Others: nobody; a second subscription of P; two of P and one of Q; one that changes.
OTHERS: tuple[World_, ...] = (
    {},
    {21: (((1,), P), None)},
    {21: (((0, 1, 2), P), None), 22: (None, ((3,), P)), 23: (((0,), Q), ((2,), Q))},
    {21: (((0,), P), ((0,), Q))},
)
WHO = 20
Definition = Callable[[Case, str], Table]


def moved(
    definition: Definition, parameters: Mapping[str, object], level: str
) -> Iterator[tuple[int, int, int]]:
    """Yield, for every world and every neighbour, whether all data went, and the bins and the largest change."""
    known: dict[tuple[int, tuple[Day, ...]], np.ndarray] = {}

    def table(place: int, days: tuple[Day, ...]) -> np.ndarray:
        if (place, days) not in known:
            world = {**OTHERS[place], WHO: days}
            known[place, days] = np.array(definition(case_of(world, parameters), level))
        return known[place, days]

    for place, days in product(range(len(OTHERS)), product(DAYS, repeat=len(DATES))):
        for gone in product((False, True), repeat=len(DATES)):
            rest = tuple(None if away else day for away, day in zip(gone, days, strict=True))
            change = np.abs(table(place, days) - table(place, rest))
            yield int(all(gone)), int(np.count_nonzero(change)), int(change.max())


@pytest.mark.parametrize(
    ("parameters", "level"),
    [(NATIONAL, "nation"), *((by_zone(limit), level) for limit in (1, 2) for level in ("zone", "district"))],
)
def test_no_subscription_moves_more_bins_than_declared_and_some_moves_as_many(
    parameters: dict[str, object], level: str
) -> None:
    bounds = declare(UNION_SKETCH, parameters, 24)  # type: ignore[arg-type]
    most = {0: 0, 1: 0}
    for whole, bins, change in moved(union_sketch, parameters, level):
        assert bins <= (bounds.cells_by_period if whole else bounds.cells_by_day)
        assert change <= bounds.cell_maximum == 1
        most[whole] = max(most[whole], bins)
    assert most[1] == bounds.cells_by_period
    if level != "district":
        # In a district with a limit of 2 there are no four areas to move between.
        assert most[0] == min(bounds.cells_by_day, 4)


def test_with_the_smallest_person_of_several_the_bound_by_day_would_be_broken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rule of one person is needed, and these worlds would notice if it were not there."""

    def smallest(case: Case, who: int) -> int | None:
        found = [case.persons[n][who] for n in range(len(DATES)) if who in case.persons[n]]
        return min(found, default=None)

    monkeypatch.setattr(by_hand, "one_person", smallest)
    assert max(bins for _whole, bins, _change in moved(union_sketch, NATIONAL, "nation")) == 2


def test_areas_drawn_of_a_person_instead_of_a_subscriber_would_break_the_bound_by_period() -> None:
    def of_person(case: Case, level: str) -> Table:
        """Join subscribers to persons first, then draw: what must not be done."""
        cells: dict[int, set[int]] = {}
        for who in by_hand._everybody(case):
            person = by_hand.one_person(case, who)
            if person is not None:
                seen = {row.zone for number in range(len(DATES)) for row in case.own(number).get(who, ())}
                cells.setdefault(person, set()).update(seen)
        table = [[0] * case.parameters["bins"] for _ in case.areas(level)]
        for person, zones in cells.items():
            for area in by_hand._sampled(case, person, zones):
                table[area][by_hand.bin_of(person, case.period_key, case.parameters["bins"])] += 1
        return table

    assert max(bins for whole, bins, _change in moved(of_person, by_zone(1), "zone") if whole) == 2


def test_the_node_counts_some_of_these_worlds_as_the_definition_does(duckdb: Load) -> None:
    rng = np.random.default_rng(6)
    for place in rng.integers(0, len(OTHERS), 4).tolist():
        days = tuple(DAYS[number] for number in rng.integers(0, len(DAYS), len(DATES)).tolist())
        for parameters, level in ((NATIONAL, "nation"), (by_zone(1), "zone"), (by_zone(2), "district")):
            case = case_of({**OTHERS[place], WHO: days}, parameters)
            assert of_node(duckdb, case, level) == union_sketch(case, level), (place, days)


# --- what is refused, and what is not told ----------------------------------------------------------------


def test_a_sketch_without_key_or_persons_is_not_made_and_the_key_is_shown_nowhere(duckdb: Load) -> None:
    world = World(DATES, (frozenset(), frozenset()), Hold(60), 1, 2, ((0, 0),) * 5, (1,) * 6, ({}, {}))
    given, terms = inputs(duckdb, world), terms_for(UNION_SKETCH, NATIONAL, DATES)
    with pytest.raises(DataUnavailable, match="no key of this product and period"):
        exact_vector(terms, replace(given, period_key=None))
    with pytest.raises(PrivacyProblem, match=r"did not get the persons of its 2 day\(s\)"):
        exact_vector(terms, replace(given, persons=given.persons[:1]))
    shown = repr(given)
    assert repr(PERIOD_KEY) not in shown
    assert PERIOD_KEY.hex() not in shown
    with pytest.raises(PrivacyProblem) as caught:
        exact_vector(terms, replace(given, period_key=PERIOD_KEY[:-1]))
    assert repr(PERIOD_KEY[:-1]) not in caught.value.explain()
