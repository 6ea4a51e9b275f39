"""What a ledger says of itself, against sums made by hand."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest

from privacy.errors import LedgerProblem, UsageProblem
from privacy.ledger import Ledger, verify
from privacy.ledger.entry import GENESIS
from privacy.ledger.summary import summary
from tests.unit.privacy.builders import BUDGETS, IDENTITY, TODAY, UNIT, presence, request_for, residents

FEBRUARY = date(2026, 2, 1), date(2026, 2, 28)


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def test_charges_totals_and_head_are_what_was_committed(path: Path) -> None:
    daily = {date(2026, 1, 31): UNIT, date(2026, 2, 2): 2 * UNIT, date(2026, 3, 3): 3 * UNIT}
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        for day, nano in daily.items():
            ledger.commit(request_for(presence(day, nano), f"n{day}"), TODAY)
        ledger.commit(request_for(residents(*FEBRUARY, UNIT // 2, revision=3), "month", b"result"), TODAY)
    found = summary(path, BUDGETS)

    by_day = dict.fromkeys(days(*FEBRUARY), 2 * (UNIT // 2))
    for day, nano in daily.items():
        by_day[day] = by_day.get(day, 0) + nano
    assert found["days"] == {day.isoformat(): nano for day, nano in sorted(by_day.items())}

    windows = {}
    for first in days(date(2025, 12, 1), date(2026, 4, 30)):
        window = set(days(first, first + timedelta(days=30)))
        month = set(days(*FEBRUARY))
        homes = UNIT // 2 if month <= window else 2 * (UNIT // 2) if month & window else 0
        total = homes + sum(nano for day, nano in daily.items() if day in window)
        if total:
            windows[first.isoformat()] = total
    assert found["windows"] == windows

    assert found["entries"] == 4
    assert found["chain_head"] == verify(path)[1]
    assert (found["anchor"], found["forfeits"], found["first_day"]) == (None, [], "2026-01-01")
    assert found["caps"] == {"day": 4 * UNIT, "window": 9 * UNIT, "window_days": 31}
    assert [line["sequence"] for line in found["charges"]] == [1, 2, 3, 4]
    assert found["charges"][3] == {
        "sequence": 4,
        "release_id": residents(*FEBRUARY, UNIT // 2, revision=3).release_id(),
        "product": "residents",
        "first_day": "2026-02-01",
        "last_day": "2026-02-28",
        "revision": 3,
        "mechanism": "discrete-gaussian",
        "scales": {"zone": 34.65},
        "by_period": UNIT // 2,
        "by_day": UNIT,
        "result_sha256": hashlib.sha256(b"result").hexdigest(),
        "lost": False,
    }
    assert json.loads(json.dumps(found)) == found, "a program can read it"


def test_a_new_ledger_has_spent_nothing(path: Path) -> None:
    Ledger(path, IDENTITY, BUDGETS).close()
    found = summary(path, BUDGETS)
    assert (found["charges"], found["days"], found["windows"]) == ([], {}, {})
    assert (found["entries"], found["chain_head"]) == (0, GENESIS)


def test_a_repeat_and_a_refusal_do_not_show(path: Path) -> None:
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        ledger.commit(request_for(presence(date(2026, 2, 2)), "n0"), TODAY)
        before = summary(path, BUDGETS)
        ledger.commit(request_for(presence(date(2026, 2, 2)), "n1", b"other"), TODAY)
        assert summary(path, BUDGETS) == before, "the ledger may be open elsewhere"


@pytest.mark.parametrize("sequence", [1, 2])
@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b"[" * 10_000])
def test_an_entry_that_cannot_be_read_is_named(path: Path, sequence: int, damage: bytes) -> None:
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        for day in FEBRUARY:
            ledger.commit(request_for(presence(day), f"n{day}"), TODAY)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE entry SET entry = ? WHERE sequence = ?", (damage, sequence))
        db.commit()
    with pytest.raises(LedgerProblem) as caught:
        summary(path, BUDGETS)
    assert caught.value.what == f"entry {sequence} of the ledger cannot be read"
    assert caught.value.todo == "run quorate-node ledger verify"


def test_a_ledger_that_is_not_there_is_a_clear_error_and_is_not_made(path: Path) -> None:
    with pytest.raises(UsageProblem, match="there is no ledger at") as caught:
        summary(path, BUDGETS)
    assert caught.value.todo == "start the node once, or correct --dir"
    assert list(path.parent.iterdir()) == []
