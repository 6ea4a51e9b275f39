"""After pruning, charges are accepted and refused as without it."""

from __future__ import annotations

import random
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest

from privacy.calculus import Budgets
from privacy.errors import BudgetExhausted
from privacy.ledger import Ledger, Terms, prune, verify
from tests.unit.privacy.builders import (
    IDENTITY,
    UNIT,
    presence,
    request_for,
    residents,
)
from tests.unit.privacy.pruning.history import TODAY, marked, nonce_of, totals

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
