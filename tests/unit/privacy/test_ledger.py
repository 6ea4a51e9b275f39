"""The ledger as its node meets it: one writer, one transaction, the same bytes for ever."""

from __future__ import annotations

import hashlib
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from privacy.calculus import Budgets
from privacy.errors import BudgetExhausted, LedgerProblem, PrivacyProblem
from privacy.ledger import Ledger, verify
from privacy.ledger.entry import GENESIS
from tests.unit.privacy.builders import (
    BUDGETS,
    IDENTITY,
    TODAY,
    UNIT,
    presence,
    request_for,
    residents,
)
from tests.unit.privacy.child import DAY, DIED

ROOT = Path(__file__).parents[3]
JANUARY = date(2026, 1, 1), date(2026, 1, 31)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with closing(Ledger(path, IDENTITY, BUDGETS)) as opened:
        yield opened


def child(command: str, path: Path, *rest: str) -> subprocess.Popen[str]:
    """Start a second process; see tests/unit/privacy/child.py."""
    line = [sys.executable, "-m", "tests.unit.privacy.child", command, str(path), *rest]
    return subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    return process.communicate(timeout=60)[0].strip()


# --- one record -------------------------------------------------------------------------------------------


def test_a_new_ledger_is_empty_and_only_its_owner_can_read_it(ledger: Ledger, path: Path) -> None:
    assert ledger.head == (0, GENESIS)
    assert list(ledger.entries()) == []
    assert ledger.totals(1) == ledger.totals(31) == {}
    assert ledger.find(presence(DAY), "n") is None
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(files) == {"ledger.db", "ledger.db-shm", "ledger.db-wal", "ledger.db.lock"}
    assert set(files.values()) == {0o600}


def test_a_record_holds_the_terms_the_charge_and_the_digest_of_the_bytes(ledger: Ledger) -> None:
    recorded = ledger.commit(request_for(residents(*JANUARY), "n", b"twelve bytes"), TODAY)
    (entry,) = ledger.entries()
    assert recorded.result == b"twelve bytes"
    assert recorded.entry == entry.to_bytes()
    assert recorded.head == hashlib.sha256(b"quorate.ledger.entry.v1" + recorded.entry).hexdigest()
    assert ledger.head == (1, recorded.head)
    assert (entry.sequence, entry.previous, entry.recorded_on) == (1, GENESIS, TODAY)
    assert entry.terms == residents(*JANUARY)
    assert (entry.charge.by_period, entry.charge.by_day) == (UNIT, 2 * UNIT)
    assert entry.result_sha256 == hashlib.sha256(b"twelve bytes").hexdigest()
    assert entry.result_length == 12
    assert ledger.totals(1) == {date(2026, 1, day): 2 * UNIT for day in range(1, 32)}
    assert ledger.totals(31)[date(2026, 1, 1)] == UNIT
    assert ledger.totals(31)[date(2026, 1, 2)] == 2 * UNIT


def test_the_snapshot_enters_only_as_a_commitment_that_its_opening_proves(
    ledger: Ledger, path: Path, tmp_path: Path
) -> None:
    snapshot = request_for(presence(DAY)).snapshot
    ledger.commit(request_for(presence(DAY)), TODAY)
    (entry,) = ledger.entries()
    with closing(sqlite3.connect(path)) as db:
        (opening,) = db.execute("SELECT opening FROM entry").fetchone()
    assert len(opening) == 32
    assert entry.commitment == hashlib.sha256(b"quorate.snapshot.v1" + opening + snapshot).hexdigest()
    with closing(Ledger(tmp_path / "other.db", IDENTITY, BUDGETS)) as other:
        other.commit(request_for(presence(DAY)), TODAY)
        assert next(other.entries()).commitment != entry.commitment, "the same data cannot be recognised"


# --- again and again --------------------------------------------------------------------------------------


def test_a_thousand_repeats_return_the_same_bytes_and_cost_nothing(path: Path) -> None:
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        first = ledger.commit(request_for(presence(DAY), "first", b"the bytes that left"), TODAY)
        spent = ledger.totals(1), ledger.totals(31)
        for number in range(700):
            late = request_for(presence(DAY), f"nonce-{number}", f"other bytes {number}".encode())
            assert ledger.commit(late, date(2026, 7, 1)) == first
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        for number in range(300):
            assert ledger.find(presence(DAY), f"later-{number}") == first
        assert (ledger.totals(1), ledger.totals(31)) == spent
        assert ledger.head == (1, first.head) == verify(path)


