"""What the ledger's tables are asked and told; nothing here decides anything."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date

from privacy.calculus import DAY, MONTH, Charge
from privacy.ledger import problems
from privacy.ledger.anchor import Anchor, Position, SignedAnchor, Totals
from privacy.ledger.entry import GENESIS, Entry
from privacy.ledger.forfeit import Forfeit, Record, record_of
from privacy.ledger.witness_file import Line

#: Where the chain of a ledger begins that was never pruned.
START: Position = (0, GENESIS)
_BATCH = 1_000
#: Beyond every sequence.
_END = 2**62
_CHARGE = "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET nano = nano + excluded.nano"


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Run everything inside, or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def undone(db: sqlite3.Connection) -> Iterator[None]:
    """Run everything inside, and leave nothing of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


# --- the chain --------------------------------------------------------------------------------------------


def signed_anchor(db: sqlite3.Connection) -> SignedAnchor | None:
    """Return the anchor, if the ledger was pruned (LedgerProblem if it cannot be read)."""
    row = db.execute("SELECT anchor, signature FROM anchor").fetchone()
    if row is None:
        return None
    found = SignedAnchor(*row)
    try:
        found.document()
    except ValueError:
        raise problems.unreadable_anchor() from None
    return found


def anchor_of(db: sqlite3.Connection) -> Anchor | None:
    """Return what the anchor says, if the ledger was pruned (LedgerProblem if it cannot be read)."""
    found = signed_anchor(db)
    return found.document() if found else None


def begin_of(db: sqlite3.Connection) -> Position:
    """Return where the entries begin: after the pruned ones, if there are any."""
    anchor = anchor_of(db)
    return anchor.position if anchor else START


def head_of(db: sqlite3.Connection) -> Position:
    """Return where the chain ends."""
    row = db.execute("SELECT sequence, head FROM entry ORDER BY sequence DESC LIMIT 1").fetchone()
    return (int(row[0]), str(row[1])) if row else begin_of(db)


def head_at(db: sqlite3.Connection, sequence: int) -> str | None:
    """Return the head after an entry; None if the ledger does not have it, or has it no more."""
    row = db.execute("SELECT head FROM entry WHERE sequence = ?", (sequence,)).fetchone()
    if row:
        return str(row[0])
    begin = begin_of(db)
    return begin[1] if begin[0] == sequence else None


def lines_after(db: sqlite3.Connection, sequence: int) -> Iterator[Line]:
    """Yield what the witness is told of the entries after one; reads some at a time."""
    query = "SELECT sequence, entry, head, signature FROM entry WHERE sequence > ? ORDER BY sequence LIMIT ?"
    while batch := db.execute(query, (sequence, _BATCH)).fetchall():
        yield from (Line(*row[1:]) for row in batch)
        sequence = batch[-1][0]


def records(db: sqlite3.Connection) -> Iterator[tuple[Record, str]]:
    """Yield what the ledger has recorded, in order, and the head after it; reads some at a time.

    Raises
    ------
    LedgerProblem
        If an entry cannot be read.
    """
    query = "SELECT sequence, entry, head FROM entry WHERE sequence > ? ORDER BY sequence LIMIT ?"
    sequence = 0
    while batch := db.execute(query, (sequence, _BATCH)).fetchall():
        for sequence, raw, head in batch:
            yield _record(sequence, raw), str(head)


def last_record(db: sqlite3.Connection) -> Record | None:
    """Return what was recorded last, if the ledger has it still (LedgerProblem if it cannot be read)."""
    row = db.execute("SELECT sequence, entry FROM entry ORDER BY sequence DESC LIMIT 1").fetchone()
    return _record(*row) if row else None


def _record(sequence: int, raw: bytes) -> Record:
    try:
        return record_of(raw)
    except ValueError:
        raise problems.unreadable(sequence) from None


def floor(db: sqlite3.Connection) -> date | None:
    """Return the first day that has a budget, as far as pruning or a forfeit have moved it."""
    anchor, forfeited = anchor_of(db), floor_at(db, _END)
    return max((day for day in (anchor and anchor.first_day, forfeited) if day), default=None)


def floor_at(db: sqlite3.Connection, sequence: int) -> date | None:
    """Return the first day that has a budget after the forfeits before an entry."""
    query = "SELECT sequence, entry FROM entry WHERE release_id IS NULL AND sequence < ?"
    days = []
    for place, raw in db.execute(query, (sequence,)):
        try:
            days.append(Forfeit.model_validate_json(raw).first_day)
        except ValueError:
            raise problems.unreadable(place) from None
    return max(days, default=None)


def put(db: sqlite3.Connection, record: Record, line: Line, opening: bytes = b"") -> None:
    """Add a record to the end of the chain."""
    release_id = record.release_id if isinstance(record, Entry) else None
    row = (record.sequence, release_id, line.entry, line.head, opening, line.signature)
    db.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", row)


# --- totals -----------------------------------------------------------------------------------------------


def add_charge(db: sqlite3.Connection, charge: Charge) -> None:
    """Add a charge to the total of every window that it touches."""
    add_totals(
        db,
        (((length, first), cost) for length in (DAY, MONTH) for first, cost in charge.windows(length)),
    )


def add_totals(db: sqlite3.Connection, totals: Iterable[tuple[tuple[int, date], int]]) -> None:
    """Add to the totals of windows, given as ((length, first day), nano-ρ)."""
    db.executemany(_CHARGE, ((length, first.isoformat(), nano) for (length, first), nano in totals))


def spent(db: sqlite3.Connection, length: int, first: date, last: date) -> Totals:
    """Return the totals of windows of one length that begin on days `first` to `last`."""
    found = db.execute(
        "SELECT first_day, nano FROM spent WHERE length = ? AND first_day BETWEEN ? AND ? ORDER BY 1",
        (length, first.isoformat(), last.isoformat()),
    )
    return {(length, date.fromisoformat(day)): int(nano) for day, nano in found}
