"""A ledger that was restored from a backup is recognised by its witness, and gets its charges back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privacy.calculus import Budgets, charge
from privacy.errors import BudgetExhausted, LedgerProblem
from privacy.ledger import Keeper, Ledger, Request, Terms, restore, verify, witness
from privacy.ledger.entry import Level
from privacy.sensitivity import Declaration

DAY = date(2026, 10, 19)
BUDGETS = Budgets(day=50, month=1000, first_day=DAY, last_day=date(2026, 12, 31))
WHOSE = "demo/mno1"


def request(revision: int) -> Request:
    terms = Terms(
        product="presence",
        statistic="presence-by-hour",
        parameters={},
        zoning="0" * 64,
        keyset="1" * 64,
        levels=(Level(name="zone", share_permille=1000),),
        first_day=DAY,
        last_day=DAY,
        bounds=Declaration(cells_by_period=24, cells_by_day=24),
        mechanism="discrete-gaussian",
        sigma_milli=10,
        by_period=10,
        charter_version=1,
        revision=revision,
    )
    cost = charge(terms.bounds, DAY, DAY, 10)
    return Request(terms, cost, f"{revision:032x}", f"bytes {revision}".encode(), b"snapshot")


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(Ed25519PrivateKey.generate(), tmp_path / "elsewhere.jsonl")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def commit(
    path: Path, keeper: Keeper, *revisions: int, seam: Callable[[str], None] = lambda _point: None
) -> None:
    ledger = Ledger(path, WHOSE, BUDGETS, keeper=keeper, seam=seam)
    try:
        for revision in revisions:
            ledger.commit(request(revision), DAY)
    finally:
        ledger.close()


def test_every_head_is_in_the_witness_signed_by_the_operator(path: Path, keeper: Keeper) -> None:
    commit(path, keeper, 0, 1, 2)
    lines = witness.read(keeper.witness)
    assert len(lines) == 3
    assert verify(path) == (3, lines[-1].head)
    for sequence, line in enumerate(lines, start=1):
        statement = witness.statement(WHOSE, sequence, line.head)
        keeper.key.public_key().verify(line.signature, statement)
    assert keeper.witness.stat().st_mode & 0o777 == 0o600


def test_a_restored_ledger_is_frozen_until_its_charges_are_back(
    path: Path, keeper: Keeper, tmp_path: Path
) -> None:
    commit(path, keeper, 0, 1)
    backup = tmp_path / "backup.db"
    shutil.copy(path, backup)
    commit(path, keeper, 2, 3)
    true_head = verify(path)
    for left in tmp_path.glob("ledger.db*"):
        left.unlink()
    shutil.copy(backup, path)
    with pytest.raises(LedgerProblem, match="lacks 2 release"):
        commit(path, keeper, 4)
    assert restore(path, WHOSE, keeper) == 2
    assert verify(path) == true_head
    ledger = Ledger(path, WHOSE, BUDGETS, keeper=keeper)
    assert ledger.totals(1) == {DAY: 40}
    ledger.commit(request(5), DAY)
    with pytest.raises(BudgetExhausted):
        ledger.commit(request(6), DAY)
    ledger.close()
    assert restore(path, WHOSE, keeper) == 0


def test_a_release_whose_bytes_were_lost_is_neither_sent_nor_noised_again(path: Path, keeper: Keeper) -> None:
    commit(path, keeper, 0)
    for left in path.parent.glob("ledger.db*"):
        left.unlink()
    assert restore(path, WHOSE, keeper) == 1
    ledger = Ledger(path, WHOSE, BUDGETS, keeper=keeper)
    with pytest.raises(LedgerProblem, match="bytes were lost"):
        ledger.commit(request(0), DAY)
    assert ledger.totals(1) == {DAY: 10}
    ledger.close()


def test_a_deleted_ledger_does_not_start_afresh(path: Path, keeper: Keeper) -> None:
    commit(path, keeper, 0)
    for left in path.parent.glob("ledger.db*"):
        left.unlink()
    with pytest.raises(LedgerProblem, match="lacks 1 release"):
        commit(path, keeper, 1)


class Crash(Exception):
    pass


def test_a_crash_between_commit_and_witness_is_made_good_at_the_next_start(
    path: Path, keeper: Keeper
) -> None:
    def seam(point: str) -> None:
        if point == "after commit":
            raise Crash

    with pytest.raises(Crash):
        commit(path, keeper, 0, seam=seam)
    assert witness.read(keeper.witness) == []
    commit(path, keeper)
    assert len(witness.read(keeper.witness)) == 1


def test_an_unfinished_line_does_not_count_and_is_overwritten(path: Path, keeper: Keeper) -> None:
    commit(path, keeper, 0, 1)
    whole = keeper.witness.read_bytes()
    keeper.witness.write_bytes(whole[:-40])
    commit(path, keeper)
    assert keeper.witness.read_bytes() == whole


@pytest.mark.parametrize("place", [0.2, 0.7])
def test_a_changed_witness_is_named_by_its_line(path: Path, keeper: Keeper, place: float) -> None:
    commit(path, keeper, 0, 1)
    lines = keeper.witness.read_bytes().split(b"\n")
    broken = bytearray(lines[1])
    broken[int(len(broken) * place)] ^= 1
    keeper.witness.write_bytes(b"\n".join([lines[0], bytes(broken), b""]))
    with pytest.raises(LedgerProblem, match="line 2 of the ledger's witness"):
        commit(path, keeper, 2)


def test_a_witness_that_goes_another_way_is_a_fork(path: Path, keeper: Keeper, tmp_path: Path) -> None:
    commit(path, keeper, 0)
    other = tmp_path / "other.db"
    twin = Keeper(keeper.key, tmp_path / "twin.jsonl")
    commit(other, twin, 7)
    with pytest.raises(LedgerProblem, match="disagree at entry 1"):
        commit(path, twin, 1)
    with pytest.raises(LedgerProblem, match="disagree at entry 1"):
        restore(path, WHOSE, twin)


def test_a_witness_of_another_key_or_operator_is_refused(path: Path, keeper: Keeper) -> None:
    commit(path, keeper, 0)
    stranger = Keeper(Ed25519PrivateKey.generate(), keeper.witness)
    with pytest.raises(LedgerProblem, match="line 1"):
        commit(path, stranger, 1)
    with pytest.raises(LedgerProblem, match="line 1"):
        restore(path.parent / "new.db", "demo/mno2", keeper)
