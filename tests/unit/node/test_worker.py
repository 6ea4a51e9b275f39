"""What the worker makes of a node's directory: presence once per day and rules, files that stay private."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from node.config import Home
from node.engine import connect, read_one
from node.enrolment import enrol, load
from node.jobs import BuildJob
from node.statistics.registry import Inputs, exact_vector
from node.worker import build
from privacy.errors import DataProblem, DataUnavailable, UsageProblem
from tests.reference.days import masks, presence_counts
from tests.support_node import (
    BRUSSELS,
    LONG_DAY,
    NAME,
    NETWORK,
    POLICY_TOML,
    Network,
    config_text,
    instant,
    order_of,
    write_cells,
    write_events,
)
from tests.unit.node.two_days import DAYS, expected, ingest, laid_out, visits


def made(home: Home) -> dict[date, int]:
    """Return when the presence of each day was written, in nanoseconds."""
    return {
        date.fromisoformat(path.stem): path.stat().st_mtime_ns for path in home.presence.glob("*.parquet")
    }


def dominant_in(rows: list[dict[str, int]]) -> dict[tuple[int, int], int]:
    """Return the masks of the zones that were dominant in an hour."""
    masks = {(row["subscriber"], row["zone"]): row["hours_mask"] for row in rows}
    return {row: mask for row, mask in masks.items() if mask}


@pytest.fixture
def home(network: Network, tmp_path: Path) -> Home:
    """The node before anything is built."""
    return laid_out(network, tmp_path / "node")


def test_the_worker_loads_no_code_that_reaches_the_hub() -> None:
    text = "import sys, node.worker; print(sorted({'grpc', 'node.uplink', 'prometheus_client'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_presence_is_the_references_with_ties_by_the_nodes_own_secret(built: Home) -> None:
    for day in DAYS:
        rows = pq.ParquetFile(built.presence / f"{day}.parquet").read().to_pylist()
        assert dominant_in(rows) == masks(expected(built, day))


def test_presence_is_the_owners_alone_and_nothing_else_is_left_there(built: Home) -> None:
    assert sorted(path.name for path in built.presence.iterdir()) == [f"{day}.parquet" for day in DAYS]
    assert {stat.S_IMODE(path.stat().st_mode) for path in built.presence.iterdir()} == {0o600}
    for directory in (built.presence, built.quality):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_the_quality_file_says_what_the_day_was_made_of(built: Home) -> None:
    quality = json.loads((built.quality / f"{LONG_DAY}.json").read_text())
    events = built.root / "events" / f"{LONG_DAY}.parquet"
    assert quality["rows"]["total"] == 600
    assert quality["rows"]["accepted"] == len(set(visits(LONG_DAY)))
    assert quality["built_from"]["events"] == hashlib.sha256(events.read_bytes()).hexdigest()
    assert quality["built_from"]["charter"] == load(built).charter_digest


def test_every_day_is_announced_before_it_is_built(home: Home) -> None:
    assert ingest(home) == [str(day) for day in DAYS]


def test_a_day_that_has_not_changed_is_not_built_again(home: Home) -> None:
    ingest(home)
    before, quality = made(home), (home.quality / f"{LONG_DAY}.json").stat().st_mtime_ns
    ingest(home)
    assert made(home) == before
    assert (home.quality / f"{LONG_DAY}.json").stat().st_mtime_ns == quality


def test_changed_events_build_their_own_day_again_and_no_other(home: Home) -> None:
    ingest(home)
    before = made(home)
    write_events(home, LONG_DAY, [(5, instant(LONG_DAY, 3600), 2)])
    ingest(home)
    after = made(home)
    assert after[DAYS[0]] == before[DAYS[0]]
    assert after[LONG_DAY] != before[LONG_DAY]
    rows = pq.ParquetFile(home.presence / f"{LONG_DAY}.parquet").read().to_pylist()
    event = instant(LONG_DAY, 3600)
    assert [tuple(row.values()) for row in rows] == [(5, 0, 1, 0b110, 1, event, event)]
    assert stat.S_IMODE((home.presence / f"{LONG_DAY}.parquet").stat().st_mode) == 0o600


def other_cells(home: Home, _network: Network) -> None:
    write_cells(home, [(1, "Z003"), (2, "Z002"), (3, "Z001"), (4, "Z001")])


def other_limit(home: Home, _network: Network) -> None:
    home.config.write_text(config_text(source="gate = {max_rejected_permille = 201}"))


def other_charter(home: Home, network: Network) -> None:
    rules = network.charter.presence.model_copy(update={"max_hold_minutes": 60})
    charter = network.charter.model_copy(update={"presence": rules})
    home.charter.write_bytes(charter.to_bytes())
    enrol(home, NAME, NETWORK, network.fingerprint)


def lost_presence(home: Home, _network: Network) -> None:
    for path in home.presence.iterdir():
        path.unlink()


def lost_quality(home: Home, _network: Network) -> None:
    for path in home.quality.iterdir():
        path.unlink()


@pytest.mark.parametrize("change", [other_cells, other_limit, other_charter, lost_presence, lost_quality])
def test_other_rules_or_a_lost_file_build_every_day_again(
    network: Network, home: Home, change: Callable[[Home, Network], None]
) -> None:
    ingest(home)
    before = made(home)
    change(home, network)
    ingest(home)
    after = made(home)
    assert sorted(after) == sorted(before)
    assert all(after[day] != before[day] for day in DAYS)


def test_another_address_of_the_hub_builds_nothing_again(home: Home) -> None:
    ingest(home)
    before = made(home)
    home.config.write_text(home.config.read_text().replace("7443", "7444"))
    ingest(home)
    assert made(home) == before


def test_a_day_that_the_gate_refuses_has_counts_but_no_presence(home: Home) -> None:
    ingest(home)
    write_events(home, LONG_DAY, [(5, instant(LONG_DAY, 3600), 2), (6, instant(LONG_DAY, 60), 99)])
    with pytest.raises(DataProblem, match="more than 20 % of the rows of 2026-10-25 are rejected"):
        ingest(home)
    assert list(made(home)) == [DAYS[0]]
    rows = json.loads((home.quality / f"{LONG_DAY}.json").read_text())["rows"]
    assert (rows["total"], rows["accepted"], rows["unknown_cell"]) == (2, 1, 1)


def test_a_missing_day_stops_the_building_after_the_days_before_it(home: Home) -> None:
    (home.root / "events" / f"{LONG_DAY}.parquet").unlink()
    with pytest.raises(DataUnavailable):
        ingest(home)
    assert list(made(home)) == [DAYS[0]]
    assert sorted(path.suffix for path in home.presence.iterdir()) == [".parquet"]


def test_the_policy_is_pinned_for_the_worker_too(home: Home) -> None:
    home.policy.write_text(POLICY_TOML + "\n")
    with pytest.raises(UsageProblem, match="not the one that was pinned"):
        ingest(home)


def test_a_job_of_another_charter_than_the_one_in_the_directory_is_not_done(home: Home) -> None:
    """The daemon decides by the charter that it was started with; the worker reads the directory."""
    job = BuildJob(home=home.root, charter="0" * 64, days=DAYS)
    with pytest.raises(UsageProblem, match="enrolled again while its daemon runs"):
        build(job, lambda _answer: None)
    assert not home.presence.exists()


def test_what_a_killed_worker_left_is_removed_before_anything_is_built(home: Home) -> None:
    ingest(home)
    left, others = home.presence / ".scratch-abc123", home.presence / "tmpabc123"
    for directory in (left, others):
        directory.mkdir()
        (directory / "duckdb_temp_storage-0.tmp").write_bytes(b"personal data")
    (home.presence / ".scratch-file").write_bytes(b"")
    (home.presence / ".scratch-link").symlink_to(others)
    ingest(home)
    assert not left.exists()
    assert list(others.iterdir())
    assert sorted(made(home)) == sorted(DAYS)


@pytest.mark.parametrize("name", ["presence", "visits", "quality"])
def test_a_directory_that_others_may_look_into_takes_no_personal_data(home: Home, name: str) -> None:
    (home.root / name).mkdir()
    (home.root / name).chmod(0o750)
    with pytest.raises(UsageProblem, match="others may look into") as caught:
        ingest(home)
    assert caught.value.todo.startswith("run chmod 700")
    assert not list((home.root / name).iterdir())


def test_a_secret_that_others_may_read_is_refused(home: Home) -> None:
    home.secret.chmod(0o644)
    with pytest.raises(UsageProblem, match=r"others may read the file .*secret\.key"):
        ingest(home)


@pytest.mark.parametrize("module", ["node.presence.build", "node.sources.events", "node.engine"])
def test_new_code_builds_presence_again(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """Presence made by old code must not be released under the digest of new code."""
    ingest(home)
    before = made(home)
    changed = tmp_path / "changed.py"
    changed.write_bytes(Path(str(sys.modules[module].__file__)).read_bytes() + b"\n")
    monkeypatch.setattr(sys.modules[module], "__file__", str(changed))
    ingest(home)
    assert all(made(home)[day] != before[day] for day in DAYS)


@pytest.mark.parametrize("name", ["zone=2", "cell_id=2", "n[ab]", "op*", "o'k", "a b#%41"])
def test_presence_does_not_depend_on_how_a_directory_is_called(
    network: Network, tmp_path: Path, name: str
) -> None:
    """Neither a pattern nor a partition: a directory is a directory."""
    for beside in ("opX", "na"):
        laid_out(network, tmp_path / beside)
    home = laid_out(network, tmp_path / name)
    ingest(home, LONG_DAY)
    rows = pq.ParquetFile(home.presence / f"{LONG_DAY}.parquet").read().to_pylist()
    assert dominant_in(rows) == masks(expected(home, LONG_DAY))
    assert json.loads((home.quality / f"{LONG_DAY}.json").read_text())["rows"]["total"] == 600
    own = load(home)
    terms = order_of(own, "presence", (LONG_DAY, LONG_DAY)).terms
    with connect(own.config.engine, tmp_path / "scratch") as db:
        rows = read_one(db, home.presence / f"{LONG_DAY}.parquet")
        exact = exact_vector(terms, Inputs([rows], own.zoning, BRUSSELS, 1)).tolist()
    assert exact == presence_counts(expected(home, LONG_DAY), 3, 25)
