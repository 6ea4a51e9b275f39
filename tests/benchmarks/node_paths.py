"""The ways to a day that the section node measures, each run in a process of its own."""

# ruff: noqa: S608 - statements are made of numbers and paths of the benchmark

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import duckdb

from node.config import Engine
from node.engine import connect
from node.making import Maker
from node.presence.hold import Hold
from node.sources.cleaning import Cleaner
from node.sources.mapping import Source
from node.sources.reading import Place
from tests.benchmarks import node_peers, node_statistics
from tests.benchmarks.node_sql import HOLD_MINUTES, SECRET, statements
from tests.benchmarks.node_statistics import TIME_ZONE, ZONING
from tests.benchmarks.node_world import DAY, World, world
from tests.benchmarks.processes import Work, tell, work

MEMORY, THREADS = "2GB", 2
FAST_MEMORY = "2800MB"
#: A day so small that it costs nothing but the start.
FEW = 10**4
POLARS_GIB = 18


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


def source(job: Job, *, given: bool) -> Source:
    """Return the mapping of the operator; there are no roamers."""
    return Source.model_validate(
        {
            "events": str(job.day.events.resolve()).replace(DAY.local.isoformat(), "{day}"),
            "cells": {
                "path": [str(job.day.cells.resolve())],
                "columns": {"zone": "code", "lon": "lon", "lat": "lat"},
            },
            "first_day": DAY.local,
            "last_day": DAY.local,
            "pseudonyms": {"given": given},
            "sequence": node_peers.RULES.model_dump(),
        }
    )


def by_maker(job: Job, build: Literal["auto", "expressions"], memory: str, *, given: bool) -> None:
    """Build the day as the node does, without its quality."""
    scratch = job.root / "scratch"
    scratch.mkdir(exist_ok=True)
    cleaner = Cleaner(source(job, given=given), Place(job.root, scratch, THREADS, memory), TIME_ZONE, SECRET)
    engine = Engine(memory_limit=memory, threads=THREADS, build=build)
    with connect(engine, scratch) as db:
        versions = cleaner.register(db, ZONING.codes)
    maker = Maker(cleaner, versions, engine, Hold(HOLD_MINUTES), SECRET, scratch)
    with maker.made(DAY.local, rejected=False) as (_db, made):
        made.presence.replace(job.presence)
        made.visits.replace(job.visits)


def reference(job: Job) -> None:
    """The reference: Ibis expressions on DuckDB."""
    by_maker(job, "expressions", MEMORY, given=True)


def fast(job: Job) -> None:
    """The compiled pass, with pseudonyms, as an operator runs it."""
    by_maker(job, "auto", FAST_MEMORY, given=False)


def plain(job: Job) -> None:
    """The compiled pass without pseudonyms, whose result is that of the others."""
    by_maker(job, "auto", FAST_MEMORY, given=True)


def statistics(job: Job) -> dict[str, Work]:
    """Every statistic of the day, from what the fast path built."""
    built = replace(job, name="fast")
    return node_statistics.of_day(built.presence, built.visits, job.root, MEMORY)


def statistic(job: Job) -> dict[str, Work]:
    """One statistic, which is the name of the job."""
    built = replace(job, name="fast")
    return node_statistics.one_of_day(job.name, built.presence, built.visits, job.root, MEMORY)


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
    **dict.fromkeys(node_statistics.daily(), statistic),
    **{
        path.__name__: path
        for path in (
            *(scan, group, hours),
            *(sql, reference, fast, plain, polars),
            *(spark_native, spark_ibis, spark_fast),
            statistics,
        )
    },
}


#: Paths that are measured after a small day, so that every library is there: what that costs is measured apart.
_WARMED = frozenset(("scan", "group", "hours", "sql", "reference", "fast", "plain", "polars"))


def main() -> None:
    """Run `PATH EVENTS ROOT`, or `cold PATH EVENTS ROOT` to count what libraries take to load on the way."""
    *cold, name, number, place = sys.argv[1:]
    events, root = int(number), Path(place)
    if name == "polars":
        # Beyond its limit it fails alone, and takes nothing else down with it.
        resource.setrlimit(resource.RLIMIT_DATA, (POLARS_GIB << 30, POLARS_GIB << 30))
    if name in _WARMED and not cold:
        PATHS[name](Job(name, world(root, FEW), root))
    job = Job(name, world(root, events), root)
    with work() as whole:
        parts = PATHS[name](job)
    tell(whole, parts or {})


if __name__ == "__main__":
    main()
