"""The node builds a day by expressions or by the compiled pass, from an operator's own tables: the same day."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from node.config import Engine
from node.making import Made, Maker
from node.presence.hold import Hold
from node.sources.cleaning import Cleaner
from node.sources.mapping import Source
from node.sources.pseudonyms import Mapper
from node.sources.reading import Place
from privacy.errors import DataProblem
from tests.support_node import BRUSSELS, LONG_DAY, SHORT_DAY, instant
from tests.unit.node.sources.support import SECRET, register, source_of
from tests.unit.node.worlds import HOURS, ORDINARY_DAY

ROWS, PEOPLE = 20_000, 300
#: Two cells at one place, one whose validity is over, one that reaches into France.
CELLS: list[dict[str, Any]] = [
    {"cell.0": n, "zone": zone, "lon": lon, "lat": lat, "valid_to": to, "border": border}
    for n, zone, lon, lat, to, border in (
        (1, "Z001", 4.35, 50.85, None, None),
        (2, "Z002", 4.35, 50.85, None, None),
        (3, "Z003", 4.40, 51.20, None, "208"),
        (4, "Z003", 3.72, 51.05, None, None),
        (5, "Z001", 5.57, 50.63, "2020-12-31", None),
    )
]
COLUMNS = {"subscriber": "subscriber_id", "cell": "cell_id", "home": "home"}
MAPPING: dict[str, Any] = {
    "columns": COLUMNS,
    "cells": {"path": "cells.parquet", "columns": {"lon": "lon", "lat": "lat", "border": "border"}},
    "roamers": {"own": ["20601"]},
    "sequence": {"ghost_seconds": 300, "max_speed": 200},
    "pseudonyms": {},
}
NUMBERS = np.random.default_rng(8).integers(1, 2**62, PEOPLE)


def numbers(who: Any) -> pa.Array:
    return pa.array(NUMBERS[who])


def with_nulls(who: Any) -> pa.Array:
    return pa.array(NUMBERS[who], mask=who == 0)


def negative(who: Any) -> pa.Array:
    """Hashes of an operator as signed numbers."""
    return pa.array(NUMBERS[who] * np.where(who % 2, 1, -1))


def beyond_63_bits(who: Any) -> pa.Array:
    return pa.array(NUMBERS.astype(np.uint64)[who] + np.uint64(2**63))


def texts(who: Any) -> pa.Array:
    return pa.array([f"20601{number:010d}" for number in who])


Ids = Callable[[Any], pa.Array]
IDS: tuple[Ids, ...] = (numbers, with_nulls, negative, beyond_63_bits, texts)


def events(ids: Ids, day: Any) -> pa.Table:
    """Return rows with all that can be wrong: nulls, other days, unknown and old cells, roamers, repetitions."""
    random = np.random.default_rng(5)
    who = random.integers(0, PEOPLE, ROWS)
    milliseconds = instant(day, 0) // 1000 + random.integers(-60, HOURS[day] * 3600 + 60, ROWS) * 1000
    homes = np.array(["20601", "20810", "26201", "xx", None], dtype=object)[who % 5]
    table = pa.table(
        {
            "subscriber_id": ids(who),
            "timestamp_ms": pa.array(milliseconds, mask=random.random(ROWS) < 0.01),
            "cell_id": random.integers(1, 7, ROWS),
            "home": pa.array(homes.tolist(), pa.string()),
        }
    )
    return pa.concat_tables([table, table.slice(0, ROWS // 20)])


def maker(root: Path, source: Source, build: str, memory: str = "300MB") -> Maker:
    scratch = root / build
    scratch.mkdir(exist_ok=True)
    engine = Engine(memory_limit=memory, threads=2, build=build)
    cleaner = Cleaner(source, Place(root, scratch), BRUSSELS, SECRET)
    return Maker(cleaner, register(CELLS, source), engine, Hold(120, 45), SECRET, scratch)


def both(root: Path, source: Source, day: Any = ORDINARY_DAY, memory: str = "300MB") -> list[Made]:
    """Return a day made by both ways."""
    found = []
    for build in ("expressions", "auto"):
        with maker(root, source, build, memory).made(day, rejected=False) as (_db, made):
            found.append(made)
    return found


def require_same(one: Made, other: Made) -> None:
    assert one.found == other.found
    assert one.cells == other.cells
    assert one.when.cells == other.when.cells
    assert one.when.minutes.tolist() == other.when.minutes.tolist()
    assert one.when.cells_by_hour.tolist() == other.when.cells_by_hour.tolist()
    for kind in ("presence", "visits"):
        first, second = (pq.ParquetFile(getattr(made, kind)).read() for made in (one, other))
        assert first.num_rows
        assert first.schema.names == second.schema.names
        assert first.schema.types == second.schema.types
        # What may be null is written down differently; that nothing is, is compared.
        assert first.columns == second.columns
        assert getattr(other, kind).stat().st_mode & 0o777 == 0o600
    assert one.rejecting.read_bytes() == other.rejecting.read_bytes()
    assert rejecting(other)
    assert other.rejecting.stat().st_mode & 0o777 == 0o600


def rejecting(made: Made) -> list[int]:
    """Return the subscribers with a rejected row."""
    table = pq.ParquetFile(made.rejecting).read()
    assert table.schema == pa.schema([pa.field("subscriber", pa.int64(), nullable=False)])
    return list(table["subscriber"].to_pylist())


#: Who, seconds of the day, cell, home: what happens to whom, and whether a row counts as rejected.
STORIES: dict[int, tuple[bool, list[tuple[float | None, int, str | None]]]] = {
    1: (True, [(60, 1, "20601"), (120, 6, "20601")]),  # one row good, one at an unknown cell
    2: (True, [(60, 1, "20601"), (60, 1, "20601")]),  # the same twice
    3: (True, [(60, 5, "20601")]),  # nothing but a cell that is no more
    4: (False, [(60, 1, "20601"), (-5, 1, "20601"), (86_400, 6, "20601")]),  # rows of other days
    5: (False, [(60, 1, "20601"), (None, 1, "20601"), (None, 6, "20601")]),  # rows without a time
    6: (False, [(60, 6, "20810")]),  # another network's
    7: (True, [(60, 1, "xx")]),  # nobody knows whose
    8: (False, [(60, 1, "20601"), (61, 1, "20601")]),  # all good
    9: (True, [(60, 1, "20601"), (70, 3, "20601"), (80, 1, "20601")]),  # a ghost
    10: (False, [(60, 1, "26201"), (60, 1, "26201")]),  # another network's, twice
    11: (False, [(60, 3, "20810")]),  # across the border
    12: (True, [(60, 1, "20601"), (60, 1, "26201"), (70, 1, "20601")]),  # own by one of its accepted rows
    13: (False, [(60, 6, "26201"), (70, 1, "20601")]),  # the rejected row is another network's
    14: (False, [(60, 1, "20699")]),  # out of scope if roamers are left out, and good else
}


def of_stories() -> pa.Table:
    rows: list[tuple[int | None, float | None, int, str | None]] = [
        (who, *row) for who, (_counts, found) in STORIES.items() for row in found
    ]
    rows += [(None, 60, 6, "20601"), (-3, 60, 6, "20601")]
    begin = instant(ORDINARY_DAY, 0) // 1000
    return pa.table(
        {
            "subscriber_id": pa.array([row[0] for row in rows], pa.int64()),
            "timestamp_ms": pa.array(
                [None if row[1] is None else begin + int(row[1] * 1000) for row in rows], pa.int64()
            ),
            "cell_id": [row[2] for row in rows],
            "home": pa.array([row[3] for row in rows], pa.string()),
        }
    )


@pytest.mark.parametrize("inbound", ["count", "exclude"])
@pytest.mark.parametrize("given", [True, False], ids=["given", "made here"])
def test_both_ways_tell_who_had_a_row_of_the_day_rejected(tmp_path: Path, given: bool, inbound: str) -> None:
    pq.write_table(of_stories(), tmp_path / f"{ORDINARY_DAY}.parquet")
    roamers = {"own": ["20601"], "inbound": inbound}
    source = source_of(**{**MAPPING, "roamers": roamers, "pseudonyms": {"given": True} if given else {}})
    one, other = both(tmp_path, source)
    expected = [who for who, (counts, _rows) in STORIES.items() if counts]
    if inbound == "exclude":
        # Of 12, the row of the other network is out of scope, and no row is there twice.
        expected.remove(12)
    if not given:
        mapper = Mapper(SECRET, "subscriber", "2026-10")
        # What is no pseudonym is an identifier like any other.
        expected = sorted(mapper([*expected, -3]).tolist())
    assert rejecting(one) == rejecting(other) == expected
    assert one.rejecting.read_bytes() == other.rejecting.read_bytes()


def test_rows_that_are_not_asked_for_are_not_rejected(tmp_path: Path) -> None:
    """Kinds 1 and 2 are declared, 2 does not count, and nobody declared 3."""
    table = of_stories().slice(0, 3)
    table = table.set_column(0, "subscriber_id", pa.array([1, 2, 3])).append_column("kind", pa.array("123"))
    pq.write_table(table.set_column(2, "cell_id", pa.array([1, 1, 1])), tmp_path / f"{ORDINARY_DAY}.parquet")
    source = source_of(
        **{
            **MAPPING,
            "columns": {**COLUMNS, "kind": "kind"},
            "kinds": {"data": ["1"], "call": ["2"], "count": ["data"]},
            "pseudonyms": {"given": True},
        }
    )
    assert [rejecting(made) for made in both(tmp_path, source)] == [[3], [3]]


@pytest.mark.parametrize("ids", IDS, ids=lambda ids: ids.__name__)
@pytest.mark.parametrize("day", [ORDINARY_DAY, LONG_DAY, SHORT_DAY], ids=str)
def test_both_ways_make_the_same_day(tmp_path: Path, ids: Ids, day: Any) -> None:
    pq.write_table(events(ids, day), tmp_path / f"{day}.parquet")
    require_same(*both(tmp_path, source_of(**MAPPING, first_day=day, last_day=day), day))


@pytest.mark.parametrize("ids", [numbers, with_nulls, negative], ids=lambda ids: ids.__name__)
def test_both_ways_take_pseudonyms_that_are_given(tmp_path: Path, ids: Ids) -> None:
    pq.write_table(events(ids, ORDINARY_DAY), tmp_path / f"{ORDINARY_DAY}.parquet")
    require_same(*both(tmp_path, source_of(**{**MAPPING, "pseudonyms": {"given": True}})))


def test_both_ways_make_the_same_of_text_files_with_lines_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / f"{ORDINARY_DAY}.csv"
    pc.write_csv(events(texts, ORDINARY_DAY), path)
    with path.open("a") as file:
        file.write("one,two\n,,,\nthree\n")
    one, other = both(tmp_path, source_of(**MAPPING, events={"kind": "csv", "path": ["{day}.csv"]}))
    require_same(one, other)
    assert other.found["unreadable_line"] == 2


def test_both_ways_keep_within_little_memory(tmp_path: Path) -> None:
    pq.write_table(events(numbers, ORDINARY_DAY), tmp_path / f"{ORDINARY_DAY}.parquet")
    require_same(*both(tmp_path, source_of(**MAPPING), memory="40MB"))


def test_a_day_without_a_usable_row_is_two_empty_tables_either_way(tmp_path: Path) -> None:
    rows = events(numbers, ORDINARY_DAY)
    nowhere = rows.set_column(2, "cell_id", pa.array(np.full(rows.num_rows, 99)))
    pq.write_table(nowhere, tmp_path / f"{ORDINARY_DAY}.parquet")
    one, other = both(tmp_path, source_of(**MAPPING))
    assert one.found == other.found
    assert one.found["accepted"] == 0
    for kind in ("presence", "visits"):
        first, second = (pq.ParquetFile(getattr(made, kind)).read() for made in (one, other))
        assert first.num_rows == 0
        assert first.schema.types == second.schema.types


@pytest.mark.parametrize("build", ["expressions", "auto"])
def test_an_expression_that_fails_on_a_row_is_the_same_problem_either_way(tmp_path: Path, build: str) -> None:
    table = events(numbers, ORDINARY_DAY)
    cells = ["secret-cell", *map(str, table["cell_id"].to_pylist()[1:])]
    pq.write_table(table.set_column(2, "cell_id", pa.array(cells)), tmp_path / f"{ORDINARY_DAY}.parquet")
    source = source_of(**{**MAPPING, "columns": {**COLUMNS, "cell": "cell_id::BIGINT"}})
    with (
        pytest.raises(DataProblem, match="an expression fails on a row") as caught,
        maker(tmp_path, source, build).made(ORDINARY_DAY, rejected=False),
    ):
        pass
    assert "secret-cell" not in caught.value.explain()
    assert caught.value.__suppress_context__


def test_rejected_rows_are_kept_by_the_expressions(tmp_path: Path) -> None:
    pq.write_table(events(numbers, ORDINARY_DAY), tmp_path / f"{ORDINARY_DAY}.parquet")
    with maker(tmp_path, source_of(**MAPPING), "auto").made(ORDINARY_DAY, rejected=True) as (_db, made):
        assert made.rejected is not None
        kept = pq.ParquetFile(made.rejected).metadata.num_rows
    # Lines that are no rows, and rows that were skipped, are not among them.
    assert kept == made.found["total"] - made.found["accepted"]


def persons_by_hand(table: pa.Table, made: Made) -> dict[int, int]:
    """Return subscriber → person, of those in presence who have a national identifier: the smallest pseudonym."""
    mappers = [Mapper(SECRET, "subscriber", "2026-10"), Mapper(NATIONAL, "national", "2026-10")]
    present = {*pq.ParquetFile(made.presence).read(["subscriber"])["subscriber"].to_pylist()}
    found: dict[int, int] = {}
    for who, national in zip(table["subscriber_id"].to_pylist(), table["national"].to_pylist(), strict=True):
        if who is not None and national is not None:
            subscriber, person = (
                int(mapper([one])[0]) for mapper, one in zip(mappers, (who, national), strict=True)
            )
            found[subscriber] = min(person, found.get(subscriber, person))
    return {subscriber: person for subscriber, person in found.items() if subscriber in present}


NATIONAL = bytes(range(32, 64))


@pytest.mark.parametrize("ids", IDS, ids=lambda ids: ids.__name__)
def test_both_ways_tell_which_subscribers_are_one_person(tmp_path: Path, ids: Ids) -> None:
    table = events(ids, ORDINARY_DAY)
    number = np.random.default_rng(5).integers(0, PEOPLE, ROWS)
    number = np.concatenate([number, number[: ROWS // 20]])
    # Two subscribers to a person, some without one, one of them with two.
    national = pa.array([f"NN{who // 2}" if who % 7 else None for who in number.tolist()])
    table = table.append_column("national", national)
    table = pa.concat_tables([table, table.slice(0, 1).set_column(4, "national", pa.array(["NN-other"]))])
    pq.write_table(table, tmp_path / f"{ORDINARY_DAY}.parquet")
    (tmp_path / "national.key").write_bytes(NATIONAL)
    (tmp_path / "national.key").chmod(0o600)
    source = source_of(
        **{
            **MAPPING,
            "columns": {**COLUMNS, "national_id": "national"},
            "pseudonyms": {"national_key_file": "national.key"},
        }
    )
    one, other = both(tmp_path, source)
    require_same(one, other)
    assert one.persons
    assert other.persons
    first, second = (pq.ParquetFile(path).read() for path in (one.persons, other.persons))
    assert first.equals(second)
    expected = persons_by_hand(table, one)
    assert first.to_pydict() == {
        "subscriber": sorted(expected),
        "person": [expected[who] for who in sorted(expected)],
    }
    assert len({*expected.values()}) < len(expected)
    assert other.persons.stat().st_mode & 0o777 == 0o600
