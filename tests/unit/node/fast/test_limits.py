"""The fast path within its limits: memory, threads, order of rows, pseudonyms, and rows that no door lets through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from node.presence import buckets
from node.presence.fast import Build, Built
from node.presence.hold import Hold
from node.presence.kernel import Integers
from node.presence.rows import batches_of
from node.presence.spill import Extent, Spill
from node.sources.reasons import Reason
from node.sources.sequence import SequenceRules
from privacy.errors import DataProblem, PrivacyProblem, UsageProblem
from tests.benchmarks.node_world import DAY
from tests.unit.node.fast.days import PLACES

ROWS = 400_000
LENGTH = DAY.end_us - DAY.start_us
CELLS = pa.table(
    {"cell": [*PLACES], **{n: [p[i] for p in PLACES.values()] for i, n in enumerate(("zone", "x_m", "y_m"))}}
)


def crowd(rows: int = ROWS, people: int = 5_000, seed: int = 1) -> pa.Table:
    """Return rows in order of time; some twice, some rejected, some of roamers."""
    random = np.random.default_rng(seed)
    subscriber = random.integers(0, people, rows) * 1_000_003
    cell = np.array([*PLACES])[random.integers(0, len(PLACES), rows)]
    place = np.array([PLACES.get(c, (0, 0, 0)) for c in range(10)])[cell]
    time = DAY.start_us + np.sort(random.integers(0, LENGTH // 10**6, rows)) * 10**6
    columns = {
        "subscriber": subscriber,
        "t_us": time,
        "cell": cell,
        "zone": place[:, 0],
        "x_m": place[:, 1],
        "y_m": place[:, 2],
        "origin": np.where(subscriber % 7 == 0, 208, 0),
        "reason": np.where(random.random(rows) < 0.01, int(Reason.OUTSIDE_DAY), 0),
    }
    return pa.table(columns)


def plan(scratch: Path, **changes: object) -> Build:
    """Return how the crowd is built."""
    rules = SequenceRules(ghost_seconds=120, max_speed=300)
    return replace(Build(DAY, rules, Hold(90), 12345, scratch, 200_000_000), **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The crowd, built in memory."""
    return plan(tmp_path_factory.mktemp("usual")).tables(crowd().to_batches(max_chunksize=50_000))


def same(one: Built, other: Built) -> bool:
    return (
        one.presence.equals(other.presence) and one.visits.equals(other.visits) and one.counts == other.counts
    )


def test_what_does_not_fit_into_memory_is_spilled_and_nothing_changes(
    usual: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "BUCKETS", 16)
    spilled: list[int] = []
    put = Spill.put

    def counted(self: Spill, array: Integers) -> Extent:
        spilled.append(array.nbytes)
        return put(self, array)

    monkeypatch.setattr(Spill, "put", counted)
    built = plan(tmp_path, memory_limit=1_000_000).tables(crowd().to_batches(max_chunksize=50_000))
    assert sum(spilled) > 10 * 1_000_000
    assert same(built, usual)
    assert list(tmp_path.iterdir()) == []


def test_a_little_too_much_spills_a_part_of_the_rows(
    usual: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "BUCKETS", 16)
    spilled: list[int] = []
    put = Spill.put

    def counted(self: Spill, array: Integers) -> Extent:
        # Rows are pairs, presence and visits are triples.
        spilled.append(array.nbytes * (array.shape[1] == 2))
        return put(self, array)

    monkeypatch.setattr(Spill, "put", counted)
    # Three quarters of it are for rows, of which there are a little more.
    built = plan(tmp_path, memory_limit=8_500_000).tables(crowd().to_batches(max_chunksize=50_000))
    assert 1_000_000 < sum(spilled) < 2_000_000
    assert same(built, usual)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("buckets_", [1, 2, 1024])
def test_threads_and_buckets_change_nothing(
    usual: Built, tmp_path: Path, threads: int, buckets_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "BUCKETS", buckets_)
    built = plan(tmp_path, threads=threads).tables(crowd().to_batches(max_chunksize=7_777))
    assert same(built, usual)


@pytest.mark.parametrize("order", ["reversed", "shuffled"])
def test_the_order_of_rows_changes_nothing(usual: Built, tmp_path: Path, order: str) -> None:
    rows = crowd()
    places = np.arange(ROWS)[::-1] if order == "reversed" else np.random.default_rng(3).permutation(ROWS)
    assert same(plan(tmp_path).tables(rows.take(places).to_batches(max_chunksize=60_000)), usual)


def test_one_subscriber_with_all_rows_in_the_worst_order_is_built_in_time(tmp_path: Path) -> None:
    rows = crowd(people=1)
    places = np.concatenate([np.arange(0, ROWS, 2)[::-1], np.arange(1, ROWS, 2)])
    built = plan(tmp_path).tables(rows.take(places).to_batches())
    in_order = plan(tmp_path).tables(rows.to_batches())
    assert same(built, in_order)
    assert built.presence.num_rows == 3


