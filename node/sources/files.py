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
from node.sources.inputs import Input
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


def scan_of(place: Input, paths: Sequence[Path], scratch: Path) -> str:
    """Return the call of DuckDB that reads files.

    Raises
    ------
    DataProblem
        If a file is unusable, or text files have other columns than the first.
    """
    require_files(place, paths)
    if place.kind == "parquet":
        return f"read_parquet({_list(paths)}, hive_partitioning=false)"
    names = csvfiles.column_names(paths[0], place.csv)
    for path in paths[1:]:
        if csvfiles.column_names(path, place.csv) != names:
            raise DataProblem(
                f"{path} has other columns than {paths[0]}", todo="deliver files of one form for a day"
            )
    return csvfiles.scan(
        _list([csvfiles.readable(path, place.csv, scratch) for path in paths]), names, place.csv
    )


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
    source = scan_of(place, paths, scratch)
    holds = _holds(connection, wanted, source, paths[0])
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
    connection.execute(
        f"CREATE OR REPLACE TEMP {'TABLE' if staged else 'VIEW'} {wanted.relation} AS {select}"
    )
    return Raw(
        wanted.relation, {key: kept(key, held) for key, held in holds.items()}, rejected(connection) - before
    )


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


def _holds(connection: Connection, wanted: Wanted, source: str, path: Path) -> dict[str, Holds]:
    found: dict[str, Holds] = {}
    for key, text in wanted.columns.items():
        type_ = _type(connection, text, source, f"{wanted.table}.{key}", path)
        holds = holds_of(type_)
        require_usable(f"{wanted.table}.{key}", key, type_, holds, wanted.time_typed)
        found[key] = holds or "text"
    if wanted.where:
        _type(connection, wanted.where, source, wanted.where_setting, path)
    return found


def _type(connection: Connection, expression: str, source: str, setting: str, path: Path) -> str:
    """Return the type of an expression; nothing is read but the schema."""
    try:
        described = connection.execute(f"DESCRIBE SELECT ({expression}\n) AS value FROM {source}").fetchall()
    except duckdb.Error as error:
        if not before_rows(error):
            raise
        columns = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        raise DataProblem(
            f"{setting} does not fit {path}: {engine_words(error)}",
            means=f"the columns are: {', '.join(str(row[0]) for row in columns)}",
            todo=f"correct {setting} in [source] of node.toml",
        ) from None
    return str(described[0][1])
