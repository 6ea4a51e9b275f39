"""A day is whole or it is not there: killed workers, full disks, damaged files, new deliveries."""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from node.config import Home
from node.enrolment import load
from node.jobs import Answer, BuildJob
from node.sources.reasons import Reason
from privacy.errors import DataProblem
from tests.support_node import Network, config_text, enrolled, instant, write_events
from tests.unit.node.two_days import ingest
from tests.unit.node.worlds import ORDINARY_DAY

DAY = ORDINARY_DAY
EVENTS = 60_000


@pytest.fixture(scope="module")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """Enough events that a build takes a second."""
    rng = np.random.default_rng(4)
    return pa.table(
        {
            "subscriber_id": rng.integers(1, EVENTS // 15, EVENTS),
            "timestamp_ms": instant(DAY, 0) // 1000 + rng.integers(0, 86_400_000, EVENTS),
            "cell_id": rng.integers(1, 6, EVENTS),
        }
    )


@pytest.fixture
def home(network: Network, tmp_path: Path, delivery: pa.Table) -> Home:
    home = enrolled(
        network, tmp_path / "node", config=config_text((DAY, DAY), "gate = {max_rejected_permille = 500}")
    )
    (home.root / "events").mkdir()
    pq.write_table(delivery, home.root / "events" / f"{DAY}.parquet")
    return home


def worked(home: Home, most: int | None = None, killed_after: float | None = None) -> Answer | None:
    """Return the last word of a worker that builds the day, None if it was killed before.

    Parameters
    ----------
    most
        Bytes that a file of it may have.
    killed_after
        Seconds.
    """

    def limit() -> None:
        if most is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    job = BuildJob(home=home.root, charter=load(home).charter_digest, days=(DAY,))
    with subprocess.Popen(
        [sys.executable, "-m", "node.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=limit,  # noqa: PLW1509 - no threads here
    ) as process:
        try:
            out, _ = process.communicate(job.model_dump_json().encode(), timeout=killed_after)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return None
    return Answer.model_validate_json(out.splitlines()[-1])


def problem(answered: Answer | None) -> tuple[str, str, str, str] | None:
    """Return the error of a worker that was not killed."""
    assert answered is not None
    return answered.error


def digests(home: Home) -> list[str]:
    return [
        hashlib.sha256((directory / f"{DAY}.parquet").read_bytes()).hexdigest()
        for directory in (home.presence, home.visits)
    ]


def require_whole_or_absent(home: Home, whole: list[str]) -> None:
    """What has a name is complete, and the quality file calls a day built only when all of it is there."""
    for directory, digest in zip((home.presence, home.visits), whole, strict=True):
        path = directory / f"{DAY}.parquet"
        assert not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() == digest
    record = home.quality / f"{DAY}.json"
    if record.exists() and json.loads(record.read_text())["built"]:
        assert digests(home) == whole


def test_a_killed_worker_leaves_a_whole_day_or_none(home: Home) -> None:
    started = time.monotonic()
    assert problem(worked(home)) is None
    took, whole = time.monotonic() - started, digests(home)
    for share in (0.5, 0.65, 0.8, 0.9, 1.0):
        (home.quality / f"{DAY}.json").unlink(missing_ok=True)
        worked(home, killed_after=took * share)
        require_whole_or_absent(home, whole)
    assert problem(worked(home)) is None
    assert digests(home) == whole
    assert sorted(path.name for path in home.presence.iterdir()) == [f"{DAY}.parquet"]


@pytest.mark.parametrize("most", [1_000, 60_000])
def test_a_full_disk_leaves_no_day_and_says_so(home: Home, most: int) -> None:
    error = problem(worked(home, most))
    assert error is not None
    assert error[0] == "ResourceProblem"
    assert not list(home.presence.glob("*.parquet"))
    assert problem(worked(home)) is None
    require_whole_or_absent(home, digests(home))


def test_the_days_files_are_the_owners_alone(home: Home) -> None:
    ingest(home, DAY)
    for path in (
        home.presence / f"{DAY}.parquet",
        home.visits / f"{DAY}.parquet",
        home.quality / f"{DAY}.json",
    ):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_late_delivery_is_a_new_snapshot_with_its_digest(home: Home) -> None:
    write_events(home, DAY, [(5, instant(DAY, 3600), 2)])
    ingest(home, DAY)
    first = json.loads((home.quality / f"{DAY}.json").read_text())["built_from"]["events"]
    before = digests(home)
    late = write_events(home, DAY, [(5, instant(DAY, 3600), 2), (6, instant(DAY, 7200), 1)])
    ingest(home, DAY)
    second = json.loads((home.quality / f"{DAY}.json").read_text())["built_from"]["events"]
    assert second == hashlib.sha256(late.read_bytes()).hexdigest() != first
    assert all(old != new for old, new in zip(before, digests(home), strict=True))


def test_another_day_on_offer_builds_nothing_again(home: Home) -> None:
    ingest(home, DAY)
    before = (home.presence / f"{DAY}.parquet").stat().st_mtime_ns
    text = home.config.read_text().replace(f"last_day = {DAY}", "last_day = 2026-10-25")
    assert text != home.config.read_text()
    home.config.write_text(text)
    ingest(home, DAY)
    assert (home.presence / f"{DAY}.parquet").stat().st_mtime_ns == before


def test_rejected_rows_are_kept_only_when_it_is_asked_for(home: Home) -> None:
    rows = [(5, instant(DAY, 3600), 2), (5, instant(DAY, 3600), 2), (6, instant(DAY, 60), 99)]
    write_events(home, DAY, rows)
    path = home.quality / "quarantine" / f"{DAY}.parquet"
    text = home.config.read_text()
    home.config.write_text(text.replace("max_rejected_permille = 500", "max_rejected_permille = 700"))
    ingest(home, DAY)
    assert not path.exists()
    asked = home.config.read_text().replace("[source]\n", "[source]\nquarantine = true\n")
    home.config.write_text(asked)
    ingest(home, DAY)
    assert path.stat().st_mode & 0o777 == 0o600
    kept = pq.ParquetFile(path).read().to_pylist()
    assert sorted((row["subscriber"], row["reason"]) for row in kept) == [
        (5, Reason.DUPLICATE),
        (6, Reason.UNKNOWN_CELL),
    ]
    home.config.write_text(asked.replace("quarantine = true", "quarantine = false"))
    ingest(home, DAY)
    assert not path.exists()


def test_who_had_a_row_rejected_is_part_of_the_day_and_built_again_where_it_is_not_there(home: Home) -> None:
    rows = [(5, instant(DAY, 3600), 2), (6, instant(DAY, 60), 99), (6, instant(DAY, 80), 1), (7, None, 1)]
    write_events(home, DAY, rows)
    ingest(home, DAY)
    path, presence = home.rejected / f"{DAY}.parquet", home.presence / f"{DAY}.parquet"
    assert pq.ParquetFile(path).read().to_pydict() == {"subscriber": [6]}
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    before = presence.stat().st_mtime_ns
    ingest(home, DAY)
    assert presence.stat().st_mtime_ns == before
    # As a node is whose days were built before there was such a file.
    path.unlink()
    path.parent.rmdir()
    ingest(home, DAY)
    assert presence.stat().st_mtime_ns > before
    assert pq.ParquetFile(path).read().num_rows == 1
    write_events(home, DAY, rows[:1])
    ingest(home, DAY)
    assert pq.ParquetFile(path).read().num_rows == 0


def test_persons_are_kept_as_long_as_they_are_asked_for(home: Home) -> None:
    events = home.root / "events" / f"{DAY}.parquet"
    table = pq.read_table(write_events(home, DAY, [(who, instant(DAY, 3600), 2) for who in (5, 6, 7)]))
    pq.write_table(table.append_column("nin", pa.array(["A", "A", None])), events)
    (home.root / "national.key").write_bytes(bytes(32))
    (home.root / "national.key").chmod(0o600)
    before, path = home.config.read_text(), home.persons / f"{DAY}.parquet"
    more = '{given = true, national_key_file = "national.key"}\ncolumns = {national_id = "nin"}'
    home.config.write_text(before.replace("{given = true}", more))
    ingest(home, DAY)
    found = pq.ParquetFile(path).read()
    assert found.num_rows == 2
    assert len({*found["person"].to_pylist()}) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    (home.root / "national.key").write_bytes(bytes(range(32)))
    ingest(home, DAY)
    assert pq.ParquetFile(path).read()["person"].to_pylist() != found["person"].to_pylist()
    home.config.write_text(before)
    ingest(home, DAY)
    assert not path.exists()


def test_the_rules_over_a_subscribers_rows_are_part_of_the_day(home: Home) -> None:
    rows = [(5, instant(DAY, since), cell) for since, cell in ((3600, 1), (3610, 2), (3620, 1))]
    write_events(home, DAY, rows)
    home.config.write_text(
        home.config.read_text().replace("[engine]", "[source.sequence]\nghost_seconds = 60\n[engine]")
    )
    ingest(home, DAY)
    found = pq.ParquetFile(home.presence / f"{DAY}.parquet").read().to_pylist()
    assert [(row["zone"], row["n"]) for row in found] == [(0, 2)]
    assert json.loads((home.quality / f"{DAY}.json").read_text())["rows"]["ghost"] == 1


def test_an_expression_that_fails_on_a_row_is_the_mappings_problem(home: Home) -> None:
    table = pa.table(
        {"subscriber_id": [5], "timestamp_ms": [instant(DAY, 60) // 1000], "cell_id": ["secret-cell"]}
    )
    pq.write_table(table, home.root / "events" / f"{DAY}.parquet")
    text = home.config.read_text().replace("[source]\n", '[source]\ncolumns = {cell = "cell_id::BIGINT"}\n')
    home.config.write_text(text)
    with pytest.raises(DataProblem, match="an expression fails on a row") as caught:
        ingest(home, DAY)
    assert "secret-cell" not in caught.value.explain()
    assert caught.value.__suppress_context__
