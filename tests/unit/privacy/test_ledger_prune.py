"""What is older than a retention date is deleted; chain, budgets and witness go on as if it were not."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privacy.calculus import DAY, MONTH, Budgets
from privacy.errors import BudgetExhausted, LedgerProblem, ResourceProblem, UsageProblem
from privacy.ledger import (
    Keeper,
    Ledger,
    Terms,
    prune,
    restore,
    verify,
    witness,
    witness_file,
    would_prune,
)
from privacy.ledger.anchor import SignedAnchor
from privacy.ledger.keeper import anchor_statement
from privacy.ledger.pruning import Pruned
from privacy.ledger.summary import summary
from tests.effort import stride
from tests.unit.privacy.builders import (
    BUDGETS,
    IDENTITY,
    UNIT,
    presence,
    request_for,
    residents,
    run,
    tamper,
)
from tests.unit.privacy.crashes import dies_before

TODAY = date(2026, 9, 1)
APRIL = date(2026, 4, 1)
#: In the order of the chain; the first four read only days before April.
HISTORY = (
    presence(date(2026, 1, 5)),
    residents(date(2026, 2, 1), date(2026, 2, 28), UNIT // 2),
    presence(date(2026, 3, 20)),
    presence(date(2026, 3, 31), 2 * UNIT),
    residents(date(2026, 3, 25), date(2026, 4, 7), UNIT // 4),
    presence(date(2026, 2, 2)),
    presence(date(2026, 5, 1)),
)


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(Ed25519PrivateKey.generate(), tmp_path / "witness.jsonl")


@pytest.fixture
def path(tmp_path: Path, keeper: Keeper) -> Path:
    """Write a ledger of seven entries and close it."""
    commit(tmp_path / "ledger.db", keeper, *HISTORY)
    return tmp_path / "ledger.db"


def marked(terms: Terms) -> bytes:
    """Return bytes of a release that can be told from all others."""
    return b"bytes of " + terms.release_id().encode()


def nonce_of(terms: Terms) -> str:
    return f"nonce-{terms.release_id()[:20]}"


def commit(path: Path, keeper: Keeper | None, *made: Terms, budgets: Budgets = BUDGETS) -> None:
    with closing(Ledger(path, IDENTITY, budgets, keeper=keeper)) as ledger:
        for terms in made:
            ledger.commit(request_for(terms, nonce_of(terms), marked(terms)), TODAY)


def pruned(path: Path, keeper: Keeper | None, before: date = APRIL) -> Pruned:
    return prune(path, IDENTITY, keeper, before, TODAY)


def totals(path: Path, from_day: date = date.min) -> dict[tuple[int, date], int]:
    """Return the totals of windows that overlap the days from one on."""
    with closing(sqlite3.connect(path)) as db:
        found = {(n, date.fromisoformat(first)): nano for n, first, nano in db.execute("SELECT * FROM spent")}
    return {key: nano for key, nano in found.items() if key[1] + timedelta(days=key[0] - 1) >= from_day}


def first_line(keeper: Keeper) -> witness_file.Item:
    with witness_file.reading(keeper.witness) as items:
        return next(items)[1]


def require_whole(path: Path, keeper: Keeper) -> tuple[int, str]:
    """Check ledger and witness in full; return where both end."""
    end = verify(path)
    assert witness.verify(path, IDENTITY, keeper) == end
    return end


# --- what goes and what stays -----------------------------------------------------------------------------


def test_the_longest_beginning_that_reads_only_earlier_days_goes(path: Path, keeper: Keeper) -> None:
    head, before = verify(path), totals(path)
    found = pruned(path, keeper)
    assert (found.entries, found.kept_by) == (4, 5)
    assert found.result_bytes == sum(len(marked(terms)) for terms in HISTORY[:4])
    assert require_whole(path, keeper) == head, "the chain goes on"
    with closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)) as ledger:
        assert [entry.sequence for entry in ledger.entries()] == [5, 6, 7]
        assert ledger.anchor == found.anchor
        assert ledger.first_day == APRIL
        for terms in HISTORY[4:]:
            known = ledger.find(terms, nonce_of(terms))
            assert known is not None
            assert known.result == marked(terms), "what is kept is sent again, whatever days it reads"
    assert totals(path, APRIL) == {
        key: nano for key, nano in before.items() if key[1] + timedelta(days=key[0] - 1) >= APRIL
    }


def test_the_anchor_says_where_the_chain_goes_on_and_what_is_carried(path: Path, keeper: Keeper) -> None:
    with closing(sqlite3.connect(path)) as db:
        (head,) = db.execute("SELECT head FROM entry WHERE sequence = 4").fetchone()
    anchor = pruned(path, keeper).anchor
    assert anchor is not None
    assert (anchor.sequence, anchor.head) == (4, head)
    assert (anchor.first_day, anchor.recorded_on) == (APRIL, TODAY)
    # Windows of 31 days that hold 1 April and 20 March (from 2 March on), and 31 March.
    expected = {
        first: 2 * UNIT + (UNIT if first <= date(2026, 3, 20) else 0)
        for first in (date(2026, 3, 1) + timedelta(days=n) for n in range(1, 31))
    }
    assert {first: nano for _length, first, nano in anchor.carried} == expected
    assert {length for length, _first, _nano in anchor.carried} == {MONTH}
    line = first_line(keeper)
    assert isinstance(line, SignedAnchor)
    assert line.document() == anchor
    keeper.key.public_key().verify(line.signature, anchor_statement(IDENTITY, anchor.to_bytes()))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT anchor, signature FROM anchor").fetchall() == [
            (line.anchor, line.signature)
        ]


def test_totals_that_only_pruned_releases_spent_are_gone_where_nothing_can_be_charged(
    path: Path, keeper: Keeper
) -> None:
    pruned(path, keeper)
    left = {key[1] for key in totals(path) if key[0] == DAY}
    # 2 February was read by an entry that is kept, as it came after one that reads April.
    assert min(left) == date(2026, 2, 2)
    assert date(2026, 3, 20) not in left
    assert totals(path)[DAY, date(2026, 2, 2)] == UNIT


def test_nothing_of_what_was_pruned_is_left_in_any_file(path: Path, keeper: Keeper, tmp_path: Path) -> None:
    """Large and small results, so that the database splits pages and keeps chains of them."""
    chance = random.Random(5)
    many = [presence(date(2026, 1, 1) + timedelta(days=n % 180), 1, revision=n) for n in range(400)]
    many.sort(key=lambda terms: terms.first_day)
    other = tmp_path / "many.db"
    second = replace(keeper, witness=tmp_path / "many.jsonl")
    with closing(Ledger(other, IDENTITY, BUDGETS, keeper=second)) as ledger:
        for terms in many:
            size = chance.choice([1, 30, 300])
            ledger.commit(request_for(terms, nonce_of(terms), marked(terms) * size), TODAY)
    before = other.stat().st_size
    pruned(other, second)
    gone = [terms for terms in many if terms.last_day < APRIL]
    assert len(gone) > 180
    files = [file for file in tmp_path.iterdir() if file.name.startswith("many")]
    held = b"".join(file.read_bytes() for file in files)
    for terms in many:
        for mark in (terms.release_id(), nonce_of(terms)):
            assert (mark.encode() in held) == (terms not in gone), mark
    assert other.stat().st_size < 0.7 * before, "the room is given back"
    require_whole(other, second)


def test_everything_can_be_pruned_and_the_ledger_goes_on(path: Path, keeper: Keeper) -> None:
    head = verify(path)
    found = pruned(path, keeper, date(2026, 5, 2))
    assert (found.entries, found.kept_by) == (7, None)
    assert require_whole(path, keeper) == head
    assert isinstance(witness_file.last(keeper.witness), SignedAnchor)
    commit(path, keeper, presence(date(2026, 5, 2)))
    assert require_whole(path, keeper)[0] == 8
    assert totals(path)[MONTH, date(2026, 5, 1)] == 2 * UNIT


@pytest.mark.parametrize("before", [date(2026, 1, 1), date(2026, 1, 5)])
def test_where_nothing_is_old_enough_nothing_changes(path: Path, keeper: Keeper, before: date) -> None:
    held = path.read_bytes(), keeper.witness.read_bytes()
    found = pruned(path, keeper, before)
    assert (found.anchor, found.entries, found.kept_by) == (None, 0, 1)
    assert (path.read_bytes(), keeper.witness.read_bytes()) == held


def test_a_ledger_without_entries_has_nothing_to_prune(tmp_path: Path, keeper: Keeper) -> None:
    commit(tmp_path / "new.db", keeper)
    found = pruned(tmp_path / "new.db", keeper)
    assert (found.anchor, found.entries, found.kept_by) == (None, 0, None)


def test_a_ledger_without_a_keeper_is_pruned_without_a_signature(tmp_path: Path) -> None:
    path = tmp_path / "alone.db"
    commit(path, None, *HISTORY)
    pruned(path, None)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT signature FROM anchor").fetchone() == (b"",)
    commit(path, None, presence(date(2026, 6, 1)))
    assert verify(path)[0] == 8


# --- twice ------------------------------------------------------------------------------------------------


def test_pruning_again_gives_what_pruning_once_would_have_given(
    path: Path, keeper: Keeper, tmp_path: Path
) -> None:
    twin, second = tmp_path / "twin.db", replace(keeper, witness=tmp_path / "twin.jsonl")
    shutil.copy(path, twin)
    shutil.copy(keeper.witness, second.witness)
    once = pruned(twin, second, date(2026, 4, 8))
    for before in (date(2026, 2, 1), date(2026, 3, 30), APRIL, date(2026, 4, 8)):
        found = pruned(path, keeper, before)
        require_whole(path, keeper)
    assert found.anchor == once.anchor
    assert once.entries == 6
    assert totals(path) == totals(twin)
    assert keeper.witness.read_bytes() == second.witness.read_bytes()


def test_an_earlier_date_never_brings_days_back(path: Path, keeper: Keeper) -> None:
    found = pruned(path, keeper)
    again = pruned(path, keeper, date(2026, 2, 1))
    assert again.anchor is None
    with closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)) as ledger:
        assert ledger.anchor == found.anchor
        assert ledger.first_day == APRIL


# --- days without a budget --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(4))
def test_a_pruned_release_is_refused_and_not_computed_again(path: Path, keeper: Keeper, number: int) -> None:
    pruned(path, keeper)
    before = verify(path)
    with closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)) as ledger:
        again = request_for(HISTORY[number], nonce_of(HISTORY[number]), b"noised anew")
        assert ledger.find(again.terms, again.nonce) is None
        for refused in (
            lambda: ledger.commit(again, TODAY),
            lambda: ledger.require_room(again.terms.charge()),
        ):
            with pytest.raises(BudgetExhausted) as caught:
                refused()
            assert caught.value.what == "days before 2026-04-01 have no privacy budget any more"
            assert "pruned" in caught.value.means
            assert caught.value.todo == "ask for later days"
    assert verify(path) == before


def test_a_new_release_may_not_touch_a_day_before_the_date(path: Path, keeper: Keeper) -> None:
    pruned(path, keeper)
    for terms in (presence(date(2026, 3, 31), 1), residents(date(2026, 3, 31), date(2026, 4, 9), 1)):
        with pytest.raises(BudgetExhausted, match="days before 2026-04-01 have no privacy budget any more"):
            commit(path, keeper, terms)
    commit(path, keeper, residents(APRIL, date(2026, 4, 9), 1))


def test_a_nonce_of_a_pruned_release_is_free_again(path: Path, keeper: Keeper) -> None:
    pruned(path, keeper)
    with closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)) as ledger:
        ledger.commit(request_for(presence(date(2026, 6, 1)), nonce_of(HISTORY[0])), TODAY)


def test_the_summary_says_what_was_pruned_and_which_days_have_a_budget(path: Path, keeper: Keeper) -> None:
    pruned(path, keeper)
    found = summary(path, BUDGETS)
    assert [line["sequence"] for line in found["charges"]] == [5, 6, 7]
    assert (found["entries"], found["chain_head"]) == verify(path)
    assert found["first_day"] == "2026-04-01"
    assert (found["anchor"]["sequence"], found["anchor"]["first_day"]) == (4, "2026-04-01")


# --- dates and dry runs -----------------------------------------------------------------------------------


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


# --- a reader in the way ----------------------------------------------------------------------------------


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


# --- crashes ----------------------------------------------------------------------------------------------


def put_back(backup: Path, path: Path) -> None:
    """Restore a backup of a ledger."""
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()
    shutil.copy(backup, path)


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


# --- witnesses and backups --------------------------------------------------------------------------------


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


def test_a_backup_that_has_charged_what_the_anchor_does_not_carry_is_of_another_ledger(
    path: Path, keeper: Keeper, tmp_path: Path
) -> None:
    pruned(path, keeper, date(2026, 5, 2))
    other = tmp_path / "other.db"
    commit(other, replace(keeper, witness=tmp_path / "other.jsonl"), presence(date(2026, 4, 30), 3 * UNIT))
    before = verify(other)
    with pytest.raises(LedgerProblem, match="disagree at entry 1"):
        restore(other, IDENTITY, keeper)
    assert verify(other) == before


def test_a_ledger_with_other_entries_of_the_same_terms_is_another_ledger(
    path: Path, keeper: Keeper, tmp_path: Path
) -> None:
    pruned(path, keeper, date(2026, 5, 2))
    other = tmp_path / "other.db"
    commit(other, replace(keeper, witness=tmp_path / "other.jsonl"), *HISTORY)
    before = verify(other)
    with pytest.raises(LedgerProblem, match="disagree at entry 7"):
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


# --- budgets afterwards -----------------------------------------------------------------------------------

FIRST = date(2026, 3, 1)
ROOMY = Budgets(day=3 * UNIT, month=8 * UNIT, first_day=FIRST, last_day=date(2026, 12, 31))


def any_terms(chance: random.Random, revision: int, around: date) -> Terms:
    first = max(FIRST, around + timedelta(days=chance.randrange(-25, 25)))
    nano = chance.choice([UNIT, UNIT, 2 * UNIT, UNIT // 2])
    if chance.random() < 0.6:
        return presence(first, nano, revision=revision)
    last = first + timedelta(days=chance.choice([0, 3, 27, 40]))
    return residents(first, last, nano // 4, revision=revision)


def answer(ledger: Ledger, terms: Terms) -> str:
    try:
        return ledger.commit(request_for(terms, nonce_of(terms), marked(terms)), TODAY).head and "charged"
    except BudgetExhausted as error:
        return error.what


def history(seed: int, directory: Path, length: int) -> tuple[int, int]:
    """Ask two ledgers for the same, of which one is pruned now and then; return how much was charged and pruned."""
    chance = random.Random(seed)
    whole, short = directory / f"whole-{seed}.db", directory / f"short-{seed}.db"
    floor, charged, gone = FIRST, 0, 0
    for number in range(length):
        around = FIRST + timedelta(days=120 * number // length)
        if number and chance.random() < 0.15:
            found = prune(short, IDENTITY, None, around - timedelta(days=chance.randrange(40)), TODAY)
            if found.anchor:
                floor, gone = found.anchor.first_day, gone + found.entries
        terms = any_terms(chance, number, around)
        with (
            closing(Ledger(short, IDENTITY, ROOMY)) as pruned_one,
            closing(Ledger(whole, IDENTITY, ROOMY)) as other,
        ):
            assert pruned_one.first_day == floor
            if terms.first_day < floor:
                assert "any more" in answer(pruned_one, terms)
                continue
            said = answer(pruned_one, terms)
            assert said == answer(other, terms), "the refusals name the same window and the same totals"
            charged += said == "charged"
        assert totals(short, floor) == totals(whole, floor)
        verify(short)
    return charged, gone


@pytest.mark.parametrize("seed", range(6))
def test_later_charges_are_accepted_and_refused_exactly_as_without_pruning(tmp_path: Path, seed: int) -> None:
    charged, gone = history(seed, tmp_path, 40)
    assert charged > 5
    assert gone > 0


@pytest.mark.full
def test_later_charges_are_accepted_and_refused_exactly_as_without_pruning_at_length(tmp_path: Path) -> None:
    sums = [history(seed, tmp_path, 60) for seed in range(100, 200)]
    print(f"\n{sum(charged for charged, _ in sums)} charged, {sum(gone for _, gone in sums)} pruned")
