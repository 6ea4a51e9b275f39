"""Bring a ledger that was restored from a backup up to its witness: charges are added, never removed."""

from __future__ import annotations

import os
from pathlib import Path

from privacy.calculus import DAY, MONTH
from privacy.ledger import witness
from privacy.ledger.entry import Entry
from privacy.ledger.files import lock, open_writable, reporting
from privacy.ledger.store import CHARGE
from privacy.ledger.witness import Keeper, Line


def restore(path: Path, identity: str, keeper: Keeper) -> int:
    """Add to a ledger the entries that its witness has beyond it; return how many.

    Their bytes are gone with the backup: they stay charged, and cannot be sent again by this node.

    Parameters
    ----------
    path
        The restored ledger, or a path where there is none any more.
    identity
        Whose ledger it is.
    keeper
        The operator's key and witness.

    Raises
    ------
    LedgerProblem
        If the witness is damaged, or disagrees with the ledger; nothing is changed.
    """
    handle = lock(path)
    try:
        db = open_writable(path, identity)
        try:
            witnessed = witness.read(keeper.witness)
            witness.require_chain(witnessed, identity, keeper.key.public_key())
            with reporting(path):
                rows = db.execute("SELECT entry, head, signature FROM entry ORDER BY sequence").fetchall()
                _untold, lacking = witness.missing([Line(*row) for row in rows], witnessed)
                db.execute("BEGIN IMMEDIATE")
                for line in lacking:
                    entry = Entry.model_validate_json(line.entry)
                    row = (entry.sequence, entry.release_id, line.entry, line.head, b"", line.signature)
                    db.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", row)
                    db.execute("INSERT INTO lost VALUES (?)", (entry.release_id,))
                    db.executemany(CHARGE, _charges(entry))
                db.execute("COMMIT")
        finally:
            db.close()
    finally:
        os.close(handle)
    return len(lacking)


def _charges(entry: Entry) -> list[tuple[int, str, int]]:
    return [
        (length, first.isoformat(), cost)
        for length in (DAY, MONTH)
        for first, cost in entry.charge.windows(length)
    ]
