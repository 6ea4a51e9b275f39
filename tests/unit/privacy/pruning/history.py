"""A ledger of seven entries, of which four may be pruned."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

from privacy.calculus import Budgets
from privacy.ledger import (
    Keeper,
    Ledger,
    Terms,
    prune,
    verify,
    witness,
    witness_file,
)
from privacy.ledger.pruning import Pruned
from tests.unit.privacy.builders import (
    BUDGETS,
    IDENTITY,
    UNIT,
    presence,
    request_for,
    residents,
)

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


def put_back(backup: Path, path: Path) -> None:
    """Restore a backup of a ledger."""
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()
    shutil.copy(backup, path)
