"""Samples of a day's tables: the first rows of every file, with the lines that they are in."""

# ruff: noqa: S608 - expressions are the operator's own, and looked at by node.sources.expressions

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb

from node.sources import files, reading
from node.sources.csvfiles import REJECTS, ends_with_newline
from node.sources.expressions import runnable
from node.sources.files import Connection
from node.sources.inputs import expressions
from node.sources.mapping import Source
from node.sources.paths import files_of, with_day
from node.sources.raw import Raw
from node.sources.reading import Place

#: What the engine says when an expression fails on a row.
_OF_A_ROW = (
    duckdb.ConversionException,
    duckdb.InvalidInputException,
    duckdb.OutOfRangeException,
    duckdb.InvalidTypeException,
)


@dataclass(frozen=True)
class Sample:
    """The first rows of a file or table, in the embedded database.

    Attributes
    ----------
    place
        The file or table.
    raw
        The rows, numbered.
    unreadable
        What is wrong with lines that are no rows, by line.
    swallowed
        Lines that are in no row; of files that were read to their end.
    warnings
        What is odd about the file.
    lines
        Line of each row; empty where a row's number is its place.
    """

    place: str
    raw: Raw
    unreadable: Mapping[int, str] = field(default_factory=dict)
    swallowed: int = 0
    warnings: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()

    def line(self, row: int) -> int:
        """Return where a row is in its file."""
        return self.lines[row - 1] if self.lines else row


@dataclass(frozen=True)
class Failed:
    """An expression that fails on a row; `says` is the engine's word, which quotes the value."""

    place: str
    column: str
    row: int
    says: str


def samples(
    connection: Connection, source: Source, place: Place, day: date, rows: int
) -> Iterator[Sample | Failed]:
    """Yield samples of a day, together at most so many rows; each replaces the one before in the database.

    Raises
    ------
    DataUnavailable, DataProblem
        If a table cannot be read, or an expression does not fit it.
    """
    events = source.events
    if events.kind not in {"parquet", "csv"}:
        yield Sample(
            events.table or events.path[0], reading.read_events(connection, source, place, day, rows)
        )
        return
    for path in files_of(events.path, place.root.absolute(), day):
        one = source.model_copy(update={"events": events.model_copy(update={"path": (str(path),)})})
        for table in (REJECTS, f"{REJECTS}_scans"):
            connection.execute(f"DROP TABLE IF EXISTS {table}")
        try:
            raw = reading.read_events(connection, one, place, day, rows)
        except _OF_A_ROW as error:
            yield _failed(connection, one, place, day, path, rows, error)
            continue
        count = connection.execute(f"SELECT count(*) FROM {raw.relation}").fetchall()[0][0]
        yield _sample(connection, one, place, path, raw, count, whole=count < rows)
        rows -= count
        if rows <= 0:
            return


def _sample(  # noqa: PLR0917 - what was read, from where
    connection: Connection, source: Source, place: Place, path: Path, raw: Raw, count: int, *, whole: bool
) -> Sample:
    if source.events.kind != "csv":
        return Sample(str(path), raw)
    ended = ends_with_newline(path, source.events.csv.encoding)
    warnings = () if ended else ("the last line does not end: the delivery may be cut short",)
    unreadable, swallowed = _unreadable(connection), 0
    if whole and not source.events.csv.line_breaks:
        swallowed = files.swallowed(connection, files.scan_of(source.events, [path], place.scratch))
    header = int(source.events.csv.header)
    last = connection.execute(f"SELECT coalesce(max(q_row), 0) FROM {raw.relation}").fetchall()[0][0]
    return Sample(
        str(path), raw, unreadable, swallowed, warnings, _lines(unreadable, header, max(last, count))
    )


def _unreadable(connection: Connection) -> dict[int, str]:
    known = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [REJECTS]
    ).fetchall()
    if known == [(0,)]:
        return {}
    found = connection.execute(
        f"SELECT line, min(lower(CAST(error_type AS VARCHAR))) FROM {REJECTS} GROUP BY line"
    )
    return dict(found.fetchall())


def _lines(unreadable: Mapping[int, str], header: int, rows: int) -> tuple[int, ...]:
    """Return the line of each row: what is no row is between them. A line break inside a field is not counted."""
    found: list[int] = []
    line = header
    while len(found) < rows:
        line += 1
        if line not in unreadable:
            found.append(line)
    return tuple(found)


def _failed(  # noqa: PLR0917 - what failed, where
    connection: Connection,
    source: Source,
    place: Place,
    day: date,
    path: Path,
    rows: int,
    error: duckdb.Error,
) -> Failed:
    """Return the first expression that fails, and its row, found by halving."""
    scan = files.scan_of(source.events, [path], place.scratch).call
    written = [("where", source.events.where)] if source.events.where else []
    for name, expression in [*written, *expressions(source.columns)]:
        text = runnable(with_day(expression, day), source.events.dialect)
        if not _fails(connection, scan, text, rows):
            continue
        good, bad = 0, rows
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (good, middle) if _fails(connection, scan, text, middle) else (middle, bad)
        return Failed(str(path), name, _line(connection, source, scan, bad), str(error).splitlines()[0])
    # Together they fail, each alone does not: the place cannot be told.
    raise error


def _line(connection: Connection, source: Source, scan: str, row: int) -> int:
    """Return where a row is in its file."""
    if source.events.kind != "csv":
        return row
    # Lines that are no rows are noted by a scan that comes to its end.
    connection.execute(f"SELECT count(*) FROM {scan}").fetchall()
    return _lines(_unreadable(connection), int(source.events.csv.header), row)[row - 1]


def _fails(connection: Connection, scan: str, text: str, rows: int) -> bool:
    try:
        connection.execute(
            f"SELECT count(value) FROM (SELECT ({text}\n) AS value FROM (SELECT * FROM {scan} LIMIT {rows}))"
        ).fetchall()
    except _OF_A_ROW:
        return True
    return False
