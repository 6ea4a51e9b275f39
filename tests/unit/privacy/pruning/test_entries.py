"""What is older than a retention date is deleted; the chain goes on as if it were not."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from privacy.calculus import DAY, MONTH
from privacy.errors import BudgetExhausted
from privacy.ledger import Keeper, Ledger, verify, witness_file
from privacy.ledger.anchor import SignedAnchor
from privacy.ledger.keeper import anchor_statement
from privacy.ledger.summary import summary
from tests.unit.privacy.builders import (
    BUDGETS,
    IDENTITY,
    UNIT,
    presence,
    request_for,
    residents,
)
from tests.unit.privacy.pruning.history import (
    APRIL,
    HISTORY,
    TODAY,
    commit,
    first_line,
    marked,
    nonce_of,
    pruned,
    require_whole,
    totals,
)

# --- what goes and what stays --------------------------------------------------------------------------


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


# --- twice ---------------------------------------------------------------------------------------------


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


# --- days without a budget -----------------------------------------------------------------------------


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
