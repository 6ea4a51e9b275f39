"""Crashes while a ledger is pruned or restored, its witness and its backups."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from privacy.calculus import Budgets
from privacy.errors import LedgerProblem
from privacy.ledger import (
    Keeper,
    Ledger,
    Terms,
    restore,
    verify,
    witness,
)
from privacy.ledger.anchor import SignedAnchor
from tests.effort import stride
from tests.unit.privacy.builders import BUDGETS, IDENTITY, UNIT, presence
from tests.unit.privacy.crashes import dies_before
from tests.unit.privacy.pruning.history import (
    APRIL,
    HISTORY,
    commit,
    first_line,
    nonce_of,
    pruned,
    put_back,
    require_whole,
    totals,
)

# --- crashes -------------------------------------------------------------------------------------------


def test_a_crash_at_any_step_leaves_a_ledger_that_opens_and_that_pruning_completes(
    path: Path, keeper: Keeper, tmp_path: Path
) -> None:
    head = verify(path)
    start, first = tmp_path / "start.db", tmp_path / "start.jsonl"
    shutil.copy(path, start)
    shutil.copy(keeper.witness, first)
    step, seen = 0, set()
    while True:
        step += stride()
        put_back(start, path)
        shutil.copy(first, keeper.witness)
        died = dies_before(step, lambda: pruned(path, keeper))
        # What the next start of a node checks first, and what it opens then.
        verify(path)
        witness.verify(path, IDENTITY, keeper)
        anchored = isinstance(first_line(keeper), SignedAnchor)
        with closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)) as ledger:
            assert ledger.head == head
            kept = [entry.sequence for entry in ledger.entries()]
            assert kept in ([1, 2, 3, 4, 5, 6, 7], [5, 6, 7]), "all or nothing"
            seen.add((len(kept), anchored))
        assert isinstance(first_line(keeper), SignedAnchor) == (len(kept) == 3), (
            "the opening repairs the witness"
        )
        require_whole(path, keeper)
        pruned(path, keeper)
        assert require_whole(path, keeper) == head
        names = {"ledger.db", "ledger.db.lock", "witness.jsonl"}
        held = b"".join((tmp_path / name).read_bytes() for name in names)
        assert HISTORY[0].release_id().encode() not in held
        if not died:
            break
    assert seen == {(7, False), (3, False), (3, True)}
    assert step > 30


def test_a_witness_that_was_not_rewritten_is_told_new_releases_after_it_was(
    path: Path, keeper: Keeper, tmp_path: Path
) -> None:
    shutil.copy(keeper.witness, tmp_path / "old.jsonl")
    pruned(path, keeper)
    shutil.copy(tmp_path / "old.jsonl", keeper.witness)
    commit(path, keeper, presence(date(2026, 6, 1)))
    assert require_whole(path, keeper)[0] == 8
    assert isinstance(first_line(keeper), SignedAnchor)


# --- witnesses and backups -----------------------------------------------------------------------------


def test_a_witness_that_ends_among_pruned_entries_cannot_be_compared(
    path: Path, keeper: Keeper, tmp_path: Path
) -> None:
    head = keeper.witness.read_bytes().splitlines(keepends=True)
    pruned(path, keeper)
    keeper.witness.write_bytes(b"".join(head[:3]))
    with pytest.raises(LedgerProblem, match="ends at entry 3, which the ledger has pruned") as caught:
        commit(path, keeper)
    assert caught.value.todo == "put the newest copy of the witness in its place"
    keeper.witness.write_bytes(b"".join(head[:4]))
    commit(path, keeper)
    assert require_whole(path, keeper)[0] == 7


def test_an_anchor_anywhere_but_at_the_beginning_is_no_anchor(path: Path, keeper: Keeper) -> None:
    pruned(path, keeper)
    anchor, *entries = keeper.witness.read_bytes().splitlines(keepends=True)
    keeper.witness.write_bytes(b"".join([anchor, *entries, anchor]))
    with pytest.raises(LedgerProblem, match="line 5 of the ledger's witness does not hold"):
        witness.verify(path, IDENTITY, keeper)


def test_an_anchor_that_was_changed_is_found(path: Path, keeper: Keeper) -> None:
    pruned(path, keeper)
    anchor, *entries = keeper.witness.read_bytes().splitlines(keepends=True)
    for old, new in ((b"2026-04-01", b"2026-03-01"), (b"2000", b"1000")):
        assert old in anchor
        keeper.witness.write_bytes(b"".join([anchor.replace(old, new, 1), *entries]))
        for look in (lambda: commit(path, keeper), lambda: witness.verify(path, IDENTITY, keeper)):
            with pytest.raises(LedgerProblem, match="disagree at entry 4"):
                look()


def test_an_anchor_that_was_not_signed_is_not_adopted(path: Path, keeper: Keeper, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "backup.db")
    pruned(path, keeper)
    put_back(tmp_path / "backup.db", path)
    anchor, *entries = keeper.witness.read_bytes().splitlines(keepends=True)
    keeper.witness.write_bytes(b"".join([anchor.replace(b"2026-04-01", b"2026-03-01", 1), *entries]))
    before = verify(path)
    with pytest.raises(LedgerProblem, match="line 1 of the ledger's witness does not hold"):
        restore(path, IDENTITY, keeper)
    assert verify(path) == before


def backups(path: Path, keeper: Keeper, directory: Path) -> Iterator[Path]:
    """Make a ledger step by step, with a backup after each entry; prune it, and go on."""
    remake = Budgets(**(BUDGETS.model_dump() | {"month": 20 * UNIT}))
    for number, terms in enumerate(HISTORY):
        commit(path, keeper, terms, budgets=remake)
        copy = directory / f"backup-{number + 1}.db"
        shutil.copy(path, copy)
        yield copy


@pytest.mark.parametrize("later", [(), (presence(date(2026, 6, 1)), presence(date(2026, 6, 2)))])
@pytest.mark.parametrize("before", [APRIL, date(2026, 5, 2)])
def test_a_backup_from_any_time_is_brought_up_to_a_pruned_witness(
    tmp_path: Path, keeper: Keeper, before: date, later: tuple[Terms, ...]
) -> None:
    path = tmp_path / "ledger.db"
    commit(path, keeper)
    made = list(backups(path, keeper, tmp_path))
    anchor = pruned(path, keeper, before).anchor
    assert anchor is not None
    commit(path, keeper, *later)
    head, spent = verify(path), totals(path)
    for held, backup in enumerate(made, start=1):
        put_back(backup, path)
        frozen = "entries that were pruned" if held == head[0] else f"lacks {head[0] - held} release"
        with pytest.raises(LedgerProblem, match=frozen):
            commit(path, keeper)
        with pytest.raises(LedgerProblem, match=frozen):
            witness.verify(path, IDENTITY, keeper)
        assert restore(path, IDENTITY, keeper) == head[0] - held
        assert require_whole(path, keeper) == head
        assert totals(path) == spent
        with closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)) as ledger:
            assert ledger.anchor == anchor
            assert ledger.first_day == before
            for sequence, terms in enumerate(HISTORY, start=1):
                if anchor.sequence < sequence <= held:
                    assert ledger.find(terms, nonce_of(terms)), "what the backup has is kept"
        assert HISTORY[0].release_id().encode() not in path.read_bytes()
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA freelist_count").fetchone() == (0,), "the file was written anew"
    assert restore(path, IDENTITY, keeper) == 0


def test_a_ledger_that_was_deleted_gets_the_anchor_and_what_follows(path: Path, keeper: Keeper) -> None:
    pruned(path, keeper)
    head, spent = verify(path), totals(path)
    for left in path.parent.glob("ledger.db*"):
        left.unlink()
    with pytest.raises(LedgerProblem, match="lacks 7 release"):
        commit(path, keeper)
    assert restore(path, IDENTITY, keeper) == 7
    assert require_whole(path, keeper) == head
    assert totals(path) == spent


@pytest.mark.parametrize(
    ("entries", "place"),
    [
        pytest.param(
            (presence(date(2026, 4, 30), 3 * UNIT),), 1, id="charges that the anchor does not carry"
        ),
        pytest.param(HISTORY, 7, id="other entries of the same terms"),
    ],
)
def test_a_ledger_with_other_entries_than_the_witness_is_another_ledger(
    path: Path, keeper: Keeper, tmp_path: Path, entries: tuple[Terms, ...], place: int
) -> None:
    pruned(path, keeper, date(2026, 5, 2))
    other = tmp_path / "other.db"
    commit(other, replace(keeper, witness=tmp_path / "other.jsonl"), *entries)
    before = verify(other)
    with pytest.raises(LedgerProblem, match=f"disagree at entry {place}"):
        restore(other, IDENTITY, keeper)
    assert verify(other) == before


def test_a_crash_at_any_step_of_a_restoration_leaves_a_frozen_or_a_whole_ledger(
    path: Path, keeper: Keeper, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.db"
    shutil.copy(path, backup)
    pruned(path, keeper)
    commit(path, keeper, presence(date(2026, 6, 1)))
    head = verify(path)
    step = 0
    while True:
        step += stride()
        put_back(backup, path)
        died = dies_before(step, lambda: restore(path, IDENTITY, keeper))
        with suppress(LedgerProblem), closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)) as ledger:
            assert ledger.head == head
        restore(path, IDENTITY, keeper)
        assert require_whole(path, keeper) == head
        assert HISTORY[0].release_id().encode() not in path.read_bytes()
        if not died:
            break
    assert step > 20
