"""Judging event rows: every reason, duplicates, units of time, ends of the day; and the gate after it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend

from node.config import Source
from node.sources.events import REASONS, Day, accepted, counts, gate, judged
from privacy.errors import DataProblem, ExitCode
from tests.support_node import BRUSSELS, LONG_DAY, SHORT_DAY, instant
from tests.unit.node.worlds import HOURS, ORDINARY_DAY, WORLDS, ZONE_OF, loaded

UNITS = {"s": 10**6, "ms": 10**3, "us": 1}
LOWEST, HIGHEST = -(2**63), 2**63 - 1
#: (subscriber, time in the unit of the file, cell)
Row = tuple[int | None, int | None, int | None]
_names = itertools.count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("events")


def source_of(unit: str, **more: Any) -> Source:
    return Source(
        events="{day}.parquet",
        cells="cells.parquet",
        first_day=ORDINARY_DAY,
        last_day=ORDINARY_DAY,
        time_unit=unit,
        **more,
    )


def limits(day: date) -> tuple[int, int]:
    """Return the first instants of a day and of the next, in microseconds."""
    return instant(day, 0), instant(day, 3600 * HOURS[day])


def judge(
    db: Backend, folder: Path, day: date, unit: str, table: pa.Table
) -> tuple[dict[str, int], set[tuple[int, ...]]]:
    """Return the counts by reason and the accepted events of an event file."""
    root = folder / str(next(_names))
    root.mkdir()
    pq.write_table(table, root / f"{day}.parquet")
    cells = loaded(db, "cells", {"cell": list(ZONE_OF), "zone": list(ZONE_OF.values())})
    rows = judged(db, source_of(unit), root, Day.of(day, BRUSSELS), cells)
    # All columns of all rows, so that times far outside the day are converted as well.
    assert rows.to_pyarrow().num_rows == table.num_rows
    events = accepted(rows).to_pyarrow()
    kept = [
        tuple(event[name] for name in ("subscriber", "t_us", "cell", "zone")) for event in events.to_pylist()
    ]
    assert len(kept) == len(set(kept))
    assert all(field.type == pa.int64() for field in events.schema)
    return counts(rows, len(kept)), set(kept)


def as_table(rows: Sequence[Row], type_: pa.DataType = None) -> pa.Table:
    names = ("subscriber_id", "timestamp_ms", "cell_id")
    return pa.table(
        {
            name: pa.array(row, type_ or pa.int64())
            for name, row in zip(names, zip(*rows, strict=True), strict=True)
        }
    )


def reason(row: Row, day: date, unit: str) -> str:
    """Return why plain Python, with integers of any size, rejects a row."""
    subscriber, time, cell = row
    start, end = limits(day)
    if subscriber is None:
        return "null_subscriber"
    if subscriber < 0:
        return "negative_subscriber"
    if time is None:
        return "null_time"
    if not start <= time * UNITS[unit] < end:
        return "outside_day"
    if cell is None:
        return "null_cell"
    return "" if cell in ZONE_OF else "unknown_cell"


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[date, str, list[Row]]:
    day, unit = draw(st.sampled_from(sorted(HOURS))), draw(st.sampled_from(sorted(UNITS)))
    start, end = (limit // UNITS[unit] for limit in limits(day))
    edges = st.sampled_from((start - 1, start, start + 1, end - 1, end, end + 1))
    extremes = st.sampled_from((LOWEST, LOWEST + 1, -1, 0, 1, HIGHEST // 10**3, HIGHEST // 10**6, HIGHEST))
    times = st.none() | extremes | edges | edges | st.integers(start, end - 1)
    subscribers = st.none() | st.sampled_from((0, 1, 2, HIGHEST, -1, LOWEST))
    cells = st.none() | st.sampled_from((*ZONE_OF, *ZONE_OF, 5, -1, HIGHEST, LOWEST))
    return day, unit, draw(st.lists(st.tuples(subscribers, times, cells), min_size=1, max_size=40))


@WORLDS
@given(delivery=deliveries())
def test_the_node_judges_every_row_as_plain_python_does(
    db: Backend, folder: Path, delivery: tuple[date, str, list[Row]]
) -> None:
    day, unit, rows = delivery
    found, kept = judge(db, folder, day, unit, as_table(rows))
    judgements = Counter(reason(row, day, unit) for row in rows)
    distinct = {
        (subscriber, time * UNITS[unit], cell, ZONE_OF[cell])
        for subscriber, time, cell in rows
        if subscriber is not None and time is not None and cell is not None
        if not reason((subscriber, time, cell), day, unit)
    }
    assert kept == distinct
    assert found == {
        "total": len(rows),
        "accepted": len(distinct),
        **{name: judgements[name] for name in REASONS},
        "duplicate": judgements[""] - len(distinct),
    }


NOON = instant(ORDINARY_DAY, 12 * 3600) // 1000


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((None, NOON, 1), "null_subscriber"),
        ((-1, NOON, 1), "negative_subscriber"),
        ((-1, None, 1), "negative_subscriber"),
        ((7, None, 1), "null_time"),
        ((7, NOON - 86_400_000, 1), "outside_day"),
        ((7, NOON + 86_400_000, 1), "outside_day"),
        ((7, NOON * 1000, 1), "outside_day"),
        ((7, LOWEST, 1), "outside_day"),
        ((7, HIGHEST, 1), "outside_day"),
        ((7, NOON, None), "null_cell"),
        ((7, NOON, 99), "unknown_cell"),
        ((None, None, None), "null_subscriber"),
        ((7, None, None), "null_time"),
        ((7, HIGHEST, None), "outside_day"),
    ],
)
def test_a_rejected_row_has_the_first_reason_that_applies(
    db: Backend, folder: Path, row: Row, expected: str
) -> None:
    found, kept = judge(db, folder, ORDINARY_DAY, "ms", as_table([(7, NOON, 1), row]))
    assert kept == {(7, NOON * 1000, 1, 0)}
    assert {name: found[name] for name in REASONS if found[name]} == {expected: 1}
    assert (found["total"], found["accepted"]) == (2, 1)


def test_the_same_event_again_is_a_duplicate_and_another_cell_is_not(db: Backend, folder: Path) -> None:
    rows: list[Row] = [(7, NOON, 3), (7, NOON, 3), (7, NOON, 3), (7, NOON, 4), (8, NOON, 3)]
    found, kept = judge(db, folder, ORDINARY_DAY, "ms", as_table(rows))
    assert kept == {(7, NOON * 1000, 3, 2), (7, NOON * 1000, 4, 2), (8, NOON * 1000, 3, 2)}
    assert (found["duplicate"], found["accepted"]) == (2, 3)


@pytest.mark.parametrize("unit", sorted(UNITS))
@pytest.mark.parametrize("day", sorted(HOURS))
def test_a_day_begins_with_its_midnight_and_ends_before_the_next(
    db: Backend, folder: Path, day: date, unit: str
) -> None:
    start, end = (limit // UNITS[unit] for limit in limits(day))
    assert (end - start) * UNITS[unit] == HOURS[day] * 3600 * 10**6
    rows: list[Row] = [(time - start + 2, time, 1) for time in (start - 1, start, end - 1, end)]
    found, kept = judge(db, folder, day, unit, as_table(rows))
    assert {time for _subscriber, time, _cell, _zone in kept} == {
        start * UNITS[unit],
        (end - 1) * UNITS[unit],
    }
    assert found["outside_day"] == 2


@pytest.mark.parametrize("type_", [pa.int32(), pa.uint32(), pa.uint64()], ids=str)
def test_integers_of_any_width_are_read_as_int64(db: Backend, folder: Path, type_: pa.DataType) -> None:
    seconds = NOON // 1000
    found, kept = judge(db, folder, ORDINARY_DAY, "s", as_table([(7, seconds, 1)], type_))
    assert kept == {(7, NOON * 1000, 1, 0)}
    assert found["accepted"] == 1


def test_a_number_above_63_bits_is_no_number_of_ours(db: Backend, folder: Path) -> None:
    whole: list[Row] = [(7, NOON, 1), (2**63, NOON, 1), (7, 2**64 - 1, 1), (7, NOON, 2**63)]
    found, kept = judge(db, folder, ORDINARY_DAY, "ms", as_table(whole, pa.uint64()))
    assert kept == {(7, NOON * 1000, 1, 0)}
    assert (found["null_subscriber"], found["null_time"], found["null_cell"]) == (1, 1, 1)


def test_columns_that_are_not_asked_for_are_not_looked_at(db: Backend, folder: Path) -> None:
    table = (
        as_table([(7, NOON, 1)]).append_column("cell", pa.array(["x"])).append_column("zone", pa.array([9]))
    )
    found, kept = judge(db, folder, ORDINARY_DAY, "ms", table)
    assert kept == {(7, NOON * 1000, 1, 0)}
    assert found["total"] == 1


def quality(total: int, kept: int) -> dict[str, int]:
    return {"total": total, "accepted": kept, **dict.fromkeys(REASONS, 0), "unknown_cell": total - kept}


@given(
    total=st.integers(1, 10**9),
    share=st.fractions(0, 1, max_denominator=2000),
    permille=st.integers(0, 1000),
)
@WORLDS
def test_the_gate_opens_up_to_the_declared_share_of_rejected_rows(
    total: int, share: Fraction, permille: int
) -> None:
    rejected = int(total * share)
    source = source_of("ms", max_rejected_permille=permille)
    if rejected < total and Fraction(rejected, total) <= Fraction(permille, 1000):
        gate(quality(total, total - rejected), source, ORDINARY_DAY)
    else:
        with pytest.raises(DataProblem):
            gate(quality(total, total - rejected), source, ORDINARY_DAY)


@pytest.mark.parametrize(("rejected", "opens"), [(0, True), (200, True), (201, False), (999, False)])
def test_by_default_a_fifth_of_the_rows_may_be_rejected(rejected: int, opens: bool) -> None:
    try:
        gate(quality(1000, 1000 - rejected), source_of("ms"), ORDINARY_DAY)
    except DataProblem:
        assert not opens
    else:
        assert opens


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (quality(0, 0), "the event file of 2026-10-20 has no rows"),
        (quality(4711, 0), "all rows of 2026-10-20 are rejected"),
        (quality(4711, 1234), "more than 12.5 % of the rows of 2026-10-20 are rejected"),
    ],
)
def test_a_closed_gate_says_which_rule_and_never_a_count(found: dict[str, int], what: str) -> None:
    with pytest.raises(DataProblem) as caught:
        gate(found, source_of("ms", max_rejected_permille=125), ORDINARY_DAY)
    assert caught.value.what == what
    assert caught.value.exit_code == ExitCode.DATA_UNUSABLE
    assert caught.value.todo
    assert not any(number in caught.value.explain() for number in ("4711", "1234", "3477"))
    if found["total"]:
        assert "quality/2026-10-20.json" in caught.value.means


def test_days_are_those_of_the_calendar_of_the_time_zone() -> None:
    for day in (ORDINARY_DAY, SHORT_DAY, LONG_DAY):
        found = Day.of(day, BRUSSELS)
        assert (found.local, found.start_us, found.end_us) == (day, *limits(day))
