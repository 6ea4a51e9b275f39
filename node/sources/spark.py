"""Reads a table or files of Apache Spark: slices of a day as Arrow batches into the embedded database.

The packages are those of the extra `[spark]`. Spark answers with whole tables, so that a day comes in slices of some
million rows; each slice reads the source again, and has the rows of one remainder of a hash.
"""

# ruff: noqa: S608 - expressions are the operator's own, and looked at by node.sources.expressions

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from node.engines import spark
from node.sources.files import Connection, Wanted
from node.sources.inputs import Input
from node.sources.paths import with_day
from node.sources.raw import Holds, Raw, alias, kept, require_usable
from privacy.errors import DataProblem

if TYPE_CHECKING:
    from datetime import date

    from pyspark.sql import DataFrame, SparkSession

_SLICE = 4_000_000
_HOLDS: dict[str, Holds] = {
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint"), "integer"),
    "string": "text",
    **dict.fromkeys(("float", "double"), "number"),
    "timestamp": "instant",
    **dict.fromkeys(("timestamp_ntz", "date"), "wall"),
}


@contextmanager
def opened(place: Input, threads: int, memory: str, scratch: Path) -> Iterator[SparkSession]:
    """Open the session that a table is read with; one that the process has already stays as it is."""
    there = _is_there()
    local = not place.remote
    session = spark.local_session(threads, memory, scratch) if local else spark.remote_session(place.remote)
    try:
        yield session
    finally:
        if not there:
            session.stop()


def _is_there() -> bool:
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        return False
    return SparkSession.getActiveSession() is not None


def frame(session: SparkSession, place: Input, where: str, root: Path, day: date | None) -> DataFrame:
    """Return the selected rows of a table or of files (DataProblem if there are none such)."""
    from pyspark.errors import AnalysisException

    try:
        if place.table:
            found = session.table(place.table)
        else:
            path = with_day(place.path[0], day) if day else place.path[0]
            found = session.read.parquet(path if "://" in path else str(root / path))
        found = found.where(where) if where else found
        # Spark Connect looks a table up when its columns are asked for.
        _ = found.columns
    except AnalysisException as error:
        raise DataProblem(
            f"Spark cannot read {place.table or place.path[0]}: {error.getCondition() or 'not found'}",
            todo="check table, path and where in [source] of node.toml",
        ) from None
    return found


def read(connection: Connection, wanted: Wanted, found: DataFrame) -> Raw:
    """Make a table of the values of the mapping's expressions.

    Parameters
    ----------
    connection
        The embedded database.
    wanted
        The expressions.
    found
        The rows.

    Raises
    ------
    DataProblem
        If an expression does not fit the table, or Spark fails; what it said is kept back.
    """
    from pyspark.errors import PySparkException

    holds = {key: _holds(found, wanted, key, text) for key, text in wanted.columns.items()}
    values = found.selectExpr(
        *(f"{_value(text, key, holds[key])} AS {alias(key)}" for key, text in wanted.columns.items())
    )
    after = {key: _after(key, held) for key, held in holds.items()}
    try:
        if wanted.limit is not None:
            _add(connection, wanted, values.limit(wanted.limit).toArrow(), first=True)
            return Raw(wanted.relation, after)
        slices = -(-max(values.count(), 1) // _SLICE)
        columns = ", ".join(alias(key) for key in wanted.columns)
        for number in range(slices):
            part = values.where(f"pmod(xxhash64({columns}), {slices}) = {number}") if slices > 1 else values
            _add(connection, wanted, part.toArrow(), first=number == 0)
    except PySparkException as error:
        raise DataProblem(
            f"Spark failed while {wanted.relation} was read ({type(error).__name__})",
            means="what it said is kept back, because it may quote data",
            todo="look into the cluster's log; an expression may fail on a row",
        ) from None
    return Raw(wanted.relation, after)


def fingerprint(found: DataFrame, version: str) -> str:
    """Return what tells whether the selected rows have changed."""
    row: Any = found.selectExpr("count(*)", f"CAST({version or 'NULL'} AS STRING)").first()
    return str(tuple(row))


def _holds(found: DataFrame, wanted: Wanted, key: str, text: str) -> Holds:
    from pyspark.errors import AnalysisException, ParseException

    setting = f"{wanted.table}.{key}"
    try:
        type_ = found.selectExpr(f"({text}\n) AS value").schema[0].dataType.simpleString()
    except (AnalysisException, ParseException) as error:
        raise DataProblem(
            f"{setting} does not fit the table of Spark: {error.getCondition() or type(error).__name__}",
            means=f"the columns are: {', '.join(found.columns)}",
            todo=f"correct {setting} in [source] of node.toml",
        ) from None
    holds = "number" if type_.startswith("decimal") else _HOLDS.get(type_)
    require_usable(setting, key, type_, holds, wanted.time_typed)
    return holds or "text"


def _value(expression: str, name: str, holds: Holds) -> str:
    if name == "time" and holds in {"instant", "wall"}:
        # In a session in UTC, a clock's time becomes the instant with these digits.
        return f"unix_micros(CAST(({expression}\n) AS TIMESTAMP))"
    if holds == "integer" and kept(name, holds) == "integer":
        return f"CAST(({expression}\n) AS BIGINT)"
    number = f"CAST(({expression}\n) AS DECIMAL(38, 9))" if holds == "number" else f"({expression}\n)"
    return f"nullif(trim(CAST({number} AS STRING)), '')"


def _after(name: str, holds: Holds) -> Holds:
    """Numbers with a fraction come as text."""
    return "text" if holds == "number" else kept(name, holds)


def _add(connection: Connection, wanted: Wanted, batch: pa.Table, *, first: bool) -> None:
    row = "row_number() OVER () AS q_row, " if wanted.limit is not None else ""
    connection.register("door_batches", batch)
    verb = f"CREATE OR REPLACE TEMP TABLE {wanted.relation} AS" if first else f"INSERT INTO {wanted.relation}"
    try:
        connection.execute(f"{verb} SELECT {row}* FROM door_batches")
    finally:
        connection.unregister("door_batches")
