"""Times of all forms against the time-zone database: hours that come twice, hours that never come, offsets."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend

from node.sources.events import Day
from node.sources.reasons import Reason
from node.sources.times import pieces_around
from privacy.errors import UsageProblem
from tests.support_node import BRUSSELS, LONG_DAY, SHORT_DAY, instant
from tests.unit.node.sources.support import reasons, source_of, through_the_door
from tests.unit.node.worlds import ORDINARY_DAY, WORLDS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("events")


def door(
    db: Backend,
    folder: Path,
    times: list[Any] | pa.Array,
    day: date = ORDINARY_DAY,
    type_: Any = None,
    **time: Any,
) -> list[tuple[int, Reason]]:
    """Return instant and reason of events with these times."""
    table = pa.table(
        {
            "subscriber_id": list(range(len(times))),
            "timestamp_ms": pa.array(times, type_),
            "cell_id": [1] * len(times),
        }
    )
    found = through_the_door(db, folder, table, source_of(time=time), day)
    return [(row["t_us"], reason) for row, reason in found]


def clock(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001 - a clock's time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-10-20T12:00:00Z", 14 * 3600),
        ("2026-10-20 12:00:00z", 14 * 3600),
        ("2026-10-20T12:00:00+02:00", 12 * 3600),
        ("2026-10-20T12:00:00 -0330", 17.5 * 3600),
        ("2026-10-20T12:00+02", 12 * 3600),
        ("2026-10-20T12:00:00.25+02:00", 12 * 3600 + 0.25),
        ("2026-10-20T12:00:00", 12 * 3600),
        ("2026-10-20 12:00", 12 * 3600),
    ],
)
def test_iso_times_say_their_offset_or_are_the_clocks(
    db: Backend, folder: Path, text: str, seconds: float
) -> None:
    assert door(db, folder, [text], format="iso", zone=BRUSSELS) == [(instant(ORDINARY_DAY, seconds), 0)]


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-20",
        "20-10-2026 12:00",
        "2026-13-20T12:00:00",
        "2026-10-20T25:00:00",
        "noon",
        "2026-10-20T12:00:00+2",
    ],
)
def test_what_is_no_iso_time_is_unparsable(db: Backend, folder: Path, text: str) -> None:
    assert [reason for _t, reason in door(db, folder, [text], format="iso", zone=BRUSSELS)] == [
        Reason.UNPARSABLE_TIME
    ]


def test_a_clocks_time_without_a_zone_is_no_instant(db: Backend, folder: Path) -> None:
    assert [r for _t, r in door(db, folder, ["2026-10-20T12:00:00"], format="iso")] == [
        Reason.UNPARSABLE_TIME
    ]


def test_forms_are_tried_in_their_order(db: Backend, folder: Path) -> None:
    times = ["20/10/2026 12:00:00", "2026-10-20T10:00:00Z", "1792490400000", "10/20/2026 12:00", "", None]
    found = door(db, folder, times, format=["%d/%m/%Y %H:%M:%S", "iso", "epoch_ms"], zone=BRUSSELS)
    noon = instant(ORDINARY_DAY, 12 * 3600)
    assert found[:3] == [(noon, 0)] * 3
    assert [reason for _t, reason in found[3:]] == [
        Reason.UNPARSABLE_TIME,
        Reason.NULL_TIME,
        Reason.NULL_TIME,
    ]


def test_a_pattern_may_have_an_offset(db: Backend, folder: Path) -> None:
    found = door(db, folder, ["20261020 120000 +0200"], format="%Y%m%d %H%M%S %z")
    assert found == [(instant(ORDINARY_DAY, 12 * 3600), 0)]


@pytest.mark.parametrize(
    ("ambiguous", "seconds"), [("first", 2.5 * 3600), ("second", 3.5 * 3600), ("reject", None)]
)
def test_the_hour_that_comes_twice_is_what_the_mapping_says(
    db: Backend, folder: Path, ambiguous: str, seconds: float | None
) -> None:
    times = ["2026-10-25 01:59:59", "2026-10-25 02:30:00", "2026-10-25 03:00:00"]
    found = door(db, folder, times, LONG_DAY, format="iso", zone=BRUSSELS, ambiguous=ambiguous)
    assert found[0] == (instant(LONG_DAY, 2 * 3600 - 1), 0)
    assert found[2] == (instant(LONG_DAY, 4 * 3600), 0)
    if seconds is None:
        assert found[1][1] is Reason.AMBIGUOUS_TIME
    else:
        assert found[1] == (instant(LONG_DAY, seconds), 0)


@pytest.mark.parametrize("ambiguous", ["first", "second", "reject"])
def test_the_hour_that_never_comes_is_always_rejected(db: Backend, folder: Path, ambiguous: str) -> None:
    times = ["2026-03-29 01:59:59", "2026-03-29 02:00:00", "2026-03-29 02:59:59", "2026-03-29 03:00:00"]
    found = door(db, folder, times, SHORT_DAY, format="iso", zone=BRUSSELS, ambiguous=ambiguous)
    assert [reason for _t, reason in found] == [0, Reason.AMBIGUOUS_TIME, Reason.AMBIGUOUS_TIME, 0]
    assert found[3][0] == instant(SHORT_DAY, 2 * 3600)


ZONES = (BRUSSELS, "UTC", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu", "Atlantic/Azores")


@WORLDS
@given(
    zone=st.sampled_from(ZONES),
    day=st.sampled_from(
        (ORDINARY_DAY, SHORT_DAY, LONG_DAY, date(2026, 4, 5), date(2026, 10, 4), date(2024, 2, 29))
    ),
    seconds=st.lists(st.integers(-86_400, 2 * 86_400), min_size=1, max_size=8),
    ambiguous=st.sampled_from(("first", "second")),
)
def test_a_clocks_time_is_the_instant_of_the_time_zone_database(  # noqa: PLR0917 - drawn
    db: Backend, folder: Path, zone: str, day: date, seconds: list[int], ambiguous: str
) -> None:
    """Every instant that the clock shows is found again, or is the other one of an hour that comes twice."""
    fold = int(ambiguous == "second")
    instants = [instant(day, since) for since in seconds]
    shown = [
        (EPOCH + timedelta(microseconds=t)).astimezone(ZoneInfo(zone)).replace(tzinfo=None) for t in instants
    ]
    found = door(
        db,
        folder,
        [f"{time:%Y-%m-%d %H:%M:%S}" for time in shown],
        day,
        format="iso",
        zone=zone,
        ambiguous=ambiguous,
    )
    expected = [
        (time.replace(tzinfo=ZoneInfo(zone), fold=fold) - EPOCH) // timedelta(microseconds=1)
        for time in shown
    ]
    assert [t for t, _reason in found] == expected


def test_pieces_meet_without_a_gap() -> None:
    pieces = pieces_around(Day.of(LONG_DAY, BRUSSELS), BRUSSELS)
    assert [piece.offset_us // 3_600_000_000 for piece in pieces] == [2, 1]
    assert pieces[0].end_us == pieces[1].start_us == instant(LONG_DAY, 3 * 3600)
    assert (pieces[0].start_us, pieces[1].end_us) == (None, None)
    assert len(pieces_around(Day.of(ORDINARY_DAY, BRUSSELS), BRUSSELS)) == 1


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_column_of_times_is_read_as_the_clocks_or_as_instants(db: Backend, folder: Path, unit: str) -> None:
    noon = instant(ORDINARY_DAY, 12 * 3600)
    found = door(
        db,
        folder,
        [clock(ORDINARY_DAY, 12), None],
        type_=pa.timestamp(unit),
        format="timestamp",
        zone=BRUSSELS,
    )
    assert found[0] == (noon, 0)
    assert found[1][1] is Reason.NULL_TIME
    aware = datetime(2026, 10, 20, 10, tzinfo=UTC)
    assert door(db, folder, [aware], type_=pa.timestamp(unit, "UTC"), format="timestamp") == [(noon, 0)]


@pytest.mark.parametrize(
    ("value", "form", "micros"),
    [
        (1792490400.25, "epoch_s", 1_792_490_400_250_000),
        ("1792490400.123456789", "epoch_s", 1_792_490_400_123_456),
        ("-5", "epoch_s", -5_000_000),
        ("1e9", "epoch_s", None),
        ("99999999999999999999", "epoch_s", None),
    ],
)
def test_fractions_of_an_epoch_are_cut_to_microseconds(
    db: Backend, folder: Path, value: Any, form: str, micros: int | None
) -> None:
    ((found, reason),) = door(db, folder, [value], format=form)
    assert found == (-1 if micros is None else micros)
    if micros is None:
        assert reason is Reason.UNPARSABLE_TIME


def test_a_time_that_does_not_fit_into_64_bits_is_in_no_day(db: Backend, folder: Path) -> None:
    found = door(db, folder, [2.0**63, -(2.0**63), 1e300], type_=pa.float64(), format="epoch_s")
    assert {reason for _t, reason in found} == {Reason.OUTSIDE_DAY}
    assert reasons([]) == []


def test_what_is_no_number_is_no_time(db: Backend, folder: Path) -> None:
    found = door(db, folder, [math.nan, math.inf, -math.inf], type_=pa.float64(), format="epoch_s")
    assert [reason for _row, reason in found] == [Reason.UNPARSABLE_TIME] * 3


@pytest.mark.parametrize(
    ("form", "factor", "type_"),
    [
        *[("epoch_s", 1, pa.decimal128(*size)) for size in ((13, 3), (16, 6), (18, 3), (18, 6), (38, 9))],
        *[("epoch_ms", 1000, pa.decimal128(*size)) for size in ((18, 3), (15, 2), (38, 0))],
    ],
)
def test_decimals_of_any_size_are_times(
    db: Backend, folder: Path, form: str, factor: int, type_: pa.DataType
) -> None:
    noon = instant(ORDINARY_DAY, 12 * 3600)
    found = door(db, folder, [Decimal(noon) / 10**6 * factor, None], type_=type_, format=form)
    assert found == [(noon, Reason.ACCEPTED), (-1, Reason.NULL_TIME)]


@pytest.mark.parametrize(("value", "type_"), [(10**37, (38, 0)), (10**24, (38, 9)), (-(10**24), (38, 9))])
def test_a_decimal_that_is_no_time_of_any_day_refuses_no_day(
    db: Backend, folder: Path, value: int, type_: tuple[int, int]
) -> None:
    found = door(db, folder, [Decimal(value)], type_=pa.decimal128(*type_), format="epoch_s")
    assert [reason for _t, reason in found] == [Reason.OUTSIDE_DAY]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("value", [2**63 - 2, -(2**63) + 1, -9223372022400000000])
def test_a_timestamp_at_the_limit_of_64_bits_refuses_no_day(
    db: Backend, folder: Path, zone: str, value: int
) -> None:
    """Of seconds and milliseconds the engine cannot read them at all."""
    type_ = pa.timestamp("us")
    column = pa.array([value], pa.int64()).view(type_)
    found = door(db, folder, column, type_=type_, format="timestamp", zone=zone)
    assert [reason for _t, reason in found] == [Reason.OUTSIDE_DAY]


def test_a_day_of_26_hours_is_refused() -> None:
    with pytest.raises(UsageProblem, match="more than 25 hours in Antarctica/Troll"):
        Day.of(date(2026, 10, 25), "Antarctica/Troll")
