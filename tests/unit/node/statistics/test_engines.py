"""The same definitions on Spark and on PostgreSQL: byte for byte what DuckDB makes of the same days."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date

import pytest

from node.statistics.registry import STATISTICS
from quorate.contract.zoning import NATION
from tests.support_engines import Load, postgres_load, require_java, spark_load
from tests.unit.node.statistics.cases import World, built, inputs, reference, terms_for, vectors, written
from tests.unit.node.statistics.crowds import PARAMETERS, crowd


def of_spark(test: Callable[..., None]) -> Callable[..., None]:
    """Spark calls what pandas has deprecated, and leaves sockets open."""
    for category in ("DeprecationWarning", "ResourceWarning"):
        test = pytest.mark.filterwarnings(f"ignore::{category}")(test)
    return test


@pytest.fixture(scope="module")
def server() -> Iterator[Load]:
    with postgres_load() as load:
        yield load


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Load]:
    with spark_load(tmp_path_factory.mktemp("spark")) as load:
        yield load


def equal(engine: Load, duckdb: Load, world: World, days: int) -> None:
    """Compare presence and visits of some days, and the vector of every statistic of all of them, with DuckDB's."""
    found = [built(duckdb, world, number) for number in range(len(world.dates))]
    assert [built(engine, world, number) for number in range(days)] == found[:days]
    there, here = inputs(engine, world, found), inputs(duckdb, world, found)
    for statistic in sorted(STATISTICS):
        terms = terms_for(statistic, PARAMETERS[statistic], world.dates)
        expected = {level: table.tolist() for level, table in vectors(here, terms).items()}
        assert {level: table.tolist() for level, table in vectors(there, terms).items()} == expected, (
            statistic
        )


@pytest.mark.parametrize(
    "first",
    [
        date(2026, 3, 29),
        *(pytest.param(day, marks=pytest.mark.full) for day in (date(2026, 10, 25), date(2028, 2, 29))),
    ],
)
def test_a_crowd_on_duckdb_is_what_plain_python_says(duckdb: Load, first: date) -> None:
    """Crowds are worlds like others, and make every statistic say something."""
    world = crowd(first, 2, 60, seed=first.toordinal())
    assert [built(duckdb, world, number) for number in range(2)] == [
        written(world, number) for number in range(2)
    ]
    given = inputs(duckdb, world)
    for statistic, parameters in PARAMETERS.items():
        found = vectors(given, terms_for(statistic, parameters, world.dates))
        expected = reference(world, statistic, parameters)
        assert {level: table.tolist() for level, table in found.items()} == expected, statistic
        # A table of the country has one row: then several of its cells.
        rows = expected.get("zone") or [[cell] for cell in expected[NATION][0]]
        assert sum(map(any, rows)) > 1, statistic


@pytest.mark.parametrize("first", [date(2026, 3, 29), date(2026, 10, 25)])
def test_postgresql_makes_the_same(server: Load, duckdb: Load, first: date) -> None:
    equal(server, duckdb, crowd(first, 2, 300, seed=4), days=2)


@pytest.mark.full
@of_spark
def test_spark_makes_the_same(cluster: Load, duckdb: Load) -> None:
    equal(cluster, duckdb, crowd(date(2026, 10, 25), 2, 300, seed=5), days=1)


@pytest.mark.full
@pytest.mark.parametrize("first", [date(2026, 3, 28), date(2026, 10, 24), date(2028, 2, 28)])
def test_postgresql_makes_the_same_of_a_larger_crowd(server: Load, duckdb: Load, first: date) -> None:
    equal(server, duckdb, crowd(first, 4, 20_000, seed=6), days=4)


@pytest.mark.full
@of_spark
@pytest.mark.parametrize("first", [date(2026, 3, 28), date(2026, 10, 24), date(2028, 2, 28)])
def test_spark_makes_the_same_of_a_larger_crowd(cluster: Load, duckdb: Load, first: date) -> None:
    equal(cluster, duckdb, crowd(first, 4, 20_000, seed=7), days=4)


@pytest.mark.full
def test_a_cluster_reached_by_spark_connect_makes_what_plain_python_says() -> None:
    """`local[2]` starts a Spark Connect server on this machine and talks to it as to a cluster."""
    require_java()
    child = [sys.executable, "-m", "tests.unit.node.statistics.connect_child", "local[2]"]
    found = subprocess.run(child, capture_output=True, text=True, timeout=900)
    assert found.returncode == 0, found.stderr[-2000:]
    said = {line.split()[-1] for line in found.stdout.splitlines() if line.startswith("equal ")}
    assert said == set(STATISTICS)
