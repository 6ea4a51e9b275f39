"""Apache Spark as an engine: the same expressions on this machine, or on a cluster through Spark Connect.

The packages are those of the extra `[spark]`; nothing here is imported before a session is asked for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import ibis

from node.engines.missing import not_installed
from privacy.errors import ResourceProblem

if TYPE_CHECKING:
    from ibis.backends.pyspark import Backend
    from pyspark.sql import SparkSession

#: What every session has, wherever it runs. Spark writes INT96 times by default, which others read as naive.
_ALWAYS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.ansi.enabled": "true",
}


def local_session(threads: int, memory: str, scratch: Path) -> SparkSession:
    """Start Spark inside this process.

    Parameters
    ----------
    threads
        How many tasks run at once.
    memory
        Of the driver, which does all the work here, for example `2g`.
    scratch
        Directory for what does not fit.

    Raises
    ------
    UsageProblem
        If the extra is not installed.
    ResourceProblem
        If there is no Java that Spark can use.
    """
    return _session(
        {
            "spark.master": f"local[{threads}]",
            "spark.driver.memory": memory,
            "spark.local.dir": str(scratch),
            "spark.sql.warehouse.dir": str(scratch / "warehouse"),
            # As many parts as tasks: Spark's 200 cost more than a small day itself.
            "spark.sql.shuffle.partitions": str(threads),
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.log.level": "ERROR",
        }
    )


def remote_session(url: str) -> SparkSession:
    """Attach to a cluster by Spark Connect, for example `sc://host:15002`; raises like `local_session`."""
    return _session({"spark.remote": url})


@contextmanager
def connect(session: SparkSession) -> Iterator[Backend]:
    """Return the engine of a session, which is stopped in the end."""
    backend = ibis.pyspark.connect(session)
    try:
        yield backend
    finally:
        session.stop()


def _session(settings: Mapping[str, str]) -> SparkSession:
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise not_installed("Spark", "spark", error) from error
    # Python workers must be this interpreter, not the first python3 of the path.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.appName("quorate-node")
    for name, value in (_ALWAYS | dict(settings)).items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except (PySparkException, RuntimeError) as error:
        raise ResourceProblem(
            "Spark does not start",
            means="without Java 17 or 21 there is no Spark on this machine; a cluster may not answer",
            todo="install Java and set JAVA_HOME, or correct the address of the cluster",
        ) from error
