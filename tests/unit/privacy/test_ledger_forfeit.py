"""A ledger that was restored without its witness: whatever may have been charged meanwhile counts as spent."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from privacy.calculus import Budgets
from privacy.errors import BudgetExhausted, LedgerProblem, UsageProblem
from privacy.ledger import (
    Forfeit,
    Keeper,
    Ledger,
    Terms,
    forfeit,
    prune,
    restore,
    verify,
    witness,
    witness_file,
    would_forfeit,
)
from privacy.ledger.entry import GENESIS, head_after
from privacy.ledger.forfeit import record_of
from privacy.ledger.keeper import statement
from privacy.ledger.summary import summary
from privacy.ledger.witness_file import Line
from tests.effort import stride
from tests.unit.privacy.builders import BUDGETS, IDENTITY, UNIT, presence, request_for, residents, run, tamper
from tests.unit.privacy.crashes import dies_before

RECORDED = date(2026, 6, 1)
TODAY = date(2026, 6, 10)
AGAIN = TODAY + timedelta(days=31)
MAY, JUNE = presence(date(2026, 5, 31)), presence(RECORDED)


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(Ed25519PrivateKey.generate(), tmp_path / "witness.jsonl")


@pytest.fixture
def path(tmp_path: Path, keeper: Keeper) -> Path:
    """Lay out what is left: a backup of two releases; a third one and the witness are gone."""
    path = tmp_path / "ledger.db"
    commit(path, keeper, MAY, JUNE)
    shutil.copy(path, tmp_path / "backup")
    commit(path, keeper, presence(TODAY))
    keeper.witness.rename(tmp_path / "lost.jsonl")
    put_back(tmp_path / "backup", path)
    return path


def put_back(backup: Path, path: Path) -> None:
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()
    shutil.copy(backup, path)


def commit(
    path: Path, keeper: Keeper, *made: Terms, budgets: Budgets = BUDGETS, today: date = RECORDED
) -> None:
    with closing(Ledger(path, IDENTITY, budgets, keeper=keeper)) as ledger:
        for terms in made:
            ledger.commit(request_for(terms, f"nonce-{terms.release_id()}"), today)


def forfeited(path: Path, keeper: Keeper, today: date = TODAY) -> Forfeit:
    return forfeit(path, IDENTITY, keeper, today)


def require_whole(path: Path, keeper: Keeper) -> tuple[int, str]:
    end = verify(path)
    assert witness.verify(path, IDENTITY, keeper) == end
    return end


def held(keeper: Keeper) -> list[Line]:
    with witness_file.reading(keeper.witness) as items:
        return [item for _number, item in items if isinstance(item, Line)]


# --- the entry --------------------------------------------------------------------------------------------


def test_a_forfeit_is_a_signed_entry_of_the_chain_and_a_new_witness_has_it(
    path: Path, keeper: Keeper
) -> None:
    sequence, previous = verify(path)
    made = forfeited(path, keeper)
    assert made == Forfeit(sequence=3, previous=previous, first_day=AGAIN, recorded_on=TODAY)
    assert made.to_bytes() == (
        b'{"first_day":"2026-07-11","kind":"forfeit","previous":"' + previous.encode() + b'",'
        b'"recorded_on":"2026-06-10","sequence":3}'
    )
    head = head_after(made.to_bytes())
    assert (sequence, require_whole(path, keeper)) == (2, (3, head))
    with closing(sqlite3.connect(path)) as db:
        row = db.execute("SELECT release_id, entry, opening FROM entry WHERE sequence = 3").fetchone()
    assert row == (None, made.to_bytes(), b"")
    lines = held(keeper)
    assert len(lines) == 3
    assert lines[2].entry == made.to_bytes()
    keeper.key.public_key().verify(lines[2].signature, statement(IDENTITY, 3, head))


def test_what_is_in_the_chain_is_read_as_what_it_is(path: Path, keeper: Keeper) -> None:
    made = forfeited(path, keeper)
    with closing(sqlite3.connect(path)) as db:
        raws = [raw for (raw,) in db.execute("SELECT entry FROM entry ORDER BY sequence")]
    assert [type(record_of(raw)).__name__ for raw in raws] == ["Entry", "Entry", "Forfeit"]
    assert [record_of(raw).to_bytes() for raw in raws] == raws
    assert record_of(raws[2]) == made
    for raw in (
        b"",
        b"{}",
        b"[]",
        raws[2].replace(b"forfeit", b"present"),
        raws[2].replace(b"}", b',"a":1}'),
    ):
        with pytest.raises(ValidationError):
            record_of(raw)


def test_the_ledger_goes_on_after_a_forfeit(path: Path, keeper: Keeper) -> None:
    made = forfeited(path, keeper)
    with closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)) as ledger:
        assert ledger.head == (3, head_after(made.to_bytes()))
        assert ledger.first_day == AGAIN
        assert [entry.sequence for entry in ledger.entries()] == [1, 2]
        assert list(ledger.forfeits()) == [made]
        assert ledger.totals(1) == {MAY.first_day: UNIT, RECORDED: UNIT}
        known = ledger.find(MAY, "any nonce")
        assert known is not None
        assert ledger.commit(request_for(MAY, "any nonce"), TODAY) == known, "what is known is sent again"
        ledger.commit(request_for(presence(AGAIN), "new"), AGAIN)
    assert require_whole(path, keeper)[0] == 4
    found = summary(path, BUDGETS)
    assert [line["sequence"] for line in found["charges"]] == [1, 2, 4]
    assert (found["entries"], found["first_day"]) == (4, "2026-07-11")
    assert found["forfeits"] == [made.model_dump(mode="json")]


@pytest.mark.parametrize(
    "terms",
    [
        presence(TODAY),
        presence(AGAIN - timedelta(days=1)),
        residents(AGAIN - timedelta(days=1), AGAIN),
        presence(date(2026, 1, 1)),
    ],
    ids=lambda terms: f"{terms.first_day} {terms.last_day}",
)
def test_a_day_before_the_first_one_has_no_budget(path: Path, keeper: Keeper, terms: Terms) -> None:
    forfeited(path, keeper)
    with pytest.raises(BudgetExhausted) as caught:
        commit(path, keeper, terms)
    assert caught.value.what == "days before 2026-07-11 have no privacy budget any more"
    assert "given up when its witness was lost" in caught.value.means


# --- which days -------------------------------------------------------------------------------------------


def test_the_last_day_counts_of_today_the_last_record_and_all_days_that_were_read(
    tmp_path: Path, keeper: Keeper
) -> None:
    latest = date(2026, 8, 1)
    cases = {
        "today": (presence(date(2026, 5, 1)), date(2026, 5, 2), latest),
        "record": (presence(date(2026, 5, 1)), latest, date(2026, 5, 3)),
        "days": (residents(date(2026, 7, 20), latest), date(2026, 5, 1), date(2026, 5, 3)),
    }
    for name, (terms, recorded, today) in cases.items():
        path, own = tmp_path / f"{name}.db", replace(keeper, witness=tmp_path / f"{name}.jsonl")
        commit(path, own, terms, presence(date(2026, 4, 1)), today=recorded)
        own.witness.unlink()
        assert forfeited(path, own, today).first_day == latest + timedelta(days=31), name


def test_a_ledger_that_is_gone_as_well_begins_with_a_forfeit(tmp_path: Path, keeper: Keeper) -> None:
    path = tmp_path / "new.db"
    dry = would_forfeit(path, IDENTITY, keeper, TODAY)
    assert list(tmp_path.iterdir()) == []
    made = forfeited(path, keeper)
    assert made == dry == Forfeit(sequence=1, previous=GENESIS, first_day=AGAIN, recorded_on=TODAY)
    assert require_whole(path, keeper)[0] == 1
    with pytest.raises(BudgetExhausted):
        commit(path, keeper, JUNE)


def test_a_pruned_ledger_forfeits_from_its_anchor_on(tmp_path: Path, keeper: Keeper) -> None:
    path = tmp_path / "pruned.db"
    commit(path, keeper, MAY, JUNE)
    prune(path, IDENTITY, keeper, date(2026, 6, 2), TODAY)
    keeper.witness.unlink()
    made = forfeited(path, keeper, RECORDED)
    assert (made.sequence, made.first_day) == (3, AGAIN), "it was pruned on the tenth"
    assert require_whole(path, keeper)[0] == 3
    commit(path, keeper, presence(AGAIN))


def test_a_second_forfeit_moves_the_day_on_and_never_back(path: Path, keeper: Keeper) -> None:
    forfeited(path, keeper)
    commit(path, keeper, presence(AGAIN))
    keeper.witness.unlink()
    later = forfeited(path, keeper, date(2026, 6, 11))
    assert (later.sequence, later.first_day) == (5, AGAIN + timedelta(days=31))
    keeper.witness.unlink()
    assert forfeited(path, keeper, date(2026, 1, 1)) == later, "the last one goes far enough"
    assert require_whole(path, keeper)[0] == 5
    keeper.witness.unlink()
    assert forfeited(path, keeper, AGAIN + timedelta(days=1)).sequence == 6, "now it does not"


# --- when it is allowed -----------------------------------------------------------------------------------


def test_a_witness_that_holds_keeps_the_budgets(path: Path, keeper: Keeper, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "lost.jsonl", keeper.witness)
    before = path.read_bytes()
    for look in (forfeited, lambda path, keeper: would_forfeit(path, IDENTITY, keeper, TODAY)):
        with pytest.raises(UsageProblem, match="is there and holds") as caught:
            look(path, keeper)
        assert "run quorate-node ledger restore" in caught.value.todo
    assert path.read_bytes() == before
    assert restore(path, IDENTITY, keeper) == 1


def test_a_witness_that_does_not_hold_is_kept_beside_the_new_one(
    path: Path, keeper: Keeper, tmp_path: Path
) -> None:
    whole = (tmp_path / "lost.jsonl").read_bytes()
    for number, damaged in enumerate([whole.replace(b'"head": "', b'"head": "0', 1), b"nothing\n"]):
        keeper.witness.write_bytes(damaged)
        forfeited(path, keeper, TODAY + timedelta(days=number))
        suffix = "damaged" if number == 0 else "damaged.2"
        assert (tmp_path / f"witness.jsonl.{suffix}").read_bytes() == damaged
        require_whole(path, keeper)


@pytest.mark.parametrize("text", [b"", b"an unfinished line"])
def test_a_witness_without_a_line_is_none(path: Path, keeper: Keeper, text: bytes) -> None:
    keeper.witness.write_bytes(text)
    forfeited(path, keeper)
    require_whole(path, keeper)


def test_a_dry_run_says_the_same_and_changes_nothing(path: Path, keeper: Keeper) -> None:
    before = path.read_bytes()
    dry = would_forfeit(path, IDENTITY, keeper, TODAY)
    assert path.read_bytes() == before
    assert not keeper.witness.exists()
    assert forfeited(path, keeper) == dry


def test_a_ledger_that_does_not_hold_is_not_gone_on_with(path: Path, keeper: Keeper) -> None:
    tamper(path, run("UPDATE result SET bytes = x'00' WHERE release_id = ?", MAY.release_id()))
    with pytest.raises(LedgerProblem, match="entry 1: its bytes are not the ones"):
        forfeited(path, keeper)
    assert not keeper.witness.exists()


def test_the_lost_witness_that_turns_up_again_is_a_fork(path: Path, keeper: Keeper, tmp_path: Path) -> None:
    forfeited(path, keeper)
    shutil.copy(tmp_path / "lost.jsonl", keeper.witness)
    with pytest.raises(LedgerProblem, match="disagree at entry 3"):
        commit(path, keeper)


# --- afterwards -------------------------------------------------------------------------------------------


def test_a_later_backup_gets_the_forfeit_back_from_the_new_witness(
    path: Path, keeper: Keeper, tmp_path: Path
) -> None:
    forfeited(path, keeper)
    commit(path, keeper, presence(AGAIN))
    head = verify(path)
    put_back(tmp_path / "backup", path)
    assert restore(path, IDENTITY, keeper) == 2
    assert require_whole(path, keeper) == head
    with pytest.raises(BudgetExhausted, match="days before 2026-07-11"):
        commit(path, keeper, presence(AGAIN - timedelta(days=1)))


def test_a_forfeit_is_pruned_only_by_a_date_that_gives_up_as_much(path: Path, keeper: Keeper) -> None:
    forfeited(path, keeper)
    late = date(2026, 12, 1)
    commit(path, keeper, presence(AGAIN))
    found = prune(path, IDENTITY, keeper, AGAIN - timedelta(days=1), late)
    assert (found.entries, found.kept_by) == (2, 3)
    with closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)) as ledger:
        assert ledger.first_day == AGAIN
    found = prune(path, IDENTITY, keeper, AGAIN, late)
    assert (found.entries, found.kept_by) == (1, 4)
    with closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)) as ledger:
        assert ledger.first_day == AGAIN
        assert list(ledger.forfeits()) == []
    require_whole(path, keeper)


def test_a_crash_at_any_step_leaves_a_frozen_ledger_or_one_without_the_budgets(
    path: Path, keeper: Keeper, tmp_path: Path
) -> None:
    for damaged in (None, b"nothing that holds\n"):
        step = 0
        while True:
            step += stride()
            put_back(tmp_path / "backup", path)
            keeper.witness.unlink(missing_ok=True)
            if damaged:
                keeper.witness.write_bytes(damaged)
            died = dies_before(step, lambda: forfeited(path, keeper))
            verify(path)
            with suppress(LedgerProblem), closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)) as ledger:
                assert ledger.first_day == AGAIN, "it does not open before the budgets are given up"
            with suppress(UsageProblem):
                assert forfeited(path, keeper).sequence == 3, "it is completed, and recorded once"
            assert require_whole(path, keeper)[0] == 3
            if not died:
                break
        assert step > 15


# --- budgets ----------------------------------------------------------------------------------------------

FIRST = date(2026, 3, 1)
CAPS = Budgets(day=4 * UNIT, month=12 * UNIT, first_day=FIRST, last_day=date(2026, 12, 31))


def cost(terms: Terms, window: range) -> int:
    """Return what a release costs a window, given as the ordinals of its days: the rule over sets of days."""
    read = range(terms.first_day.toordinal(), terms.last_day.toordinal() + 1)
    if set(read) <= set(window):
        return terms.by_period
    dearer = 2 if terms.statistic == "residents" and len(read) > 1 else 1
    return dearer * terms.by_period if set(read) & set(window) else 0


def largest(made: Iterable[Terms], length: int) -> int:
    """Return the largest total of a window of so many days."""
    start, releases = FIRST.toordinal(), list(made)
    windows = (range(start + n, start + n + length) for n in range(-31, 240))
    return max(sum(cost(terms, window) for terms in releases) for window in windows)


def requests(chance: random.Random, count: int, start: date, today: date) -> Iterator[Terms]:
    """Yield releases of days up to today, most of them of the last few weeks."""
    for _ in range(count):
        last = max(start, today - timedelta(days=chance.randrange(25)))
        revision, nano = chance.randrange(10**6), chance.choice([UNIT, 2 * UNIT, 3 * UNIT])
        if chance.random() < 0.6:
            yield presence(last, nano, revision=revision)
        else:
            first = max(start, last - timedelta(days=chance.randrange(40)))
            yield residents(first, last, nano // 4, revision=revision)


def accepted(path: Path, keeper: Keeper, asked: Iterable[Terms], today: date) -> list[Terms]:
    made = []
    with closing(Ledger(path, IDENTITY, CAPS, keeper=keeper)) as ledger:
        for terms in asked:
            with suppress(BudgetExhausted):
                ledger.commit(request_for(terms, f"nonce-{terms.release_id()}"), today)
                made.append(terms)
    return made


def catastrophe(seed: int, directory: Path) -> tuple[int, int, int]:
    """Return how many releases are in the backup, were lost, and came afterwards; the budgets hold for all."""
    chance, today = random.Random(seed), FIRST + timedelta(days=30)
    path = directory / f"{seed}.db"
    keeper = Keeper(Ed25519PrivateKey.generate(), directory / f"{seed}.jsonl")
    kept = accepted(path, keeper, requests(chance, 6, FIRST, today), today)
    shutil.copy(path, directory / "backup")
    today += timedelta(days=10 + chance.randrange(20))
    lost = accepted(path, keeper, requests(chance, 30, FIRST, today), today)
    put_back(directory / "backup", path)
    keeper.witness.unlink()
    today += timedelta(days=chance.randrange(3))
    first_day = forfeit(path, IDENTITY, keeper, today).first_day
    after = []
    for _week in range(10):
        today += timedelta(days=7)
        after += accepted(path, keeper, requests(chance, 6, FIRST, today), today)
    assert all(terms.first_day >= first_day for terms in after)
    everything = [*kept, *lost, *after]
    assert largest(everything, 1) <= CAPS.day
    assert largest(everything, 31) <= CAPS.month
    return len(kept), len(lost), len(after)


@pytest.mark.parametrize("seed", range(5))
def test_whatever_was_charged_after_the_backup_the_budgets_hold_in_total(tmp_path: Path, seed: int) -> None:
    assert min(catastrophe(seed, tmp_path)) > 0


@pytest.mark.full
def test_whatever_was_charged_after_the_backup_the_budgets_hold_in_total_at_length(tmp_path: Path) -> None:
    sums = [catastrophe(seed, tmp_path) for seed in range(1000, 1200)]
    print("\nkept, lost, made afterwards:", [sum(column) for column in zip(*sums, strict=True)])


def test_a_day_earlier_would_be_too_early(tmp_path: Path, keeper: Keeper) -> None:
    """A lost release of today that used up its 31 days leaves nothing for the thirtieth day after it."""
    path = tmp_path / "ledger.db"
    commit(path, keeper)
    keeper.witness.unlink()
    first_day = forfeited(path, keeper).first_day
    # The caps of a day would bear both.
    wide = Budgets(**(BUDGETS.model_dump() | {"day": BUDGETS.month}))
    lost, next_to = presence(TODAY, wide.month), presence(first_day - timedelta(days=1), 1)
    assert largest([lost, next_to], 31) > wide.month
    assert largest([lost, presence(first_day, wide.month)], 31) == wide.month
    with pytest.raises(BudgetExhausted):
        commit(path, keeper, next_to, budgets=wide)
    commit(path, keeper, presence(first_day, wide.month), budgets=wide)
