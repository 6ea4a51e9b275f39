"""What a ledger says, for people and programs: charges, totals by day and window, head of the chain."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from privacy.calculus import DAY, MONTH, Budgets
from privacy.ledger import rows
from privacy.ledger.entry import Entry
from privacy.ledger.files import open_readable


def summary(path: Path, budgets: Budgets) -> dict[str, Any]:
    """Return a ledger as a JSON-ready dictionary; the database is opened read-only and may be in use.

    Parameters
    ----------
    path
        The ledger's database.
    budgets
        Caps to show beside the totals.

    Returns
    -------
    dict
        `charges` (by entry; `lost` if the bytes are gone with a restored backup), `forfeits`, `anchor` (None if the
        ledger was never pruned), `days` and `windows` (nano-ρ by first day), `caps`, `first_day` (before it no day
        has a budget), `entries` (with those that were pruned) and `chain_head`.

    Raises
    ------
    UsageProblem
        If there is no ledger.
    LedgerProblem
        If it cannot be read.
    """
    with open_readable(path) as db:
        charges, forfeits = [], []
        lost = {release_id for (release_id,) in db.execute("SELECT release_id FROM lost")}
        for record, _head in rows.records(db):
            # Only the line of an entry is kept: a long ledger's entries would not fit into memory.
            if isinstance(record, Entry):
                charges.append(_line(record) | {"lost": record.release_id in lost})
            else:
                forfeits.append(record.model_dump(mode="json"))
        anchor, floor = rows.anchor_of(db), rows.floor(db)
        entries, head = rows.head_of(db)
        days, windows = _totals(db, DAY), _totals(db, MONTH)
    return {
        "charges": charges,
        "forfeits": forfeits,
        "anchor": anchor.model_dump(mode="json") if anchor else None,
        "days": days,
        "windows": windows,
        "caps": {"day": budgets.day, "window": budgets.month, "window_days": MONTH},
        "first_day": max(budgets.first_day, floor or budgets.first_day).isoformat(),
        "entries": entries,
        "chain_head": head,
    }


def gaps(path: Path) -> tuple[int, int, int]:
    """Return how many entries are pruned, releases without bytes, and forfeits; raises like `summary`."""
    query = "SELECT (SELECT count(*) FROM lost), (SELECT count(*) FROM entry WHERE release_id IS NULL)"
    with open_readable(path) as db:
        lost, forfeits = db.execute(query).fetchone()
        return rows.begin_of(db)[0], lost, forfeits


def _totals(db: sqlite3.Connection, length: int) -> dict[str, int]:
    query = "SELECT first_day, nano FROM spent WHERE length = ? ORDER BY 1"
    return {str(first): int(nano) for first, nano in db.execute(query, (length,))}


def _line(entry: Entry) -> dict[str, Any]:
    return {
        "sequence": entry.sequence,
        "release_id": entry.release_id,
        "product": entry.terms.product,
        "first_day": entry.terms.first_day.isoformat(),
        "last_day": entry.terms.last_day.isoformat(),
        "revision": entry.terms.revision,
        "mechanism": entry.terms.mechanism,
        "scales": {level.name: level.scale_milli / 1000 for level in entry.terms.levels},
        "by_period": entry.charge.by_period,
        "by_day": entry.charge.by_day,
        "result_sha256": entry.result_sha256,
    }
