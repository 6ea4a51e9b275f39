"""From which date on ledgers are pruned, dry runs, and readers that are in the way."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest

from privacy.errors import LedgerProblem, ResourceProblem, UsageProblem
from privacy.ledger import Keeper, Ledger, would_prune
from tests.unit.privacy.builders import (
    BUDGETS,
    IDENTITY,
    presence,
    run,
    tamper,
)
from tests.unit.privacy.pruning.history import (
    APRIL,
    HISTORY,
    TODAY,
    commit,
    pruned,
    put_back,
    require_whole,
)

# --- dates and dry runs --------------------------------------------------------------------------------


def test_a_date_in_the_future_is_refused(path: Path, keeper: Keeper) -> None:
    held = path.read_bytes()
    tomorrow = TODAY + timedelta(days=1)
    looks: list[Callable[[], object]] = [
        lambda: pruned(path, keeper, tomorrow),
        lambda: would_prune(path, tomorrow, TODAY),
    ]
    for look in looks:
        with pytest.raises(UsageProblem, match="the retention date 2026-09-02 is in the future") as caught:
            look()
        assert caught.value.todo == "give a date up to 2026-09-01"
    assert path.read_bytes() == held
    assert pruned(path, keeper, TODAY).entries == 7


def test_a_dry_run_says_the_same_and_changes_nothing_while_the_ledger_is_in_use(
    path: Path, keeper: Keeper
) -> None:
    held = path.read_bytes(), keeper.witness.read_bytes()
    with closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)):
        dry = would_prune(path, APRIL, TODAY)
    assert (path.read_bytes(), keeper.witness.read_bytes()) == held
    assert pruned(path, keeper) == dry


def test_a_ledger_in_use_is_not_pruned(path: Path, keeper: Keeper) -> None:
    with (
        closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)),
        pytest.raises(LedgerProblem, match="is open in another process"),
    ):
        pruned(path, keeper)


def test_where_there_is_no_ledger_none_is_made(tmp_path: Path, keeper: Keeper) -> None:
    none = tmp_path / "none.db"
    looks: list[Callable[[], object]] = [
        lambda: pruned(none, keeper),
        lambda: would_prune(none, APRIL, TODAY),
    ]
    for look in looks:
        with pytest.raises(UsageProblem, match="there is no ledger at"):
            look()
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_does_not_hold_is_not_pruned(path: Path, keeper: Keeper) -> None:
    tamper(path, run("UPDATE result SET bytes = x'00' WHERE release_id = ?", HISTORY[0].release_id()))
    with pytest.raises(LedgerProblem, match="entry 1: its bytes are not the ones"):
        pruned(path, keeper)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM entry").fetchone() == (7,)


def test_a_ledger_behind_its_witness_is_not_pruned(path: Path, keeper: Keeper, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "backup.db")
    commit(path, keeper, presence(date(2026, 6, 1)))
    put_back(tmp_path / "backup.db", path)
    with pytest.raises(LedgerProblem, match="lacks 1 release"):
        pruned(path, keeper)


# --- a reader in the way -------------------------------------------------------------------------------


def test_a_reader_keeps_the_file_from_being_cleaned_until_pruning_is_repeated(
    path: Path, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, timeout=0.1))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entry").fetchone()
        with pytest.raises(ResourceProblem, match="the entries are deleted, but") as caught:
            pruned(path, keeper)
        assert "run quorate-node ledger prune again" in caught.value.todo
    require_whole(path, keeper)
    again = pruned(path, keeper)
    assert again.anchor is None
    held = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert HISTORY[0].release_id().encode() not in held
