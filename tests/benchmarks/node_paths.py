"""The ways to a day that the section node measures, each run in a process of its own."""

# ruff: noqa: S608 - statements are made of numbers and paths of the benchmark

from __future__ import annotations

import hmac
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table

from node.config import Engine
from node.engine import connect
from node.presence import build
from node.presence.digests import digests_of_numbers
from node.presence.fast import Build
from node.presence.plan import Pseudonyms
from node.presence.rows import batches_of
from node.sources.daycells import DayCells
from node.sources.door import Lookups, judged
from node.sources.events import clean
from node.sources.mapping import Source
from node.sources.ranges import Ranges
from node.sources.reading import Place, read_events
from node.sources.sequence import sequenced
from node.tables import CELL, ORIGIN, REASON, SUBSCRIBER, TIME, ZONE
from tests.benchmarks import node_peers, node_statistics
from tests.benchmarks.node_sql import HOLD_MINUTES, KEY, statements
from tests.benchmarks.node_world import DAY, World, world
from tests.benchmarks.processes import Work, tell, work

MEMORY, THREADS = "2GB", 2
FAST_MEMORY = 2_200_000_000


@dataclass(frozen=True)
class Job:
    """What a path works on: a day of an operator, and where its presence and visits go."""

    name: str
    day: World
    root: Path

    @property
    def presence(self) -> Path:
        return self.root / f"{self.name}-{self.day.rows}-presence.parquet"

    @property
    def visits(self) -> Path:
        return self.root / f"{self.name}-{self.day.rows}-visits.parquet"


@contextmanager
def database(job: Job) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open DuckDB as the node does, with its limit of memory."""
    with duckdb.connect() as db:
        db.execute(f"SET memory_limit = '{MEMORY}'; SET threads = {THREADS}; SET TimeZone = 'UTC'")
        db.execute(f"SET temp_directory = '{job.root / 'spilled'}'; SET preserve_insertion_order = false")
        yield db


def scan(job: Job) -> None:
    """Read the needed columns; a checksum keeps the engine from answering with the file's statistics."""
    with database(job) as db:
        db.sql(
            f"SELECT bit_xor(subscriber_id), bit_xor(timestamp_ms), bit_xor(cell_id) FROM '{job.day.events}'"
        ).fetchall()


def group(job: Job) -> None:
    """Count the events of every subscriber."""
    with database(job) as db:
        db.sql(
            f"SELECT count(*), max(n) FROM (SELECT count(*) n FROM '{job.day.events}' GROUP BY subscriber_id)"
        ).fetchall()


def hours(job: Job) -> None:
    """Group by subscriber and zone with a mask of the hours."""
    with database(job) as db:
        db.sql(
            "SELECT count(*), bit_xor(mask) FROM (SELECT bit_or(1 << "
            f"((timestamp_ms - {DAY.start_us // 1000}) // 3600000)) mask FROM '{job.day.events}' "
            f"JOIN '{job.day.cells}' USING (cell_id) WHERE timestamp_ms >= {DAY.start_us // 1000} "
            "GROUP BY subscriber_id, zone)"
        ).fetchall()


def sql(job: Job) -> None:
    """Hand-written SQL."""
    with database(job) as db:
        db.execute(statements(job.day, job.presence, job.visits))


def door(db: Backend, job: Job) -> Table:
    """Return the rows of the day as the node's door judges them, without pseudonyms; there are no roamers."""
    source = Source.model_validate(
        {
            "events": str(job.day.events.resolve()).replace(DAY.local.isoformat(), "{day}"),
            "cells": str(job.day.cells.resolve()),
            "first_day": DAY.local,
            "last_day": DAY.local,
        }
    )
    raw = read_events(db.con, source, Place(job.root, job.root, THREADS, MEMORY), DAY.local)
    nothing = Ranges.of(())
    return judged(db, source, DAY, raw, day_cells(job.day), Lookups(None, nothing, nothing, nothing))


def day_cells(day: World) -> DayCells:
    """Return the register of the day as the door joins it."""
    cells = pq.read_table(day.cells)
    columns = {name: cells[name] for name in ("cell", "zone", "x_m", "y_m")}
    return DayCells(pa.table({"key_0": cells["cell_id"], **columns}), (True,), len(cells))


def reference(job: Job) -> None:
    """The reference: Ibis expressions on DuckDB, events materialised between cleaning and presence as in the node."""
    with connect(Engine(memory_limit=MEMORY, threads=THREADS), job.root) as db:
        rows = sequenced(door(db, job), node_peers.RULES)
        kept = rows.select(SUBSCRIBER, TIME, CELL, ZONE, ORIGIN, REASON)
        events = clean(db.create_table("judged_rows", kept, temp=True))
        build.visits(events, DAY, HOLD_MINUTES).to_parquet(str(job.visits), compression="zstd")
        build.presence(events, DAY, HOLD_MINUTES, KEY).to_parquet(str(job.presence), compression="zstd")


def fast_with(job: Job, pseudonyms: Pseudonyms | None) -> None:
    with connect(Engine(memory_limit="500MB", threads=THREADS), job.root) as db:
        rows = door(db, job).select(SUBSCRIBER, TIME, CELL, REASON)
        cells = day_cells(job.day).table
        plan = Build(
            DAY, node_peers.RULES, HOLD_MINUTES, KEY, job.root, FAST_MEMORY, pseudonyms, cells, THREADS
        )
        plan.files(batches_of(db, rows), job.presence, job.visits)


def fast(job: Job) -> None:
    """The fast path, with pseudonyms."""
    fast_with(job, digests_of_numbers(hmac.digest(bytes(32), b"the bench's period", "sha256")))


def plain(job: Job) -> None:
    """The fast path without pseudonyms, whose result is that of the others."""
    fast_with(job, None)


def statistics(job: Job) -> dict[str, Work]:
    """Every statistic of the day, from what the fast path built."""
    built = replace(job, name="fast")
    return node_statistics.of_day(built.presence, built.visits, job.root, MEMORY)


def polars(job: Job) -> None:
    """Polars, streaming where it can."""
    node_peers.polars(job.day, job.presence, job.visits)


def spark_native(job: Job) -> dict[str, Work]:
    """Spark with DataFrame code."""
    return node_peers.spark_native(job.day, job.presence, job.visits, job.root)


def spark_ibis(job: Job) -> dict[str, Work]:
    """Spark with our expressions."""
    return node_peers.spark_ibis(job.day, job.presence, job.visits, job.root)


def spark_fast(job: Job) -> dict[str, Work]:
    """Spark with the fast path in its tasks."""
    return node_peers.spark_fast(job.day, job.presence, job.visits, job.root)


#: Baselines of the engine, whole days, and what is made of them.
PATHS: dict[str, Callable[[Job], dict[str, Work] | None]] = {
    path.__name__: path
    for path in (
        *(scan, group, hours),
        *(sql, reference, fast, plain, polars),
        *(spark_native, spark_ibis, spark_fast),
        statistics,
    )
}


def main() -> None:
    """Run one path."""
    name, events, root = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    job = Job(name, world(root, events), root)
    with work() as whole:
        parts = PATHS[name](job)
    tell(whole, parts or {})


if __name__ == "__main__":
    main()