def test_files_have_the_same_rows_as_tables(
    usual: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.presence.output.PIECE_ROWS", 5_000)
    presence, visits = tmp_path / "presence.parquet", tmp_path / "visits.parquet"
    tally = plan(tmp_path).files(crowd().to_batches(), presence, visits)
    assert tally.counts == usual.counts
    assert pq.read_table(presence).cast(usual.presence.schema).equals(usual.presence)
    assert pq.read_table(visits).cast(usual.visits.schema).equals(usual.visits)


def test_places_may_come_from_the_register(usual: Built, tmp_path: Path) -> None:
    rows = crowd().drop_columns(["zone", "x_m", "y_m"])
    assert same(plan(tmp_path, cells=CELLS).tables(rows.to_batches()), usual)


def test_a_source_without_roamers_or_rejected_rows_needs_no_columns_for_them(tmp_path: Path) -> None:
    rows = crowd()
    rows = rows.filter(pa.compute.equal(rows["reason"], 0))
    rows = rows.set_column(6, "origin", pa.array(np.zeros(rows.num_rows, np.int64)))
    built = plan(tmp_path).tables(rows.drop_columns(["origin", "reason"]).to_batches())
    assert same(built, plan(tmp_path).tables(rows.to_batches()))


def test_pseudonyms_are_asked_for_once_and_order_the_output(usual: Built, tmp_path: Path) -> None:
    asked: list[int] = []

    def backwards(ids: Integers) -> Integers:
        asked.extend(ids.tolist())
        return 2**62 - ids

    built = plan(tmp_path, pseudonyms=backwards, key=7).tables(crowd().to_batches())
    assert sorted(asked) == sorted({*usual.presence["subscriber"].to_pylist()})
    subscribers = built.presence["subscriber"].to_numpy()
    assert (np.diff(subscribers) >= 0).all()
    mapped = crowd()
    mapped = mapped.set_column(0, "subscriber", pa.array(2**62 - mapped["subscriber"].to_numpy()))
    assert same(built, plan(tmp_path, key=7).tables(mapped.to_batches()))


def test_pseudonyms_that_are_none_are_refused(tmp_path: Path) -> None:
    rows = crowd(1000).to_batches()
    with pytest.raises(DataProblem, match="same pseudonym"):
        plan(tmp_path, pseudonyms=lambda ids: ids % 2).tables(rows)
    for wrong in (lambda ids: -ids - 1, lambda ids: ids[1:], lambda ids: ids.astype(float)):
        with pytest.raises(PrivacyProblem):
            plan(tmp_path, pseudonyms=wrong).tables(rows)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("subscriber", -1),
        ("t_us", DAY.start_us - 1),
        ("t_us", DAY.end_us),
        ("cell", -1),
        ("cell", 2**26),
        ("zone", -1),
        ("zone", 2**22),
        ("x_m", 2**29),
        ("y_m", -(2**29)),
        ("y_m", 77),
        ("origin", -1),
        ("origin", 2**20),
        ("reason", -1),
        ("reason", 256),
    ],
)
def test_a_row_that_no_door_lets_through_ends_the_build(tmp_path: Path, column: str, value: int) -> None:
    rows = crowd(1000)
    values = rows[column].to_numpy().copy()
    place = int(np.flatnonzero(rows["reason"].to_numpy() == 0)[500])
    values[place] = value
    wrong = rows.set_column(rows.column_names.index(column), column, pa.array(values))
    with pytest.raises(DataProblem):
        plan(tmp_path).tables(wrong.to_batches(max_chunksize=100))


def test_a_null_is_refused_unless_the_row_is_rejected(tmp_path: Path) -> None:
    rows = crowd(1000)
    rejected = rows["reason"].to_numpy() > 0
    some = pa.array(rows["cell"].to_numpy(), mask=rejected)
    built = plan(tmp_path).tables(rows.set_column(2, "cell", some).to_batches())
    assert same(built, plan(tmp_path).tables(rows.to_batches()))
    with pytest.raises(DataProblem, match="no cell"):
        plan(tmp_path).tables(
            rows.set_column(2, "cell", pa.array(rows["cell"].to_numpy(), mask=~rejected)).to_batches()
        )


def test_days_and_holds_out_of_range_are_refused(tmp_path: Path) -> None:
    for changes in (
        {"day": replace(DAY, end_us=DAY.start_us + 26 * 3600 * 10**6)},
        {"hold": Hold(0)},
        {"key": 2**31},
    ):
        with pytest.raises(UsageProblem):
            plan(tmp_path, **changes).tables(iter(()))


def test_a_failing_source_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from crowd(1000).to_batches()
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        plan(tmp_path).tables(broken())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reason", [18, 255])
def test_a_reason_that_there_is_not_is_no_lost_row(tmp_path: Path, reason: int) -> None:
    rows = crowd(1_000)
    rows = rows.set_column(7, "reason", pa.array(np.where(np.arange(1_000) == 7, reason, 0)))
    with pytest.raises(DataProblem, match="a reason that there is not"):
        plan(tmp_path).tables(rows.to_batches())


def test_a_limit_beyond_what_the_machine_has_is_none(usual: Built, tmp_path: Path) -> None:
    assert same(plan(tmp_path, memory_limit=10**15).tables(crowd().to_batches()), usual)


@pytest.mark.parametrize(
    ("text", "class_"),
    [
        ("Out of Range Error: x", duckdb.OutOfRangeException),
        ("Out of Memory Error: x", duckdb.OutOfMemoryException),
        ("Conversion Error: x", duckdb.ConversionException),
        ("Something Else Error: x", duckdb.Error),
    ],
)
def test_an_error_amid_the_rows_is_the_one_that_the_engine_means(
    text: str, class_: type[duckdb.Error]
) -> None:
    """DuckDB tells it as an OSError when it comes after the first rows."""

    class Backend:
        con = SimpleNamespace(sql=lambda _text: SimpleNamespace(to_arrow_reader=lambda _rows: broken()))

        @staticmethod
        def compile(_rows: object) -> str:
            return ""

    def broken() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"reason": [0]})
        raise OSError(text)

    found = batches_of(cast(Any, Backend()), cast(Any, None))
    next(found)
    with pytest.raises(class_) as caught:
        next(found)
    assert type(caught.value) is class_
