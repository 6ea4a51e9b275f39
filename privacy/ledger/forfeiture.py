"""Goes on with a restored ledger whose witness is gone: every day that could have been charged counts as spent.

What was released after the backup is unknown. It read days up to the day of the restoration at the latest, and so it
was charged to windows that hold one of these days and end up to 30 days later. All budgets of the days in these
windows are given up. The days after them are in no window that could have been charged.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

from privacy.calculus import DAY, MONTH
from privacy.errors import LedgerProblem, UsageProblem
from privacy.ledger import anchoring, rows, witness, witness_file
from privacy.ledger.anchor import Position
from privacy.ledger.entry import head_after
from privacy.ledger.files import locked, open_readable, reporting
from privacy.ledger.forfeit import Forfeit, Record
from privacy.ledger.keeper import Keeper
from privacy.ledger.verify import verify
from privacy.ledger.witness_file import Line
from privacy.ledger.witness_held import Held

#: Last day that a ledger can know (`privacy.calculus.LocalDay`).
_LAST_DAY = date(2199, 12, 1)


def would_forfeit(path: Path, identity: str, keeper: Keeper, today: date) -> Forfeit:
    """Return what `forfeit` would record; changes nothing.

    Raises
    ------
    UsageProblem
        If the witness is there and holds: then nothing need be given up.
    LedgerProblem
        If the ledger cannot be read.
    """
    _require_lost(identity, keeper)
    if not path.exists():
        return _next(rows.START, None, today, today)
    with open_readable(path) as db:
        anchoring.require_own(db, identity, keeper)
        return _planned(db, today)


def forfeit(path: Path, identity: str, keeper: Keeper, today: date) -> Forfeit:
    """Record that the budgets of all days that could have been charged are given up, and start a new witness.

    A witness that does not hold is kept beside the new one. What was broken off is completed by doing it again.

    Parameters
    ----------
    path
        The restored ledger, or a path where there is none any more.
    identity
        Whose ledger it is.
    keeper
        The operator's key, and the path of the witness.
    today
        The current local day, or any later one.

    Returns
    -------
    Forfeit
        As it is in the chain.

    Raises
    ------
    UsageProblem
        If the witness is there and holds; nothing is changed.
    LedgerProblem
        If the ledger is in use or does not hold; nothing is changed.
    """
    _require_lost(identity, keeper)
    with locked(path, identity) as db, reporting(path), closing(Held(keeper.witness)) as kept:
        anchoring.require_own(db, identity, keeper)
        kept.take()
        verify(path)
        record = _planned(db, today)
        if record.sequence > rows.head_of(db)[0]:
            with rows.transaction(db):
                _append(db, record, identity, keeper)
        if keeper.witness.exists():
            witness_file.set_aside(keeper.witness)
        witness.rewrite(db, identity, keeper, kept)
    return record


def _planned(db: sqlite3.Connection, today: date) -> Forfeit:
    """Return the forfeit to record; or the last entry, if it is one that goes far enough."""
    days, position = [today], rows.head_of(db)
    if anchor := rows.anchor_of(db):
        days += [anchor.recorded_on, anchor.first_day - timedelta(days=1)]
    (charged,) = db.execute("SELECT max(first_day) FROM spent WHERE length = ?", (DAY,)).fetchone()
    if charged:
        days.append(date.fromisoformat(charged))
    last = rows.last_record(db)
    if last:
        days.append(last.recorded_on)
    return _next(position, last, max(days), today)


def _next(position: Position, last: Record | None, last_day: date, today: date) -> Forfeit:
    if last_day > _LAST_DAY:
        raise UsageProblem(
            f"{last_day} is later than any day of a ledger", todo=f"give a day up to {_LAST_DAY}"
        )
    first_day = last_day + timedelta(days=MONTH)
    if isinstance(last, Forfeit) and last.first_day >= first_day:
        return last
    sequence, previous = position
    return Forfeit(sequence=sequence + 1, previous=previous, first_day=first_day, recorded_on=today)


def _append(db: sqlite3.Connection, record: Forfeit, identity: str, keeper: Keeper) -> None:
    raw = record.to_bytes()
    head = head_after(raw)
    rows.put(db, record, Line(raw, head, keeper.sign(identity, record.sequence, head)))


def _require_lost(identity: str, keeper: Keeper) -> None:
    """Refuse if there is a witness that holds."""
    if not holds(identity, keeper):
        return
    raise UsageProblem(
        f"the witness {keeper.witness} is there and holds",
        means="it has every charge, so no budget need be given up; nothing was changed",
        todo="run quorate-node ledger restore; only if this is itself an old copy, move it away first",
    )


def holds(identity: str, keeper: Keeper) -> bool:
    """Return whether there is a witness of at least one entry that is one chain, signed at its end."""
    try:
        with witness_file.reading(keeper.witness) as items:
            return sum(1 for _item in witness.chained(items, identity, keeper)) > 0
    except LedgerProblem:
        return False
