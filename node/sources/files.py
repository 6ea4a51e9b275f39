"""Reads Parquet and CSV files with the embedded DuckDB: Parquet as a view, text files once into a table."""

# ruff: noqa: S608 - expressions are the operator's own, and looked at by node.sources.expressions

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from node.sources import csvfiles
from node.sources.csvfiles import REJECTS, literal
from node.sources.inputs import Input, Kind
from node.sources.raw import (
    Holds,
    Raw,
    alias,
    before_rows,
    engine_words,
    holds_of,
    kept,
    require_usable,
    value_of,
)
from privacy.errors import DataProblem

Connection = duckdb.DuckDBPyConnection


@dataclass(frozen=True)
class Wanted:
    """What is asked of a table.

    Attributes
    ----------
    relation
        Name of the relation that is made of it.
    table
        Part of [source] that the expressions are from, for messages.
    columns
        Expression by name.
    where
        Condition, empty for every row.
    time_typed
        Whether times are declared to be of a database's time type.
    limit
        Read so many rows only, into a table with their numbers in `q_row`.
    """

    relation: str
    table: str
    columns: Mapping[str, str]
    where: str = ""
    time_typed: bool = False
    limit: int | None = None

    @property
    def where_setting(self) -> str:
        """What the condition is called in [source]."""
        return "cells.where" if self.table.startswith("cells") else "events.where"


def require_files(place: Input, paths: Sequence[Path]) -> None:
    """Refuse a file that is empty or not what it should be (DataProblem); reads beginnings and footers only."""
    for path in paths:
        if path.stat().st_size == 0:
            raise DataProblem(f"the data file {path} is empty", todo="deliver it again")
        if place.kind == "csv":
            csvfiles.column_names(path, place.csv)
            continue
        try:
            pq.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            raise DataProblem(f"{path} is not a readable Parquet file", todo="deliver it again") from error


def has_rows(place: Input, paths: Sequence[Path]) -> bool:
    """Whether the footers promise any row; of text files it is not known before they are read."""
    return place.kind != "parquet" or any(pq.read_metadata(path).num_rows for path in paths)


@dataclass(frozen=True)
class Scan:
    """How files are read.

    Attributes
    ----------
    call
        The call of DuckDB.
    lines
        Number of lines of text files that should be rows; 0 for others.
    """

    call: str
    lines: int = 0


def scan_of(place: Input, paths: Sequence[Path], scratch: Path) -> Scan:
    """Return how files are read.

    Raises
    ------
    DataProblem
        If a file is unusable, or text files have other columns than the first.
    """
    require_files(place, paths)
    if place.kind == "parquet":
        return Scan(f"read_parquet({_list(paths)}, hive_partitioning=false)")
    names = csvfiles.column_names(paths[0], place.csv)
    for path in paths[1:]:
        if csvfiles.column_names(path, place.csv) != names:
            raise DataProblem(
                f"{path} has other columns than {paths[0]}", todo="deliver files of one form for a day"
            )
    copies, lines = zip(*(csvfiles.readable(path, place.csv, scratch) for path in paths), strict=True)
    return Scan(csvfiles.scan(_list(copies), names, place.csv), sum(lines) - len(paths) * place.csv.header)


def _list(paths: Sequence[Path]) -> str:
    # A path is no pattern: DuckDB would take it for one.
    return f"[{', '.join(literal(glob.escape(str(path))) for path in paths)}]"


