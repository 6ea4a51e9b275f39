"""Tells whether a ledger has spent more than its caps allow now.

That is a warning and not damage: caps can be lowered after a charge, by a new charter or by the operator's policy.
The ledger itself never charges above the caps that it was opened with.
"""

from __future__ import annotations

from pathlib import Path

from privacy.calculus import Budgets
from privacy.ledger.files import open_readable


def above_caps(path: Path, budgets: Budgets) -> str:
    """Return the first window whose total is above its cap, in words; or nothing.

    Parameters
    ----------
    path
        The ledger's database; it is opened read-only and may be in use.
    budgets
        Caps as they are now.

    Raises
    ------
    UsageProblem
        If there is no ledger.
    LedgerProblem
        If it cannot be read.
    """
    query = "SELECT first_day, nano FROM spent WHERE length = ? AND nano > ? ORDER BY 1 LIMIT 1"
    with open_readable(path) as db:
        for length, cap in budgets.caps():
            row = db.execute(query, (length, cap)).fetchone()
            if row:
                return (
                    f"more was spent than the caps allow now: {row[1]} of {cap} nano-rho "
                    f"in the {length} day(s) from {row[0]}"
                )
    return ""
