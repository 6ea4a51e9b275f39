"""The operator's files before any row is read: what is refused, in which words, with which exit code."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from node.config import CellColumns, Source
from node.sources.events import INTEGERS, check_parquet, events_path, read_cells
from privacy.errors import DataProblem, DataUnavailable, ExitCode

DAY = date(2026, 10, 20)
COLUMNS = {"subscriber": "subscriber_id", "time": "timestamp_ms", "cell": "cell_id"}
CODES = ["Z001", "Z002", "Z003"]


def source_of(**fields: Any) -> Source:
    return Source(
        **({"events": "{day}.parquet", "cells": "cells.parquet", "first_day": DAY, "last_day": DAY} | fields)
    )


def whole() -> pa.Table:
    return pa.table({name: pa.array([1, 2], pa.int64()) for name in COLUMNS.values()})


def nothing(_path: Path) -> None:
    """Leave no file."""


def a_directory(path: Path) -> None:
    path.mkdir()


def no_bytes(path: Path) -> None:
    path.touch()


def text(path: Path) -> None:
    path.write_text("subscriber_id,timestamp_ms,cell_id\n1,2,3\n")


def half_a_file(path: Path) -> None:
    pq.write_table(whole(), path)
    path.write_bytes(path.read_bytes()[:-20])


def a_broken_footer(path: Path) -> None:
    pq.write_table(whole(), path)
    data = bytearray(path.read_bytes())
    data[-60:-8] = b"\xff" * 52
    path.write_bytes(bytes(data))


def without_cells(path: Path) -> None:
    pq.write_table(whole().drop_columns(["cell_id"]), path)


def as_text(path: Path) -> None:
    pq.write_table(whole().set_column(2, "cell_id", pa.array(["1", "2"])), path)


def as_timestamps(path: Path) -> None:
    pq.write_table(whole().set_column(1, "timestamp_ms", pa.array([1, 2], pa.timestamp("ms"))), path)


def as_floats(path: Path) -> None:
    pq.write_table(whole().set_column(0, "subscriber_id", pa.array([1.0, 2.0])), path)


@pytest.mark.parametrize(
    ("make", "kind", "says", "todo"),
    [
        (nothing, DataUnavailable, "is not there", "deliver the file"),
        (a_directory, DataUnavailable, "is not there", "deliver the file"),
        (no_bytes, DataProblem, "is empty", "deliver it again"),
        (text, DataProblem, "is not a readable Parquet file", "deliver it again"),
        (half_a_file, DataProblem, "is not a readable Parquet file", "deliver it again"),
        (a_broken_footer, DataProblem, "is not a readable Parquet file", "deliver it again"),
        (
            without_cells,
            DataProblem,
            "has no column 'cell_id' (it has: subscriber_id, timestamp_ms)",
            "correct the name of the cell column in node.toml",
        ),
        (as_text, DataProblem, "is string, not an integer", "name the right cell column in node.toml"),
        (as_timestamps, DataProblem, "is timestamp[ms], not an integer", "name the right time column"),
        (as_floats, DataProblem, "is double, not an integer", "name the right subscriber column"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_words_that_help(
    tmp_path: Path, make: Callable[[Path], None], kind: type[DataProblem], says: str, todo: str
) -> None:
    path = tmp_path / "2026-10-20.parquet"
    make(path)
    with pytest.raises(DataProblem) as caught:
        check_parquet(path, COLUMNS, INTEGERS)
    assert type(caught.value) is kind
    assert says in caught.value.what
    assert str(path) in caught.value.what
    assert todo in caught.value.todo
    code = ExitCode.DATA_MISSING if kind is DataUnavailable else ExitCode.DATA_UNUSABLE
    assert caught.value.exit_code == code


def test_a_good_file_passes_whatever_else_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "good.parquet"
    pq.write_table(whole().append_column("note", pa.array(["a", "b"])), path)
    check_parquet(path, COLUMNS, INTEGERS)


def test_a_file_without_rows_passes_here_and_is_the_gates_to_refuse(tmp_path: Path) -> None:
    path = tmp_path / "empty.parquet"
    pq.write_table(whole().slice(0, 0), path)
    check_parquet(path, COLUMNS, INTEGERS)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{day}.parquet", "/node/2026-10-20.parquet"),
        ("day={day}/events.parquet", "/node/day=2026-10-20/events.parquet"),
        ("/elsewhere/{day}/{day}.parquet", "/elsewhere/2026-10-20/2026-10-20.parquet"),
    ],
)
def test_the_event_file_of_a_day_is_where_the_pattern_says(pattern: str, expected: str) -> None:
    assert events_path(source_of(events=pattern), Path("/node"), DAY) == Path(expected)


def cells_from(root: Path, cells: pa.Array, zones: pa.Array) -> pa.Table:
    pq.write_table(pa.table({"cell_id": cells, "zone": zones}), root / "cells.parquet")
    return read_cells(source_of(), root, CODES)


@pytest.mark.parametrize(
    "type_", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
def test_cells_are_read_with_the_positions_of_their_zones(tmp_path: Path, type_: pa.DataType) -> None:
    zones = pa.array(["Z003", "Z001", "Z003"]).cast(type_)
    found = cells_from(tmp_path, pa.array([30, 10, -20], pa.int32()), zones)
    assert found.schema == pa.schema([("cell", pa.int64()), ("zone", pa.int64())])
    assert found.to_pydict() == {"cell": [30, 10, -20], "zone": [2, 0, 2]}


def test_zones_that_are_numbers_are_the_codes_of_their_digits(tmp_path: Path) -> None:
    pq.write_table(pa.table({"cell_id": [1, 2], "zone": [21004, 11002]}), tmp_path / "cells.parquet")
    found = read_cells(source_of(), tmp_path, ["11002", "21004"])
    assert found["zone"].to_pylist() == [1, 0]


def test_cells_are_found_under_the_configured_names(tmp_path: Path) -> None:
    pq.write_table(pa.table({"ci": [5], "commune": ["Z002"]}), tmp_path / "antennas.parquet")
    source = source_of(cells="antennas.parquet", cell_columns=CellColumns(cell="ci", zone="commune"))
    assert read_cells(source, tmp_path, CODES).to_pydict() == {"cell": [5], "zone": [1]}


@pytest.mark.parametrize(
    ("cells", "zones", "says"),
    [
        (
            [1, 2, 3],
            ["Z001", "Z009", "Z008"],
            "names 2 zone(s) that the zoning does not have, for example Z008",
        ),
        ([1, 2], ["Z001", None], "names 1 zone(s) that the zoning does not have"),
        ([1, 2], ["Z001", "z002"], "names 1 zone(s) that the zoning does not have, for example z002"),
        ([1, 1], ["Z001", "Z002"], "names a cell twice"),
        ([1, 1], ["Z001", "Z001"], "names a cell twice"),
        ([1, None], ["Z001", "Z002"], "names a cell twice or not at all"),
        ([], [], "is empty"),
    ],
)
def test_a_cell_table_that_assigns_no_zone_or_two_is_refused(
    tmp_path: Path, cells: list[int | None], zones: list[str | None], says: str
) -> None:
    with pytest.raises(DataProblem) as caught:
        cells_from(tmp_path, pa.array(cells, pa.int64()), pa.array(zones, pa.string()))
    assert says in caught.value.what
    assert caught.value.exit_code == ExitCode.DATA_UNUSABLE
    assert caught.value.todo


@pytest.mark.parametrize(
    ("make", "kind"), [(nothing, DataUnavailable), (no_bytes, DataProblem), (text, DataProblem)]
)
def test_a_cell_table_that_is_no_table_is_refused_like_any_file(
    tmp_path: Path, make: Callable[[Path], None], kind: type[DataProblem]
) -> None:
    make(tmp_path / "cells.parquet")
    with pytest.raises(DataProblem) as caught:
        read_cells(source_of(), tmp_path, CODES)
    assert type(caught.value) is kind


def test_cells_named_by_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match="is string, not an integer"):
        cells_from(tmp_path, pa.array(["1"]), pa.array(["Z001"]))
