"""The ways to a day that the benchmark holds against each other all build the same day."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.benchmarks.node_paths import PATHS, Job
from tests.benchmarks.node_statistics import of_day
from tests.benchmarks.node_world import World, world

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


def test_every_statistic_of_a_day_reads_it(day: World, tmp_path: Path) -> None:
    job = Job("fast", day, tmp_path)
    PATHS["fast"](job)
    assert len(of_day(job.presence, job.visits, tmp_path, "500MB")) == 10
