"""DuckDB in this process: the default engine, which keeps its memory limit by spilling."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import ibis
import pyarrow as pa
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table

if TYPE_CHECKING:
    from node.config import Engine


@contextmanager
def connect(engine: Engine, scratch: Path) -> Iterator[Backend]:
    """Open a DuckDB in memory that spills to `scratch` and runs in UTC."""
    connection = ibis.duckdb.connect(
        memory_limit=engine.memory_limit, threads=engine.threads, temp_directory=str(scratch)
    )
    try:
        connection.raw_sql("SET TimeZone = 'UTC'")
        connection.raw_sql("SET enable_progress_bar = false")
        yield connection
    finally:
        connection.disconnect()


def read_one(connection: Backend, path: Path) -> Table:
    """Return exactly one Parquet file as a table: its path is no pattern, and adds no columns."""
    return connection.read_parquet(glob.escape(str(path)), hive_partitioning=False)


def streamed(backend: Backend, rows: Table, most: int) -> Iterator[pa.RecordBatch]:
    """Yield rows as batches of at most so many; they must read no table of Python's memory.

    Ibis 12 has a method for it that calls what DuckDB 2 has renamed, and one that first fetches everything.

    Raises
    ------
    duckdb.Error
        Of the class that the engine would raise by itself; its text may quote data.
    """
    relation = backend.con.sql(backend.compile(rows))
    try:
        yield from relation.to_arrow_reader(most)
    except OSError as error:
        raise _engine_error(str(error)) from None


#: By the kind that their texts begin with, without blanks and capitals: Out of Memory, Conversion.
_ERRORS = {
    name.removesuffix("Exception").lower(): found
    for name, found in vars(duckdb).items()
    if isinstance(found, type) and issubclass(found, duckdb.Error)
}


def _engine_error(text: str) -> duckdb.Error:
    """Return the engine's error that a stream of batches tells as an OSError that begins with its kind."""
    kind = text.partition(" Error: ")[0].replace(" ", "").lower()
    return _ERRORS.get(kind, duckdb.Error)(text)