def read(connection: Connection, wanted: Wanted, place: Input, paths: Sequence[Path], scratch: Path) -> Raw:
    """Make a relation of the values of the mapping's expressions.

    Parameters
    ----------
    connection
        The embedded database.
    wanted
        The expressions.
    place, paths
        What is read.
    scratch
        Directory for copies of files in another encoding.

    Raises
    ------
    DataProblem
        If the files cannot be used, or an expression does not fit them; names the setting.
    """
    scan = scan_of(place, paths, scratch)
    source, holds = scan.call, _holds(connection, wanted, scan.call, place.kind, paths[0])
    values = ", ".join(
        f"{value_of(text, key, holds[key])} AS {alias(key)}" for key, text in wanted.columns.items()
    )
    select = f"SELECT {values} FROM {source}{_condition(wanted.where)}"
    if wanted.limit is not None:
        # Numbered before rows are selected, so that a number is the place in the file.
        numbered = f"(SELECT row_number() OVER () AS q_row, * FROM {source})"
        select = f"SELECT q_row, {values} FROM {numbered}{_condition(wanted.where)} LIMIT {wanted.limit}"
    staged = wanted.limit is not None or place.kind == "csv"
    before = rejected(connection)
    try:
        connection.execute(
            f"CREATE OR REPLACE TEMP {'TABLE' if staged else 'VIEW'} {wanted.relation} AS {select}"
        )
    except duckdb.Error as error:
        if not before_rows(error):
            raise
        raise DataProblem(
            f"the expressions of [source.{wanted.table}] do not fit {paths[0]}", todo="name its columns only"
        ) from None
    unreadable = rejected(connection) - before
    if staged and wanted.limit is None and not place.csv.line_breaks:
        unreadable += swallowed(connection, scan, wanted.relation if not wanted.where else "", unreadable)
    return Raw(wanted.relation, {key: kept(key, held) for key, held in holds.items()}, unreadable)


def swallowed(connection: Connection, scan: Scan, relation: str = "", unreadable: int | None = None) -> int:
    """Return how many lines of text files are in no row and were not set aside either.

    They are inside of quotes: of one that is never closed, or of fields with line breaks.

    Parameters
    ----------
    connection
        The embedded database.
    scan
        How the files are read.
    relation
        A table of all their rows, if there is one; they are read once more otherwise.
    unreadable
        Number of lines that were set aside, if that is known.
    """
    before = rejected(connection)
    rows = connection.execute(f"SELECT count(*) FROM {relation or scan.call}").fetchall()[0][0]
    aside = rejected(connection) - before if unreadable is None else unreadable
    return max(scan.lines - int(rows) - aside, 0)


def _condition(where: str) -> str:
    return f" WHERE ({where}\n)" if where else ""


def rejected(connection: Connection) -> int:
    """Return how many lines of text files were set aside so far."""
    # Results are fetched to their end: the connection refuses other work before.
    known = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [REJECTS])
    if known.fetchall() == [(0,)]:
        return 0
    lines = connection.execute(f"SELECT count(DISTINCT (scan_id, file_id, line)) FROM {REJECTS}")
    return int(lines.fetchall()[0][0])


def _holds(connection: Connection, wanted: Wanted, source: str, kind: Kind, path: Path) -> dict[str, Holds]:
    found: dict[str, Holds] = {}
    for key, text in wanted.columns.items():
        type_ = _type(connection, text, source, kind, f"{wanted.table}.{key}", path)
        holds = holds_of(type_)
        require_usable(f"{wanted.table}.{key}", key, type_, holds, wanted.time_typed)
        found[key] = holds or "text"
    if wanted.where:
        _type(connection, wanted.where, source, kind, wanted.where_setting, path)
    return found


def _type(  # noqa: PLR0917 - what is asked of what
    connection: Connection, expression: str, source: str, kind: Kind, setting: str, path: Path
) -> str:
    """Return the type of an expression; nothing is read but the schema."""
    try:
        described = connection.execute(f"DESCRIBE SELECT ({expression}\n) AS value FROM {source}").fetchall()
    except duckdb.Error as error:
        if not before_rows(error):
            raise
        columns = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        told = engine_words(error), f"the columns are: {', '.join(str(row[0]) for row in columns)}"
        todo = f"correct {setting} in [source] of node.toml"
        if kind != "csv":
            raise DataProblem(f"{setting} does not fit {path}: {told[0]}", means=told[1], todo=todo) from None
        # A text file without its header has columns that are called as the fields of its first row.
        problem = DataProblem(
            f"{setting} does not fit {path}", todo=f"{todo}; quorate-node source check lists the columns"
        )
        problem.add_note(
            f"{'; '.join(told)}; if this is a row and no header, say csv.header = false and names"
        )
        raise problem from None
    return str(described[0][1])
