"""Judging rows one by one: every reason, ends of the day, cells of several parts, kinds, roamers, machines."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend

from node.sources.events import Day
from node.sources.reasons import WORDS, Reason
from tests.support_node import BRUSSELS, LONG_DAY, SHORT_DAY, instant
from tests.unit.node.sources.support import CELLS, reasons, source_of, through_the_door
from tests.unit.node.worlds import HOURS, ORDINARY_DAY, WORLDS, ZONE_OF

UNITS = {"epoch_s": 10**6, "epoch_ms": 10**3, "epoch_us": 1}
LOWEST, HIGHEST = -(2**63), 2**63 - 1
NOON = instant(ORDINARY_DAY, 12 * 3600) // 1000
#: (subscriber, time in the unit of the file, cell)
Row = tuple[int | None, int | None, int | None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("events")


def table_of(rows: list[Row], type_: pa.DataType = None) -> pa.Table:
    names = ("subscriber_id", "timestamp_ms", "cell_id")
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    return pa.table({n: pa.array(c, type_ or pa.int64()) for n, c in zip(names, columns, strict=True)})


def limits(day: date) -> tuple[int, int]:
    return instant(day, 0), instant(day, 3600 * HOURS[day])


def expected(row: Row, day: date, unit: int) -> Reason:
    """Return why plain Python, with integers of any size, rejects a row."""
    subscriber, time, cell = row
    start, end = limits(day)
    checks = (
        (subscriber is None, Reason.NULL_SUBSCRIBER),
        (subscriber is not None and subscriber < 0, Reason.BAD_SUBSCRIBER),
        (time is None, Reason.NULL_TIME),
        (time is not None and not start <= time * unit < end, Reason.OUTSIDE_DAY),
        (cell is None, Reason.NULL_CELL),
        (cell not in ZONE_OF, Reason.UNKNOWN_CELL),
    )
    return next((reason for applies, reason in checks if applies), Reason.ACCEPTED)


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
def test_the_door_judges_every_row_as_plain_python_does(
    db: Backend, folder: Path, delivery: tuple[date, str, list[Row]]
) -> None:
    day, unit, rows = delivery
    found = through_the_door(db, folder, table_of(rows), source_of(time={"format": unit}), day)
    assert reasons(found) == [expected(row, day, UNITS[unit]) for row in rows]
    for (subscriber, time, cell), (row, reason) in zip(rows, found, strict=True):
        if reason is Reason.ACCEPTED:
            assert subscriber is not None
            assert time is not None
            assert cell is not None
            assert (row["subscriber"], row["t_us"]) == (subscriber, time * UNITS[unit])
            # The index in the register of the day, which is in order of the cells' numbers.
            assert (row["cell"], row["zone"], row["origin"]) == (cell - 1, ZONE_OF[cell], 0)


@WORLDS
@given(delivery=deliveries(), others=deliveries())
def test_rows_of_others_and_of_other_days_change_no_decision(
    db: Backend,
    folder: Path,
    delivery: tuple[date, str, list[Row]],
    others: tuple[date, str, list[Row]],
) -> None:
    day, unit, rows = delivery
    source = source_of(time={"format": unit})
    alone = reasons(through_the_door(db, folder, table_of(rows), source, day))
    among = reasons(through_the_door(db, folder, table_of([*rows, *others[2]]), source, day))
    assert among[: len(rows)] == alone


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((None, NOON, 1), Reason.NULL_SUBSCRIBER),
        ((-1, None, 1), Reason.BAD_SUBSCRIBER),
        ((7, None, 1), Reason.NULL_TIME),
        ((7, NOON - 86_400_000, 1), Reason.OUTSIDE_DAY),
        ((7, NOON * 1000, 1), Reason.OUTSIDE_DAY),
        ((7, LOWEST, 1), Reason.OUTSIDE_DAY),
        ((7, NOON, None), Reason.NULL_CELL),
        ((7, NOON, 99), Reason.UNKNOWN_CELL),
        ((None, None, None), Reason.NULL_SUBSCRIBER),
        ((7, HIGHEST, None), Reason.OUTSIDE_DAY),
        ((7, NOON, 1), Reason.ACCEPTED),
    ],
)
def test_a_rejected_row_has_the_first_reason_that_applies(
    db: Backend, folder: Path, row: Row, reason: Reason
) -> None:
    assert reasons(through_the_door(db, folder, table_of([row]))) == [reason]


@pytest.mark.parametrize("type_", [pa.int32(), pa.uint32(), pa.uint64()], ids=str)
def test_integers_of_any_width_are_read(db: Backend, folder: Path, type_: pa.DataType) -> None:
    rows = table_of([(7, NOON // 1000, 1)], type_)
    assert reasons(through_the_door(db, folder, rows, source_of(time={"format": "epoch_s"}))) == [0]


def test_a_number_above_63_bits_is_no_pseudonym_no_time_and_no_cell(db: Backend, folder: Path) -> None:
    rows: list[Row] = [(2**63, NOON, 1), (7, 2**64 - 1, 1), (7, NOON, 2**63)]
    assert reasons(through_the_door(db, folder, table_of(rows, pa.uint64()))) == [
        Reason.BAD_SUBSCRIBER,
        Reason.OUTSIDE_DAY,
        Reason.UNKNOWN_CELL,
    ]


def test_numbers_written_as_text_are_the_numbers(db: Backend, folder: Path) -> None:
    texts = [("7", str(NOON), "1"), (" 7 ", f"{NOON}.5", " 2"), ("7.0", str(NOON), "1"), ("", "", "")]
    table = pa.table(
        dict(zip(("subscriber_id", "timestamp_ms", "cell_id"), zip(*texts, strict=True), strict=True))
    )
    found = through_the_door(db, folder, table)
    assert reasons(found) == [0, 0, Reason.BAD_SUBSCRIBER, Reason.NULL_SUBSCRIBER]
    assert [row["t_us"] for row, _ in found[:2]] == [NOON * 1000, NOON * 1000 + 500]


def test_a_cell_of_several_parts_is_found_by_all_of_them(db: Backend, folder: Path) -> None:
    cells = [
        {"cell.0": "206-01", "cell.1": 100, "zone": "Z001"},
        {"cell.0": "206-01", "cell.1": 200, "zone": "Z002"},
        {"cell.0": "206-02", "cell.1": 100, "zone": "Z003"},
    ]
    table = pa.table(
        {
            "subscriber_id": [1, 2, 3, 4, 5],
            "timestamp_ms": [NOON] * 5,
            "plmn": ["206-01", "206-02", "206-02", None, "206-01"],
            "ci": [200, 100, 200, 100, None],
        }
    )
    source = source_of(
        columns={"cell": ["plmn", "ci"]}, cells={"path": "c", "columns": {"cell": ["plmn", "ci"]}}
    )
    found = through_the_door(db, folder, table, source, cells=cells)
    assert [row["zone"] for row, _ in found[:2]] == [1, 2]
    assert reasons(found) == [0, 0, Reason.UNKNOWN_CELL, Reason.NULL_CELL, Reason.NULL_CELL]


def test_a_cell_that_is_a_number_here_and_a_text_there_is_one_cell(db: Backend, folder: Path) -> None:
    cells: list[dict[str, Any]] = [*CELLS, {"cell.0": "X9", "zone": "Z001"}]
    assert reasons(through_the_door(db, folder, table_of([(7, NOON, 3)]), cells=cells)) == [0]


def test_versions_of_a_cell_hold_on_their_days(db: Backend, folder: Path) -> None:
    cells = [
        {"cell.0": 1, "zone": "Z001", "valid_to": "2026-10-19"},
        {"cell.0": 1, "zone": "Z002", "valid_from": "2026-10-20"},
        {"cell.0": 2, "zone": "Z003", "valid_to": "2026-10-19 00:00:00"},
        {"cell.0": 3, "zone": "Z003", "valid_from": "2026-10-21"},
    ]
    found = through_the_door(db, folder, table_of([(7, NOON, 1), (7, NOON, 2), (7, NOON, 3)]), cells=cells)
    assert reasons(found) == [0, Reason.EXPIRED_CELL, Reason.EXPIRED_CELL]
    assert found[0][0]["zone"] == 1


def people(**columns: list[Any]) -> pa.Table:
    count = len(next(iter(columns.values())))
    same = {"subscriber_id": list(range(count)), "timestamp_ms": [NOON] * count, "cell_id": [1] * count}
    return pa.table(same | columns)


def test_kinds_that_do_not_count_are_left_out_and_unknown_ones_are_wrong(db: Backend, folder: Path) -> None:
    source = source_of(
        columns={"kind": "code"},
        kinds={"data": ["1"], "call": ["20", "21"], "sms": ["3"], "count": ["data", "call"]},
    )
    found = through_the_door(db, folder, people(code=["1", "21", "3", "9", None]), source)
    assert reasons(found) == [0, 0, Reason.EXCLUDED_KIND, Reason.UNKNOWN_KIND, Reason.UNKNOWN_KIND]


IMSIS = ["206010000000001", "206100000000007", "208010000000001", "012345678901234", "2", None, "abc"]


def test_own_subscribers_have_origin_0_and_others_their_country(db: Backend, folder: Path) -> None:
    source = source_of(
        columns={"home": "imsi"}, roamers={"own": ["20601", "206100000000000-206100000000009"]}
    )
    found = through_the_door(db, folder, people(imsi=IMSIS), source)
    assert [row["origin"] for row, _ in found[:4]] == [0, 0, 208, 12]
    assert reasons(found) == [0, 0, 0, 0, *[Reason.UNKNOWN_ORIGIN] * 3]
    without = source_of(columns={"home": "imsi"}, roamers={"own": ["206"], "inbound": "exclude"})
    assert reasons(through_the_door(db, folder, people(imsi=IMSIS), without))[:4] == [
        0,
        0,
        Reason.EXCLUDED_ORIGIN,
        Reason.EXCLUDED_ORIGIN,
    ]


def test_machines_are_told_by_device_and_by_subscription(db: Backend, folder: Path, tmp_path: Path) -> None:
    source = source_of(
        columns={"home": "imsi", "device": "imei"},
        roamers={"own": ["206"]},
        machines={"devices": ["35000000-35000009"], "subscriptions": ["2060199"]},
    )
    found = through_the_door(
        db,
        folder,
        people(
            imsi=["206010000000001", "206019900000001", "206010000000002", "206010000000003"],
            imei=["350000051234567", "490000001234567", "350000101234567", None],
        ),
        source,
    )
    assert reasons(found) == [Reason.MACHINE, Reason.MACHINE, 0, 0]


def test_who_is_across_the_border_is_not_here(db: Backend, folder: Path) -> None:
    cells = [{"cell.0": 1, "zone": "Z001", "border": "208, 262"}, {"cell.0": 2, "zone": "Z002"}]
    source = source_of(
        columns={"home": "imsi"},
        roamers={"own": ["206"]},
        cells={"path": "c", "columns": {"border": "neighbours"}},
    )
    table = people(imsi=["20801", "26201", "23415", "20601", "20801"], cell_id=[1, 1, 1, 1, 2])
    assert reasons(through_the_door(db, folder, table, source, cells=cells)) == [
        Reason.BORDER_ROAMING,
        Reason.BORDER_ROAMING,
        0,
        0,
        0,
    ]


def test_rows_of_other_days_can_be_left_out_instead(db: Backend, folder: Path) -> None:
    rows: list[Row] = [(7, NOON, 1), (7, NOON + 86_400_000, 1), (None, NOON - 86_400_000, 1), (7, None, 1)]
    source = source_of(events={"path": "{day}.parquet", "other_days": "skip"})
    assert reasons(through_the_door(db, folder, table_of(rows), source)) == [0, Reason.NULL_TIME]


def test_a_condition_selects_rows(db: Backend, folder: Path) -> None:
    source = source_of(events={"path": "{day}.parquet", "where": "day = DATE '{day}' AND subscriber_id <> 1"})
    table = people(day=[ORDINARY_DAY, ORDINARY_DAY, LONG_DAY])
    assert [row["q_row"] for row, _ in through_the_door(db, folder, table, source)] == [1]


def test_every_reason_has_words() -> None:
    assert set(WORDS) == set(Reason) - {Reason.ACCEPTED}


def test_days_are_those_of_the_calendar_of_the_time_zone() -> None:
    for day in (ORDINARY_DAY, SHORT_DAY, LONG_DAY):
        found = Day.of(day, BRUSSELS)
        assert (found.local, found.start_us, found.end_us) == (day, *limits(day))
