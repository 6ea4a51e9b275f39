"""Rules over a subscriber's ordered rows: against plain Python on small worlds, on DuckDB and PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ibis
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend

from node.engines import postgres
from node.sources.reasons import Reason
from node.sources.sequence import SequenceRules, sequenced
from tests.unit.node.worlds import FEW_WORLDS, WORLDS

NAMES = ("subscriber", "t_us", "cell", "zone", "x_m", "y_m", "origin", "reason")
#: Cell → (zone, x, y): three on a line, one on top of the first, one very far away.
CELLS = {
    0: (0, 0, 0),
    1: (0, 3000, 4000),
    2: (1, 30_000, 40_000),
    3: (2, 0, 0),
    4: (2, -20_000_000, 10_000_000),
}
START = 1_792_447_200_000_000


@dataclass(frozen=True, order=True)
class Row:
    subscriber: int
    t_us: int
    cell: int
    origin: int = 0
    reason: int = 0

    @property
    def values(self) -> tuple[int, ...]:
        zone, x, y = CELLS[self.cell]
        return (self.subscriber, self.t_us, self.cell, zone, x, y, self.origin, self.reason)


def by_hand(rows: list[Row], rules: SequenceRules) -> Counter[tuple[int, int, int, int]]:
    """Return how often each (subscriber, t_us, cell, reason) comes out, worked out row by row."""
    found: Counter[tuple[int, int, int, int]] = Counter()
    for row in rows:
        if row.reason:
            found[row.subscriber, row.t_us, row.cell, row.reason] += 1
    for who in {row.subscriber for row in rows}:
        mine = Counter((r.t_us, r.cell) for r in rows if r.subscriber == who and not r.reason)
        ordered = sorted(mine)
        for (t, cell), count in mine.items():
            if count > 1:
                found[who, t, cell, Reason.DUPLICATE] += count - 1
        for place, (t, cell) in enumerate(ordered):
            before = ordered[place - 1] if place else None
            after = ordered[place + 1] if place + 1 < len(ordered) else None
            found[who, t, cell, judge((t, cell), before, after, rules)] += 1
    return found


def judge(
    row: tuple[int, int], before: tuple[int, int] | None, after: tuple[int, int] | None, rules: SequenceRules
) -> int:
    if before is None or after is None:
        return Reason.ACCEPTED
    alone = before[1] == after[1] != row[1]
    if rules.ghost_seconds and alone and after[0] - before[0] <= rules.ghost_seconds * 10**6:
        return Reason.GHOST
    if rules.max_speed and all(too_fast(row, other, rules.max_speed) for other in (before, after)):
        return Reason.IMPOSSIBLE_SPEED
    return Reason.ACCEPTED


def too_fast(row: tuple[int, int], other: tuple[int, int], speed: int) -> bool:
    (_, x, y), (_, u, v) = CELLS[row[1]], CELLS[other[1]]
    seconds = -(-abs(row[0] - other[0]) // 10**6)
    return (x - u) ** 2 + (y - v) ** 2 > (speed * seconds) ** 2


times = st.sampled_from((0, 1, 10**6 - 1, 10**6, 10**6 + 1, 60 * 10**6, 86_399 * 10**6)) | st.integers(
    0, 600 * 10**6
)
rows = st.lists(
    st.builds(
        Row,
        st.sampled_from((-1, 1, 2, 2**63 - 1)),
        times.map(lambda since: START + since),
        st.sampled_from(sorted(CELLS)),
        st.sampled_from((0, 0, 208)),
        st.sampled_from((0, 0, 0, 0, int(Reason.NULL_CELL))),
    ),
    min_size=1,
    max_size=25,
)
limits = st.builds(
    SequenceRules,
    ghost_seconds=st.sampled_from((0, 1, 60, 86_400)),
    max_speed=st.sampled_from((0, 1, 50, 5000, 20_000)),
)


def found_by(engine: ibis.BaseBackend, world: list[Row], rules: SequenceRules) -> Counter[tuple[int, ...]]:
    columns = zip(*(row.values for row in world), strict=True)
    table = pa.table({n: pa.array(c, pa.int64()) for n, c in zip(NAMES, columns, strict=True)})
    stored = engine.create_table("rows_for_rules", table, temp=True, overwrite=True)
    result = sequenced(stored, rules)
    assert set(result.columns) == set(NAMES)
    return Counter(
        (row["subscriber"], row["t_us"], row["cell"], row["reason"])
        for row in result.to_pyarrow().to_pylist()
    )


@WORLDS
@given(world=rows, rules=limits)
def test_the_rules_are_those_of_plain_python(db: Backend, world: list[Row], rules: SequenceRules) -> None:
    assert found_by(db, world, rules) == by_hand(world, rules)


@WORLDS
@given(world=rows, others=rows, rules=limits)
def test_rows_of_other_subscribers_change_nothing(
    db: Backend, world: list[Row], others: list[Row], rules: SequenceRules
) -> None:
    mine = {row.subscriber for row in world}
    alone = found_by(db, world, rules)
    together = found_by(db, world + [row for row in others if row.subscriber not in mine], rules)
    assert {key: count for key, count in together.items() if key[0] in mine} == alone


@pytest.fixture(scope="module")
def warehouse(server: str) -> Iterator[ibis.BaseBackend]:
    with postgres.connect(server) as engine:
        yield engine


@FEW_WORLDS
@given(world=rows, rules=limits)
def test_postgresql_finds_the_same(
    warehouse: ibis.BaseBackend, world: list[Row], rules: SequenceRules
) -> None:
    assert found_by(warehouse, world, rules) == by_hand(world, rules)


def outcome(db: Backend, rules: SequenceRules, *visits: tuple[float, int]) -> list[int]:
    """Return the reasons against one subscriber's events at (seconds, cell), in order."""
    world = [Row(7, START + int(seconds * 10**6), cell) for seconds, cell in visits]
    ordered = sorted(found_by(db, world, rules).elements())
    return [reason for _who, _when, _cell, reason in ordered]


