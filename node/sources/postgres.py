"""Reads a table of PostgreSQL: one COPY in a read-only snapshot, as Arrow batches into the embedded database.

The packages are those of the extra `[postgres]`. The connection string is in a file or an environment variable,
and in no message.
"""

# ruff: noqa: S608 - expressions are the operator's own, and looked at by node.sources.expressions

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pacsv

from node.engines.missing import not_installed
from node.private import read_secret
from node.sources.files import Connection, Wanted
from node.sources.inputs import Input
from node.sources.raw import FAR, Holds, Raw, alias, kept, require_usable
from privacy.errors import DataProblem, DataUnavailable, UsageProblem

if TYPE_CHECKING:
    import psycopg

#: Types by their fixed object identifiers.
_HOLDS: dict[int, Holds] = {
    **dict.fromkeys((20, 21, 23), "integer"),
    **dict.fromkeys((25, 1042, 1043, 19, 2950), "text"),
    **dict.fromkeys((700, 701, 1700), "number"),
    **dict.fromkeys((1082, 1114), "wall"),
    1184: "instant",
}


def connection_string(place: Input, root: Path) -> str:
    """Return the connection string (UsageProblem if its file or variable is missing)."""
    if place.connection_file:
        risk = "whoever reads it can read the warehouse"
        return read_secret(root / place.connection_file, risk).decode("utf-8", "replace").strip()
    found = os.environ.get(place.connection_env)
    if not found:
        raise UsageProblem(
            f"the environment variable {place.connection_env} is not set",
            todo="set it to the connection string of PostgreSQL for the node's process",
        )
    return found


@contextmanager
def session(place: Input, root: Path) -> Iterator[psycopg.Connection[Any]]:
    """Open a session that sees one snapshot, cannot write, and runs in UTC.

    Raises
    ------
    UsageProblem
        If the extra is not installed.
    DataUnavailable
        If the server does not answer or does not let the node in.
    DataProblem
        If it fails while it is read; what it said is kept back, because it may quote data.
    """
    try:
        import psycopg
    except ImportError as error:
        raise not_installed("PostgreSQL", "postgres", error) from error
    try:
        opened = psycopg.connect(connection_string(place, root), options="-c TimeZone=UTC -c DateStyle=ISO")
    except (psycopg.OperationalError, psycopg.ProgrammingError):
        raise DataUnavailable(
            f"the PostgreSQL server of {place.table} cannot be reached, or does not let the node in",
            todo="check the connection string, for example with psql",
        ) from None
    opened.read_only = True
    opened.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    try:
        yield opened
    except psycopg.Error as error:
        raise DataProblem(
            f"PostgreSQL failed while {place.table} was read ({type(error).__name__})",
            means="what it said is kept back, because it may quote data",
            todo="look into the server's log; an expression may fail on a row",
        ) from None
    finally:
        opened.close()


def read(connection: Connection, wanted: Wanted, place: Input, root: Path) -> Raw:
    """Make a table of the values of the mapping's expressions; parameters and errors as of `files.read`."""
    with session(place, root) as opened:
        holds = _holds(opened, wanted, place)
        values = ", ".join(
            f"{_value(text, key, holds[key])} AS {alias(key)}" for key, text in wanted.columns.items()
        )
        after = {key: _after(key, held) for key, held in holds.items()}
        select = f"SELECT {values} FROM {place.table}{_condition(wanted.where)}"
        if wanted.limit is not None:
            select += f" LIMIT {wanted.limit}"
        with (
            opened.cursor() as cursor,
            cursor.copy(f"COPY ({select}) TO STDOUT (FORMAT csv, ENCODING 'UTF8')") as copy,
        ):
            _keep(connection, wanted, _batches(_Blocks(iter(copy)), after))
    return Raw(wanted.relation, after)


def fingerprint(place: Input, where: str, version: str, root: Path) -> str:
    """Return what tells whether the rows that a condition selects have changed."""
    with session(place, root) as opened, opened.cursor() as cursor:
        last = f"({version})::text" if version else "NULL::text"
        cursor.execute(f"SELECT count(*), {last} FROM {place.table}{_condition(where)}".encode())
        return str(cursor.fetchone())


def _condition(where: str) -> str:
    return f" WHERE ({where}\n)" if where else ""


def _holds(opened: psycopg.Connection[Any], wanted: Wanted, place: Input) -> dict[str, Holds]:
    found: dict[str, Holds] = {}
    for key, text in wanted.columns.items():
        setting = f"{wanted.table}.{key}"
        oid, type_ = _type(opened, text, place.table, setting)
        holds = _HOLDS.get(oid)
        require_usable(setting, key, type_, holds, wanted.time_typed)
        found[key] = holds or "text"
    if wanted.where:
        _type(opened, wanted.where, place.table, wanted.where_setting)
    return found


def _type(opened: psycopg.Connection[Any], expression: str, table: str, setting: str) -> tuple[int, str]:
    """Return object identifier and name of an expression's type; no row is read."""
    import psycopg

    try:
        with opened.transaction(), opened.cursor() as cursor:
            cursor.execute(f"SELECT ({expression}\n) FROM {table} LIMIT 0".encode())
            column = (cursor.description or [])[0]
            return column.type_code, column.type_display
    except psycopg.errors.UndefinedTable:
        raise DataProblem(
            f"there is no table {table}, or the node may not see it",
            todo="correct table in [source] of node.toml",
        ) from None
    except psycopg.Error as error:
        raise DataProblem(
            f"{setting} does not fit {table}: {error.diag.message_primary or type(error).__name__}",
            todo=f"correct {setting} in [source] of node.toml",
        ) from None


def _value(expression: str, name: str, holds: Holds) -> str:
    if name == "time" and holds in {"instant", "wall"}:
        moment = f"({expression}\n)::timestamp" if holds == "wall" else f"({expression}\n)"
        micros = f"(extract(epoch FROM {moment}) * 1000000)::bigint"
        return f"CASE WHEN isfinite({moment}) THEN {micros} WHEN {moment} IS NOT NULL THEN {FAR} END"
    number = "::numeric" if holds == "number" else ""
    return f"nullif(btrim(({expression}\n){number}::text), '')"


def _after(name: str, holds: Holds) -> Holds:
    """Numbers with a fraction come as text."""
    return "text" if holds == "number" else kept(name, holds)


class _Blocks(io.RawIOBase):
    """The rows that a COPY sends, as a file."""

    def __init__(self, blocks: Iterator[Any]) -> None:
        super().__init__()
        self._blocks, self._left = blocks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._left:
            self._left = bytes(next(self._blocks, b""))
        taken = self._left[: len(buffer)]
        buffer[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)


def _batches(blocks: _Blocks, holds: dict[str, Holds]) -> pa.RecordBatchReader:
    types = {alias(key): pa.string() if held == "text" else pa.int64() for key, held in holds.items()}
    schema, file = pa.schema(list(types.items())), io.BufferedReader(blocks, 1 << 20)
    if not file.peek(1):
        return pa.RecordBatchReader.from_batches(schema, [])
    reader = pacsv.open_csv(
        file,
        read_options=pacsv.ReadOptions(column_names=list(types), block_size=4 << 20),
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    return pa.RecordBatchReader.from_batches(schema, reader)


def _keep(connection: Connection, wanted: Wanted, batches: pa.RecordBatchReader) -> None:
    row = "row_number() OVER () AS q_row, " if wanted.limit is not None else ""
    connection.register("door_batches", batches)
    try:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {wanted.relation} AS SELECT {row}* FROM door_batches"
        )
    finally:
        connection.unregister("door_batches")