def test_a_repeat_is_answered_when_the_budget_is_used_up_and_when_the_charter_gives_none(path: Path) -> None:
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        first = ledger.commit(request_for(presence(DAY, 4 * UNIT)), TODAY)
        assert ledger.commit(request_for(presence(DAY, 4 * UNIT)), TODAY) == first
    elsewhere = Budgets(day=1, month=1, first_day=date(2027, 1, 1), last_day=date(2027, 1, 2))
    with closing(Ledger(path, IDENTITY, elsewhere)) as ledger:
        assert ledger.commit(request_for(presence(DAY, 4 * UNIT)), TODAY) == first


def test_a_revision_is_charged_in_full(ledger: Ledger) -> None:
    ledger.commit(request_for(presence(DAY, 2 * UNIT), "n0"), TODAY)
    ledger.commit(request_for(presence(DAY, 2 * UNIT, revision=1), "n1"), TODAY)
    assert ledger.totals(1) == {DAY: 4 * UNIT}
    with pytest.raises(BudgetExhausted, match="day 2026-03-02"):
        ledger.commit(request_for(presence(DAY, 1, revision=2), "n2"), TODAY)


def test_a_nonce_belongs_to_one_release(ledger: Ledger) -> None:
    ledger.commit(request_for(presence(DAY), "same"), TODAY)
    before = ledger.head, ledger.totals(1)
    other = presence(DAY, revision=1)
    with pytest.raises(LedgerProblem, match="the nonce of this order was used for another release"):
        ledger.commit(request_for(other, "same"), TODAY)
    with pytest.raises(LedgerProblem, match="the nonce of this order was used for another release"):
        ledger.find(other, "same")
    assert (ledger.head, ledger.totals(1)) == before
    assert ledger.find(other, "fresh") is None


def test_a_nonce_that_was_refused_for_lack_of_budget_is_still_free(ledger: Ledger) -> None:
    with pytest.raises(BudgetExhausted):
        ledger.commit(request_for(presence(DAY, 5 * UNIT), "n"), TODAY)
    ledger.commit(request_for(presence(DAY, UNIT), "n"), TODAY)


def test_looking_for_a_release_writes_nothing(ledger: Ledger, path: Path) -> None:
    ledger.find(presence(DAY), "n")
    ledger.require_room(presence(DAY).charge())
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM nonce").fetchone() == (0,)
    ledger.commit(request_for(presence(DAY, revision=1), "n"), TODAY)


def test_a_refused_charge_leaves_no_trace(ledger: Ledger, path: Path) -> None:
    ledger.commit(request_for(presence(DAY, 3 * UNIT), "n0"), TODAY)
    before = path.with_name("ledger.db-wal").read_bytes()
    with pytest.raises(BudgetExhausted):
        ledger.commit(request_for(presence(DAY, 2 * UNIT), "n1"), TODAY)
    assert path.with_name("ledger.db-wal").read_bytes() == before
    assert verify(path) == ledger.head


def test_the_last_nano_of_a_day_and_of_a_month_can_be_spent(ledger: Ledger) -> None:
    ledger.commit(request_for(presence(DAY, 4 * UNIT - 1), "n0"), TODAY)
    with pytest.raises(BudgetExhausted, match="day 2026-03-02 cannot"):
        ledger.commit(request_for(presence(DAY, 2), "n1"), TODAY)
    ledger.commit(request_for(presence(DAY, 1), "n2"), TODAY)
    ledger.commit(request_for(presence(date(2026, 3, 3), 4 * UNIT), "n3"), TODAY)
    last = date(2026, 4, 1)  # with 2 March in the 31 days from 2 March
    ledger.commit(request_for(presence(last, UNIT), "n4"), TODAY)
    with pytest.raises(BudgetExhausted, match="the 31 days from 2026-03-02 cannot"):
        ledger.commit(request_for(presence(last, 1), "n5"), TODAY)
    ledger.commit(request_for(presence(date(2026, 4, 2), UNIT), "n6"), TODAY)


# --- what cannot be recorded ------------------------------------------------------------------------------


def test_a_release_without_bytes_is_refused_with_nothing_written(ledger: Ledger, path: Path) -> None:
    assert ledger.head == (0, GENESIS)
    before = path.with_name("ledger.db-wal").read_bytes()
    with pytest.raises(PrivacyProblem) as caught:
        ledger.commit(request_for(presence(DAY), "n", b""), TODAY)
    assert caught.value.what == "a release without bytes cannot be recorded"
    assert path.with_name("ledger.db-wal").read_bytes() == before
    assert ledger.totals(1) == {}
    ledger.commit(request_for(presence(DAY, revision=1), "n"), TODAY)


@pytest.mark.parametrize("samplers", [(), ("opendp", "table")])
def test_a_release_that_does_not_say_how_each_level_was_noised_is_refused(
    ledger: Ledger, samplers: tuple[Any, ...]
) -> None:
    with pytest.raises(PrivacyProblem, match="it is not said which sampler drew the noise of each level"):
        ledger.commit(replace(request_for(presence(DAY)), samplers=samplers), TODAY)
    assert ledger.head == (0, GENESIS)


