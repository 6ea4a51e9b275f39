"""The ways to a day that the benchmark holds against each other all build the same day."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.benchmarks.node_paths import PATHS, Job
from tests.benchmarks.node_statistics import of_day
from tests.benchmarks.node_world import World, world
from tests.benchmarks.processes import measured
from tests.support_engines import require_java

EVENTS = 30_000


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Events of a small day."""
    return world(tmp_path_factory.mktemp("bench"), EVENTS)


def test_the_same_numbers_make_the_same_events(day: World, tmp_path: Path) -> None:
    assert pq.read_table(world(tmp_path, EVENTS).events).equals(pq.read_table(day.events))


@pytest.mark.parametrize("other", ["sql", "reference", "polars"])
def test_the_fast_path_builds_what_others_build(day: World, tmp_path: Path, other: str) -> None:
    jobs = [Job(name, day, tmp_path) for name in ("plain", other)]
    for job in jobs:
        PATHS[job.name](job)
    for table in ("presence", "visits"):
        ours, theirs = (pq.read_table(getattr(job, table)) for job in jobs)
        assert ours.num_rows > EVENTS // 4
        assert theirs.cast(ours.schema).equals(ours)


@pytest.mark.full
def test_on_spark_our_expressions_build_what_the_pass_and_code_by_hand_build(
    day: World, tmp_path: Path
) -> None:
    """Each in a process of its own, as the benchmark runs them; Spark answers in files of no order."""
    require_java()
    for name in ("spark_native", "spark_ibis"):
        measured("tests.benchmarks.node_paths", name, str(EVENTS), str(day.events.parent))
    ours = Job("plain", day, tmp_path)
    PATHS["plain"](ours)
    for table in ("presence", "visits"):
        expected = pq.read_table(getattr(ours, table))
        order = [(name, "ascending") for name in expected.column_names]
        for name in ("spark_native", "spark_ibis"):
            found = pq.read_table(getattr(Job(name, day, day.events.parent), table))
            found = found.select(expected.column_names).cast(expected.schema)
            assert found.sort_by(order).equals(expected.sort_by(order))


def test_every_statistic_of_a_day_reads_it(day: World, tmp_path: Path) -> None:
    job = Job("fast", day, tmp_path)
    PATHS["fast"](job)
    assert len(of_day(job.presence, job.visits, tmp_path, "500MB")) == 11
