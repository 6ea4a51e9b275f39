"""What a ledger says, for people and programs: charges, totals by day and window, head of the chain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from privacy.calculus import DAY, MONTH, Budgets
from privacy.errors import LedgerProblem
from privacy.ledger.entry import GENESIS, Entry
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
        `charges` (by entry), `days` and `windows` (nano-ρ by first day), `caps`, `entries` and `chain_head`.

    Raises
    ------
    UsageProblem
        If there is no ledger.
    LedgerProblem
        If it cannot be read.
    """
    with open_readable(path) as db:
        rows = db.execute("SELECT entry, head FROM entry ORDER BY sequence").fetchall()
        totals = {
            length: {
                str(first): int(nano)
                for first, nano in db.execute(
                    "SELECT first_day, nano FROM spent WHERE length = ? ORDER BY 1", (length,)
                )
            }
            for length in (DAY, MONTH)
        }
    return {
        "charges": [_line(number, entry) for number, (entry, _head) in enumerate(rows, 1)],
        "days": totals[DAY],
        "windows": totals[MONTH],
        "caps": {"day": budgets.day, "window": budgets.month, "window_days": MONTH},
        "entries": len(rows),
        "chain_head": rows[-1][1] if rows else GENESIS,
    }


def _line(number: int, raw: bytes) -> dict[str, Any]:
    try:
        entry = Entry.model_validate_json(raw)
    except ValueError:
        raise LedgerProblem(
            f"entry {number} of the ledger cannot be read", todo="run quorate-node ledger verify"
        ) from None
    return {
        "sequence": entry.sequence,
        "release_id": entry.release_id,
        "product": entry.terms.product,
        "first_day": entry.terms.first_day.isoformat(),
        "last_day": entry.terms.last_day.isoformat(),
        "revision": entry.terms.revision,
        "sigma": entry.terms.sigma_milli / 1000,
        "by_period": entry.charge.by_period,
        "by_day": entry.charge.by_day,
        "result_sha256": entry.result_sha256,
    }
