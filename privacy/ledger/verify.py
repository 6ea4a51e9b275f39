"""Recompute a whole ledger offline and name the first thing that is wrong in it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from pathlib import Path

from pydantic import ValidationError

from privacy.calculus import DAY, MONTH, charge
from privacy.errors import LedgerProblem
from privacy.ledger.entry import GENESIS, Entry, head_after

_ROWS = """SELECT sequence, release_id, entry, head, bytes
           FROM entry LEFT JOIN result USING (release_id) ORDER BY sequence"""


def verify(path: Path) -> tuple[int, str]:
    """Check every entry, the chain, the stored bytes and the running totals.

    Parameters
    ----------
    path
        The ledger's database; it is opened read-only and may be in use.

    Returns
    -------
    tuple of int and str
        Number of entries, and the head of the chain.

    Raises
    ------
    LedgerProblem
        Names the first entry, or the first total, that does not hold.
    """
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            db.execute("BEGIN")
            return _verify(db)
    except (sqlite3.DatabaseError, ValidationError) as error:
        raise _broken(f"it cannot be read ({type(error).__name__})") from error


def _verify(db: sqlite3.Connection) -> tuple[int, str]:
    head, count, totals = GENESIS, 0, Counter[tuple[int, str]]()
    for sequence, release_id, raw, stored_head, result in db.execute(_ROWS):
        count += 1
        entry = Entry.model_validate_json(raw)
        problem = _problem(entry, raw, result, (count, release_id, head))
        if sequence != count or problem:
            raise _broken(f"entry {count}: {problem or 'it is missing'}")
        head = head_after(raw)
        if stored_head != head:
            raise _broken(f"entry {count}: its stored head is not its hash")
        for length in (DAY, MONTH):
            totals.update({(length, first.isoformat()): cost for first, cost in entry.charge.windows(length)})
    orphans = db.execute("SELECT count(*) FROM result WHERE release_id NOT IN (SELECT release_id FROM entry)")
    if orphans.fetchone()[0]:
        raise _broken("there are bytes without a charge")
    stored = {(int(n), str(first)): int(nano) for n, first, nano in db.execute("SELECT * FROM spent")}
    if stored != dict(totals):
        length, first = min(key for key in stored.keys() | totals.keys() if stored.get(key, 0) != totals[key])
        raise _broken(f"the total of the {length} day(s) from {first} is not the sum of the charges")
    return count, head


def _problem(entry: Entry, raw: bytes, result: bytes | None, expected: tuple[int, str, str]) -> str:
    if (entry.sequence, entry.release_id, entry.previous) != expected:
        return "it does not continue the chain"
    if entry.terms.release_id() != entry.release_id or entry.to_bytes() != raw:
        return "its terms are not what its id says"
    terms = entry.terms
    if entry.charge != charge(terms.bounds, terms.first_day, terms.last_day, terms.by_period):
        return "its charge is not what its terms cost"
    if result is None:
        return "it was charged, but its bytes are missing"
    if hashlib.sha256(result).hexdigest() != entry.result_sha256:
        return "its bytes are not the ones that were recorded"
    return ""


def _broken(what: str) -> LedgerProblem:
    return LedgerProblem(
        f"the ledger does not hold: {what}",
        means="the record of what was released cannot be trusted from there on",
        todo="stop the node, keep the file as evidence, and restore the last backup that verifies",
    )
