"""The fast path in the tasks of Spark gives what it gives on one machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from node.engines import spark as engine
from node.presence import spark
from privacy.errors import UsageProblem
from tests.support_engines import require_java
from tests.unit.node.fast.test_limits import crowd, plan

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: PySpark leaves the sockets that it fetches results by to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Spark in this process."""
    require_java()
    found = engine.local_session(2, "1g", tmp_path_factory.mktemp("spark"))
    yield found
    found.stop()


def test_tasks_build_what_one_machine_builds(session: SparkSession, tmp_path: Path) -> None:
    rows = crowd(50_000, people=700)
    build = plan(tmp_path)
    alone = build.tables(rows.to_batches())
    both = spark.mapped(session.createDataFrame(rows), build, 5)
    both.write.partitionBy(spark.KIND).parquet(str(tmp_path / "both"))
    written = session.read.schema(both.schema).parquet(str(tmp_path / "both"))
    presence = spark.presence_of(written).orderBy("subscriber", "zone").toArrow()
    visits = spark.visits_of(written).orderBy("subscriber", "seq").toArrow()
    assert presence.cast(alone.presence.schema).equals(alone.presence)
    assert visits.cast(alone.visits.schema).equals(alone.visits)
    assert spark.counts_of(written) == alone.counts


def test_a_day_without_rows_is_empty_there_too(session: SparkSession, tmp_path: Path) -> None:
    rows = session.createDataFrame(crowd(10)).filter("subscriber < 0")
    both = spark.mapped(rows, plan(tmp_path), 2).cache()
    assert spark.presence_of(both).count() == spark.visits_of(both).count() == 0
    assert set(spark.counts_of(both).values()) == {0}


def test_no_key_is_sent_to_executors(tmp_path: Path) -> None:
    build = replace(plan(tmp_path), pseudonyms=lambda ids: ids)
    with pytest.raises(UsageProblem, match="cluster"):
        spark.mapped(None, build, 2)  # type: ignore[arg-type]
