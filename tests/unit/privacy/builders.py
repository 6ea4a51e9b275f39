"""Builds releases for tests of the ledger, without drawing any noise, and tampers with what was written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from privacy.calculus import DAY, MONTH, Budgets, Charge
from privacy.ledger import Request, Terms
from privacy.noise import calibrate
from privacy.sensitivity import Declaration, Mechanism
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS, declare
from privacy.terms import LevelTerms

IDENTITY = "spiffe://small/operator/north/node/0"
TODAY = date(2026, 6, 1)
#: One hundredth of rho.
UNIT = 10_000_000
BUDGETS = Budgets(day=4 * UNIT, month=9 * UNIT, first_day=date(2026, 1, 1), last_day=date(2026, 12, 31))
Tamper = Callable[[sqlite3.Connection], object]


@lru_cache
def scale_for(bounds: Declaration, mechanism: Mechanism, by_period: int) -> int:
    """Return a scale in thousandths that is enough for a loss, and at least that of a hundredth of rho by hour."""
    return max(34_650, calibrate(bounds, mechanism, by_period, 50))


def terms_for(
    statistic: str, first_day: date, last_day: date, by_period: int = UNIT, /, **changes: Any
) -> Terms:
    """Return terms of a release of 24 hours or of a period; `changes` replace single fields."""
    bounds = changes.get("bounds", declare(statistic, {}, 24))
    scale = scale_for(bounds, changes.get("mechanism", "discrete-gaussian"), by_period)
    fields: dict[str, Any] = {
        "product": statistic,
        "statistic": statistic,
        "parameters": {"night_hours": [0, 1, 2], "min_nights": 1},
        "zoning": "a" * 64,
        "keyset": "b" * 64,
        "levels": (LevelTerms(name="zone", share_permille=1000, by_period=by_period, scale_milli=scale),),
        "first_day": first_day,
        "last_day": last_day,
        "bounds": bounds,
        "mechanism": "discrete-gaussian",
        "by_period": by_period,
        "charter_version": 1,
    }
    return Terms(**(fields | changes))


def presence(day: date, by_period: int = UNIT, /, **changes: Any) -> Terms:
    """Return terms of presence by hour on one day."""
    return terms_for(PRESENCE_BY_HOUR, day, day, by_period, **changes)


def residents(first_day: date, last_day: date, by_period: int = UNIT, /, **changes: Any) -> Terms:
    """Return terms of residents in a period."""
    return terms_for(RESIDENTS, first_day, last_day, by_period, **changes)


def request_for(terms: Terms, nonce: str = "n", result: bytes = b"noised bytes") -> Request:
    """Return a request for these terms."""
    return Request(terms, nonce, result, snapshot=b"\x01" * 32)


def tamper(path: Path, *changes: Tamper) -> None:
    """Change a ledger behind its back, as somebody with the file would."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        for change in changes:
            change(db)
        db.commit()


def run(statement: str, *values: object) -> Tamper:
    """Return a change by a statement of SQL that does change something."""

    def change(db: sqlite3.Connection) -> None:
        assert db.execute(statement, values).rowcount > 0, "the test tampers with nothing"

    return change


def spent_on(*charges: Charge) -> dict[tuple[int, date], int]:
    """Add charges up by window."""
    spent: dict[tuple[int, date], int] = {}
    for made in charges:
        for length in (DAY, MONTH):
            for first, cost in made.windows(length):
                spent[length, first] = spent.get((length, first), 0) + cost
    return spent