# --- crashes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["charged", "chained", "stored", "before commit"])
def test_a_process_that_dies_before_the_commit_leaves_no_charge_and_no_bytes(path: Path, point: str) -> None:
    process = child("crash", path, point)
    assert said(process) == ""
    assert process.returncode == DIED
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        assert verify(path) == ledger.head == (0, GENESIS)
        assert ledger.totals(1) == ledger.totals(31) == {}
        assert ledger.find(presence(DAY), "n") is None
        recorded = ledger.commit(request_for(presence(DAY), "n", b"noised again"), TODAY)
        assert recorded.result == b"noised again", "nothing of the first attempt had left"


def test_a_process_that_dies_after_the_commit_leaves_the_charge_and_the_bytes(path: Path) -> None:
    process = child("crash", path, "after commit")
    assert said(process) == ""
    assert process.returncode == DIED
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        again = ledger.commit(request_for(presence(DAY), "n", b"noised again"), TODAY)
        assert again.result == b"noised bytes"
        assert ledger.totals(1) == {DAY: UNIT}
        assert verify(path) == ledger.head == (1, again.head)


def test_a_full_disk_refuses_with_nothing_written_and_the_ledger_works_again_when_there_is_room(
    path: Path,
) -> None:
    process = child("full", path)
    refusal, state = said(process).splitlines()
    assert refusal.startswith(f"ResourceProblem the privacy ledger {path} cannot be used now (SQLITE_")
    assert state == "0 {}"
    assert process.returncode == 0
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        found = ledger.find(presence(DAY), "again")
        assert found is not None
        assert found.result == b"y" * 1_000_000


# --- one writer -------------------------------------------------------------------------------------------


def test_a_second_process_is_refused_until_the_first_has_closed(path: Path) -> None:
    holder = child("hold", path)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        assert (
            said(child("commit", path))
            == f"LedgerProblem the privacy ledger {path} is open in another process"
        )
        with pytest.raises(LedgerProblem, match="is open in another process") as caught:
            Ledger(path, IDENTITY, BUDGETS)
        assert "the second does not start" in caught.value.means
    finally:
        said(holder)
    answer = said(child("commit", path))
    assert answer.startswith("BudgetExhausted the privacy budget of day 2026-03-02 cannot"), (
        "the second process sees what the first one spent"
    )
    assert verify(path)[0] == 1


def test_a_link_to_a_ledger_is_the_same_ledger(tmp_path: Path, path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "directory").symlink_to(tmp_path)
    (elsewhere / "link.db").symlink_to(path)
    (elsewhere / "chain.db").symlink_to(elsewhere / "link.db")
    links = elsewhere / "link.db", elsewhere / "chain.db", tmp_path / "directory" / path.name
    with closing(Ledger(links[1], IDENTITY, BUDGETS)) as ledger:
        ledger.commit(request_for(presence(DAY, 3 * UNIT), "n"), TODAY)
        for name in (path, *links):
            with pytest.raises(LedgerProblem, match="is open in another process"):
                Ledger(name, IDENTITY, BUDGETS)
        assert said(child("commit", links[0])) == (
            f"LedgerProblem the privacy ledger {links[0]} is open in another process"
        )
    for name in links:
        with closing(Ledger(name, IDENTITY, BUDGETS)) as ledger:
            assert ledger.totals(1) == {DAY: 3 * UNIT}
            with pytest.raises(LedgerProblem, match="is open in another process"):
                Ledger(path, IDENTITY, BUDGETS)
    assert sorted(file.name for file in elsewhere.iterdir()) == ["chain.db", "link.db"]


def test_a_killed_process_does_not_keep_the_ledger_locked(path: Path) -> None:
    holder = child("hold", path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "holding\n"
    holder.kill()
    said(holder)
    assert holder.returncode == -signal.SIGKILL
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        assert ledger.totals(1) == {DAY: 3 * UNIT}
        assert verify(path) == ledger.head


def test_of_several_processes_that_start_together_all_but_one_are_refused_or_wait_their_turn(
    path: Path,
) -> None:
    answers = sorted(said(process) for process in [child("commit", path) for _ in range(3)])
    assert answers[-1] == "committed"
    assert all(answer == "committed" or "is open in another process" in answer for answer in answers)
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        assert ledger.totals(1) == {DAY: 2 * UNIT}, "the same terms are charged once"
        assert verify(path) == ledger.head


def test_a_ledger_that_could_not_be_opened_is_not_left_locked(path: Path) -> None:
    Ledger(path, IDENTITY, BUDGETS).close()
    with pytest.raises(LedgerProblem):
        Ledger(path, "spiffe://small/operator/south/node/0", BUDGETS)
    Ledger(path, IDENTITY, BUDGETS).close()
