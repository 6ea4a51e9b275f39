"""Recompute a whole ledger offline and name the first thing that is wrong in it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from pathlib import Path

from privacy.calculus import DAY, MONTH
from privacy.errors import LedgerProblem
from privacy.ledger.entry import GENESIS, Entry, head_after
from privacy.ledger.files import open_readable

_ROWS = """SELECT sequence, release_id, entry, head, bytes, lost.release_id IS NOT NULL
           FROM entry LEFT JOIN result USING (release_id) LEFT JOIN lost USING (release_id) ORDER BY sequence"""


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
    UsageProblem
        If there is no ledger.
    """
    with open_readable(path) as db:
        return _verify(db)


def _verify(db: sqlite3.Connection) -> tuple[int, str]:
    head, count, totals = GENESIS, 0, Counter[tuple[int, str]]()
    for sequence, release_id, raw, stored_head, result, lost in db.execute(_ROWS):
        count += 1
        if sequence != count:
            raise _broken(f"entry {count}: it is missing")
        entry = _entry(raw, count)
        if problem := _problem(entry, (count, release_id, head)) or _bytes_problem(entry, result, lost):
            raise _broken(f"entry {count}: {problem}")
        head = head_after(raw)
        if stored_head != head:
            raise _broken(f"entry {count}: its stored head is not its hash")
        for length in (DAY, MONTH):
            totals.update({(length, first.isoformat()): cost for first, cost in entry.charge.windows(length)})
    for table, what in (("result", "are bytes"), ("nonce", "is a nonce")):
        orphans = f"SELECT count(*) FROM {table} WHERE release_id NOT IN (SELECT release_id FROM entry)"  # noqa: S608
        if db.execute(orphans).fetchone()[0]:
            raise _broken(f"there {what} without a charge")
    stored = {(int(n), str(first)): int(nano) for n, first, nano in db.execute("SELECT * FROM spent")}
    for key in sorted(stored.keys() | totals.keys()):
        if stored.get(key) != totals.get(key):
            raise _broken(f"the total of the {key[0]} day(s) from {key[1]} is not the sum of the charges")
    return count, head


def _entry(raw: bytes, count: int) -> Entry:
    try:
        entry = Entry.model_validate_json(raw)
        canonical = entry.to_bytes()
    except ValueError:
        raise _broken(f"entry {count}: it cannot be read") from None
    if canonical != raw:
        raise _broken(f"entry {count}: it is not in canonical form")
    return entry


def _problem(entry: Entry, expected: tuple[int, str, str]) -> str:
    if (entry.sequence, entry.release_id, entry.previous) != expected:
        return "it does not continue the chain"
    return entry.problem()


def _bytes_problem(entry: Entry, result: bytes | None, lost: int) -> str:
    if result is None:
        return "" if lost else "it was charged, but its bytes are missing"
    if (hashlib.sha256(result).hexdigest(), len(result)) != (entry.result_sha256, entry.result_length):
        return "its bytes are not the ones that were recorded"
    return ""


def _broken(what: str) -> LedgerProblem:
    return LedgerProblem(
        f"the ledger does not hold: {what}",
        means="the record of what was released cannot be trusted from there on",
        todo="stop the node, keep the file as evidence, and restore the last backup that verifies",
    )
