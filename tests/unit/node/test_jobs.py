"""The worker as a process of its own: its answers, its errors without data, and what becomes of its death."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from node import jobs
from node.config import Home
from node.enrolment import load
from node.jobs import BuildJob, ReleaseJob, WorkerFailed, run
from node.release.policy import Refusal
from node.release.releasing import Releasing
from node.statistics.registry import algorithms
from privacy.errors import DataUnavailable, ExitCode, QuorateError, UsageProblem
from privacy.ledger import Ledger, Request
from quorate.contract.payload import decode
from quorate.v1 import federation_pb2 as pb
from tests.support_node import (
    LONG_DAY,
    POLICY_TOML,
    Network,
    enrolled,
    event_table,
    instant,
    nothing_else,
    order_of,
    write_events,
)

SUBSCRIBER = 4_815_162_342_108
BEFORE, AFTER = LONG_DAY - timedelta(days=1), LONG_DAY + timedelta(days=1)


@pytest.fixture
def home(network: Network, tmp_path: Path) -> Home:
    """An enrolled node with one subscriber on one day."""
    home = enrolled(network, tmp_path / "node")
    write_events(home, LONG_DAY, [(SUBSCRIBER, instant(LONG_DAY, 3600 * hour), 1) for hour in range(25)])
    return home


def building(home: Home) -> BuildJob:
    return BuildJob(home=home.root, charter=load(home).charter_digest, days=(LONG_DAY,))


def silent(_phase: str) -> None:
    """Do nothing."""


def failure(job: BuildJob | ReleaseJob, progress: Callable[[str], None] = silent) -> QuorateError:
    with pytest.raises(QuorateError) as caught:
        run(job, progress)
    return caught.value


def test_an_order_is_answered_by_the_worker_once_and_by_the_ledger_from_then_on(
    home: Home, tmp_path: Path
) -> None:
    said: list[str] = []
    told, data = run(building(home), said.append)
    assert (told.snapshot, data) == ("", b"")
    assert said == [str(LONG_DAY)]
    assert stat.S_IMODE((home.presence / f"{LONG_DAY}.parquet").stat().st_mode) == 0o600
    own, phases = load(home), list[str]()
    order = order_of(own, "presence", (LONG_DAY, LONG_DAY))
    ledger = Ledger(tmp_path / "ledger.db", own.ledger_identity, own.budgets)
    releasing = Releasing(home.root, own, algorithms(), ledger, lambda: AFTER, nothing_else)
    first = releasing.answer(order, phases.append)
    (home.presence / f"{LONG_DAY}.parquet").unlink()
    assert releasing.answer(order, phases.append) == first
    assert phases == ["computing", "known"]
    vector = decode(first.result, 4 * 25)
    assert abs(vector.reshape(4, 25)[0].mean() - 1) < 8 * order.terms.levels[0].scale_milli / 1000
    assert ledger.head[0] == 1
    ledger.close()


def test_a_nonce_that_comes_back_for_another_release_is_refused(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = load(home)
    first, second = (order_of(own, "presence", (LONG_DAY, LONG_DAY), revision) for revision in (0, 1))
    assert first.nonce == second.nonce
    with closing(Ledger(tmp_path / "ledger.db", own.ledger_identity, own.budgets)) as ledger:
        terms = first.terms
        ledger.commit(Request(terms, first.nonce, b"noised", b"snapshot"), LONG_DAY)
        monkeypatch.setattr(sys, "executable", "/nowhere")
        releasing = Releasing(home.root, own, algorithms(), ledger, lambda: AFTER, nothing_else)
        assert releasing.answer(first, silent).result == b"noised"
        with pytest.raises(Refusal) as caught:
            releasing.answer(second, silent)
        assert caught.value.reason == pb.REFUSAL_REASON_CONFLICT
        assert ledger.head[0] == 1


def test_a_release_that_no_budget_can_bear_starts_no_worker(
    home: Home, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = enrolled(network, tmp_path / "poor", policy=POLICY_TOML.replace("20_000_000", "9_999_999"))
    own = load(poor)
    monkeypatch.setattr(sys, "executable", "/nowhere")
    ledger = Ledger(tmp_path / "ledger.db", own.ledger_identity, own.budgets)
    releasing = Releasing(poor.root, own, algorithms(), ledger, lambda: AFTER, nothing_else)
    with pytest.raises(Refusal) as caught:
        releasing.answer(order_of(own, "presence", (LONG_DAY, LONG_DAY)), silent)
    assert caught.value.reason == pb.REFUSAL_REASON_BUDGET_EXHAUSTED
    assert ledger.head[0] == 0
    ledger.close()


@pytest.mark.parametrize("today", [LONG_DAY, BEFORE])
def test_a_day_that_is_not_over_is_refused_and_not_charged(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, today: date
) -> None:
    own = load(home)
    monkeypatch.setattr(sys, "executable", "/nowhere")
    with closing(Ledger(tmp_path / "ledger.db", own.ledger_identity, own.budgets)) as ledger:
        releasing = Releasing(home.root, own, algorithms(), ledger, lambda: today, nothing_else)
        with pytest.raises(Refusal, match="is not over") as caught:
            releasing.answer(order_of(own, "presence", (LONG_DAY, LONG_DAY)), silent)
        assert caught.value.reason == pb.REFUSAL_REASON_DATA_UNAVAILABLE
        assert ledger.head[0] == 0


def test_a_problem_of_the_worker_comes_back_with_its_class_and_its_words(home: Home) -> None:
    found = failure(building(home).model_copy(update={"days": (BEFORE,)}))
    assert type(found) is DataUnavailable
    assert found.exit_code == ExitCode.DATA_MISSING
    assert f"{BEFORE}.parquet is not there" in found.what
    assert found.means
    assert found.todo


def test_a_directory_that_is_no_node_comes_back_as_a_problem_of_usage(tmp_path: Path) -> None:
    found = failure(BuildJob(home=tmp_path, charter="0" * 64, days=(LONG_DAY,)))
    assert type(found) is UsageProblem
    assert found.what == f"{tmp_path} is not an enrolled node"


def broken_pages(path: Path) -> None:
    """Damage the numbers and leave the footer whole, so that the file looks good until it is read."""
    table = event_table([(SUBSCRIBER + row, instant(LONG_DAY, row), 1) for row in range(5000)])
    pq.write_table(table, path, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[40:4000] = b"\xff" * 3960
    path.write_bytes(bytes(data))


def numbers_above_63_bits(path: Path) -> None:
    """Give subscribers that no int64 can hold; the engine's own error quotes the first."""
    table = event_table([(1, instant(LONG_DAY, 60), 1)])
    subscribers = pa.array([2**64 - SUBSCRIBER], pa.uint64())
    pq.write_table(table.set_column(0, "subscriber_id", subscribers), path)