GHOSTS = SequenceRules(ghost_seconds=60)
SPEEDS = SequenceRules(max_speed=50)


def test_one_event_elsewhere_between_two_of_a_cell_is_a_ghost(db: Backend) -> None:
    assert outcome(db, GHOSTS, (0, 0), (10, 1), (60, 0)) == [0, Reason.GHOST, 0]
    assert outcome(db, GHOSTS, (0, 0), (10, 1), (60.000001, 0)) == [0, 0, 0]
    assert outcome(db, GHOSTS, (0, 0), (10, 1), (20, 2)) == [0, 0, 0]
    assert outcome(db, GHOSTS, (0, 0), (10, 0), (20, 0)) == [0, 0, 0]


def test_every_row_is_judged_by_its_original_neighbours(db: Backend) -> None:
    """A ghost is still the neighbour of the rows beside it: nothing is judged again."""
    assert outcome(db, GHOSTS, (0, 0), (10, 1), (20, 0), (30, 1)) == [0, Reason.GHOST, Reason.GHOST, 0]


def test_a_speed_must_be_impossible_to_both_sides(db: Backend) -> None:
    # 5 km to each side: 100 s at 50 m/s are just enough, and seconds are rounded up.
    assert outcome(db, SPEEDS, (0, 0), (99, 1), (198, 0)) == [0, Reason.IMPOSSIBLE_SPEED, 0]
    assert outcome(db, SPEEDS, (0, 0), (99.5, 1), (198, 0)) == [0, 0, 0]
    assert outcome(db, SPEEDS, (0, 0), (99, 1), (200, 0)) == [0, 0, 0]
    assert outcome(db, SPEEDS, (0, 0), (1, 1)) == [0, 0]


def test_far_away_at_the_same_time_is_too_fast(db: Backend) -> None:
    assert outcome(db, SPEEDS, (0, 0), (0, 1), (0, 4)) == [0, Reason.IMPOSSIBLE_SPEED, 0]
    assert outcome(db, SPEEDS, (0, 0), (0, 3), (5, 0)) == [0, 0, 0]


def test_no_rule_but_that_of_duplicates_is_on_by_itself(db: Backend) -> None:
    assert outcome(db, SequenceRules(), (0, 0), (0, 0), (1, 4), (2, 0)) == [0, Reason.DUPLICATE, 0, 0]


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("fields", [{"max_speed": 20_001}, {"ghost_seconds": -1}, {"max_speed": 0.5}])
def test_limits_stay_where_squares_fit_into_63_bits(fields: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        SequenceRules.model_validate(fields)
