"""DuckDB in this process: the default engine, which keeps its memory limit by spilling."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
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