@pytest.mark.parametrize("damage", [broken_pages, numbers_above_63_bits])
def test_an_error_over_damaged_data_tells_no_value_of_them(
    home: Home, damage: Callable[[Path], None]
) -> None:
    damage(home.root / "events" / f"{LONG_DAY}.parquet")
    found = failure(building(home))
    text = found.explain() + repr(found)
    assert not any(str(value) in text for value in (SUBSCRIBER, 2**64 - SUBSCRIBER, 2**64 - 1))
    assert found.todo
    assert not (home.presence / f"{LONG_DAY}.parquet").exists()


def workers() -> list[psutil.Process]:
    """Children of this process that run the node's worker; other tests may have left engines running."""
    return [child for child in psutil.Process().children() if "node.worker" in " ".join(child.cmdline())]


def kill_the_worker(_phase: str) -> None:
    """Kill the worker, as the kernel does when memory runs out."""
    (worker,) = workers()
    worker.kill()


def test_a_worker_that_is_killed_at_work_has_failed_and_nothing_is_built(home: Home) -> None:
    write_events(home, LONG_DAY, [(row, instant(LONG_DAY, row / 4), row % 4 + 1) for row in range(300_000)])
    found = failure(building(home), kill_the_worker)
    assert type(found) is WorkerFailed
    assert "ended with code -9" in found.what
    assert found.means == "nothing was charged or sent"
    assert "memory" in found.todo
    assert not (home.presence / f"{LONG_DAY}.parquet").exists()


def test_a_reader_that_gives_up_takes_its_worker_with_it(home: Home) -> None:
    def give_up(_phase: str) -> None:
        raise KeyboardInterrupt

    def look_then_give_up(phase: str) -> None:
        assert len(workers()) == 1
        give_up(phase)

    with pytest.raises(KeyboardInterrupt):
        run(building(home), look_then_give_up)
    assert workers() == []


ANSWER = '{"snapshot": "00ff", "length": 3}'


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exit 0", "code 0"),
        ("exit 7", "code 7"),
        ("kill -9 $$", "code -9"),
        ("cat > /dev/null; kill -15 $$", "code -15"),
        (f"cat > /dev/null; echo '{ANSWER}'; printf ab", "code 0"),
        (f"cat > /dev/null; echo '{ANSWER}'; printf abcd", "code 0"),
        (f"cat > /dev/null; echo '{ANSWER}'; printf abc; exit 1", "code 1"),
        ('cat > /dev/null; echo \'{"progress": "one"}\'', "code 0"),
    ],
)
def test_a_worker_without_a_complete_answer_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    pretend(tmp_path, monkeypatch, script)
    found = failure(BuildJob(home=tmp_path, charter="0" * 64, days=(LONG_DAY,) * 20_000))
    assert type(found) is WorkerFailed
    assert says in found.what


def test_a_complete_answer_is_the_snapshot_and_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(
        tmp_path,
        monkeypatch,
        f"cat > /dev/null; echo '{{\"progress\": \"one\"}}'; echo '{ANSWER}'; printf abc",
    )
    said: list[str] = []
    told, data = run(BuildJob(home=tmp_path, charter="0" * 64, days=()), said.append)
    assert (told.snapshot, data) == ("00ff", b"abc")
    assert said == ["one"]


@pytest.mark.parametrize("name", ["WorkerFailed", "ExitCode", "IntEnum", "KeyError", ""])
def test_an_error_of_an_unknown_class_is_a_plain_error_with_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pretend(tmp_path, monkeypatch, f'cat > /dev/null; echo \'{{"error": ["{name}", "what", "", ""]}}\'')
    found = failure(BuildJob(home=tmp_path, charter="0" * 64, days=()))
    assert type(found) is QuorateError
    assert found.what == "what"


def pretend(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Start a shell script in place of the worker."""
    program = folder / "worker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setattr(jobs.sys, "executable", str(program))  # type: ignore[attr-defined]


def test_a_worker_that_cannot_read_its_job_says_so_without_quoting_it() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "node.worker"],
        input=b'{"kind": "build", "days": "4815162342108"}',
        capture_output=True,
        check=False,
        env=os.environ,
    )
    answer = jobs.Answer.model_validate_json(found.stdout)
    assert answer.error is not None
    assert answer.error[1].startswith("the worker process failed with ValidationError at ")
    assert b"4815162342108" not in found.stdout + found.stderr
