"""A table of Spark through the door, in slices; skipped visibly where there is no Java."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ibis.backends.duckdb import Backend

from node.sources import reading, spark
from node.sources.reading import Place
from node.sources.reasons import Reason
from privacy.errors import DataProblem
from tests.support_engines import spark_load
from tests.support_node import BRUSSELS, instant
from tests.unit.node.sources.support import judge, reasons, source_of, through_the_door
from tests.unit.node.worlds import ORDINARY_DAY

# Spark leaves sockets for the collector.
pytestmark = [pytest.mark.filterwarnings("ignore::ResourceWarning"), pytest.mark.usefixtures("session")]
NOON = instant(ORDINARY_DAY, 12 * 3600)
TABLE = pa.table(
    {
        "imsi": ["206011", " 206012", "", None, "206013", "206014"],
        "micros": pa.array([NOON, NOON + 1, NOON, NOON, None, NOON + 86_400 * 10**6], pa.int64()),
        "at": pa.array([NOON, NOON + 1, NOON, NOON, None, NOON + 86_400 * 10**6], pa.timestamp("us", "UTC")),
        "lac": pa.array([1, 2, 1, 1, 1, 9], pa.int32()),
    }
)
EXPECTED = [0, 0, Reason.NULL_SUBSCRIBER, Reason.NULL_SUBSCRIBER, Reason.NULL_TIME, Reason.OUTSIDE_DAY]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One session for all tests: the door uses the one that is there."""
    with spark_load(tmp_path_factory.mktemp("spark"), 1):
        yield


def mapping(time: str = "at", form: str = "timestamp", **columns: Any) -> Any:
    return source_of(
        events={"kind": "spark", "path": "day={day}", "where": "lac < 100"},
        columns={"subscriber": "imsi", "time": time, "cell": "lac"} | columns,
        time={"format": form, "zone": BRUSSELS},
        pseudonyms={},
    )


def delivered(root: Path) -> Path:
    folder = root / f"day={ORDINARY_DAY}"
    folder.mkdir()
    pq.write_table(TABLE, folder / "part-0.parquet")
    return root


def test_a_table_of_spark_is_judged_like_a_file(
    db: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = judge(db, mapping(), delivered(tmp_path))
    by_file = source_of(
        columns={"subscriber": "imsi", "time": "micros", "cell": "lac"},
        time={"format": "epoch_us"},
        pseudonyms={},
    )
    expected = through_the_door(db, tmp_path, TABLE, by_file)
    assert reasons(expected) == EXPECTED
    # Spark answers in no order.
    assert sorted(map(values, found)) == sorted(map(values, expected))
    monkeypatch.setattr(spark, "_SLICE", 2)
    place, day = Place(tmp_path, tmp_path, 1, "1GB"), ORDINARY_DAY
    raw = reading.read_events(db.con, mapping(), place, day)
    assert db.table(raw.relation, database=("temp", "main")).count().to_pyarrow().as_py() == 6
    (tmp_path / "cells.parquet").write_bytes(b"any")
    assert len(reading.origin(mapping(), place, day)["events"]) == 64


def values(judged: tuple[dict[str, int], Reason]) -> tuple[int, ...]:
    row, reason = judged
    return (row["subscriber"], row["t_us"], row["cell"], reason)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"subscriber": "msisdn"}, r"columns\.subscriber does not fit"),
        ({"cell": "array(lac)"}, r"columns\.cell\.0 is array"),
        ({"time": "lac + 0"}, r"columns\.time is int, not a time"),
    ],
)
def test_an_expression_that_does_not_fit_is_named(
    db: Backend, tmp_path: Path, columns: dict[str, str], says: str
) -> None:
    with pytest.raises(DataProblem, match=says):
        judge(db, mapping(**columns), delivered(tmp_path))


def test_what_spark_says_about_a_row_is_kept_back(db: Backend, tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match="Spark failed while") as caught:
        judge(db, mapping(cell="CAST(imsi || 'x' AS INT)"), delivered(tmp_path))
    assert "206011" not in caught.value.explain()
    with pytest.raises(DataProblem, match="Spark cannot read"):
        judge(db, mapping(), tmp_path / "nowhere")
