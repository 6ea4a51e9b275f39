"""Cuts the beginning of a ledger off and puts an anchor in its place, in the database alone.

What is added up of the pruned entries goes on counting: into the anchor for windows that reach into the days that
are kept, and out of the totals for all others, in which nothing can be charged any more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import date

from privacy.errors import ResourceProblem
from privacy.ledger import rows
from privacy.ledger.anchor import Anchor, SignedAnchor, Totals, carried_beyond
from privacy.ledger.running import Running

#: Called with what is done, and how much of how much of it.
Progress = Callable[[str, int, int], None]
_BATCH = 5_000
_OF_PRUNED = "WHERE release_id IN (SELECT release_id FROM entry WHERE sequence BETWEEN ? AND ?)"
#: The database's own number, set while deleted bytes may still be in the file.
_UNCLEAN = "PRAGMA user_version"


def no_progress(_what: str, _done: int, _all: int) -> None:
    """Do nothing."""


def carried_by(former: Anchor | None, pruned: Running) -> Totals:
    """Return what everything up to a cut has spent: carried over by the former anchor, and charged after it."""
    totals = pruned.totals()
    for window, nano in (former.totals() if former else {}).items():
        totals[window] = totals.get(window, 0) + nano
    return totals


def cut(
    db: sqlite3.Connection, signed: SignedAnchor, totals: Totals, progress: Progress = no_progress
) -> None:
    """Delete the entries up to an anchor with their bytes and nonces, and put the anchor in their place.

    Parameters
    ----------
    db
        A ledger that has the entry at which the anchor cuts, inside a transaction.
    signed
        The anchor.
    totals
        What everything up to the cut has spent, as `carried_by` returns it.
    progress
        Called with the number of entries that are deleted.
    """
    anchor = signed.document()
    kept = carried_beyond(totals, anchor.first_day)
    rows.add_totals(db, ((window, -nano) for window, nano in totals.items() if window not in kept))
    db.execute("DELETE FROM spent WHERE nano = 0")
    first = rows.begin_of(db)[0] + 1
    for start in range(first, anchor.sequence + 1, _BATCH):
        span = start, min(start + _BATCH - 1, anchor.sequence)
        for table in ("nonce", "result", "lost"):
            db.execute(f"DELETE FROM {table} {_OF_PRUNED}", span)  # noqa: S608
        db.execute("DELETE FROM entry WHERE sequence BETWEEN ? AND ?", span)
        progress("deleting entries", span[1] - first + 1, anchor.sequence - first + 1)
    _put(db, signed)


def replace(db: sqlite3.Connection, signed: SignedAnchor) -> None:
    """Put an anchor in the place of everything that a ledger has, inside a transaction."""
    for table in ("nonce", "result", "lost", "entry", "spent"):
        db.execute(f"DELETE FROM {table}")  # noqa: S608
    rows.add_totals(db, signed.document().totals().items())
    _put(db, signed)


def _put(db: sqlite3.Connection, signed: SignedAnchor) -> None:
    db.execute("INSERT OR REPLACE INTO anchor VALUES (1, ?, ?)", (signed.anchor, signed.signature))
    db.execute(f"{_UNCLEAN} = 1")


def spends_more(db: sqlite3.Connection, anchor: Anchor) -> bool:
    """Return whether a ledger has charged, to a window that an anchor carries on, what the anchor does not carry."""
    carried = anchor.totals()
    stored: Totals = {}
    for length, first, nano in db.execute("SELECT length, first_day, nano FROM spent"):
        stored[int(length), date.fromisoformat(first)] = int(nano)
    return any(
        nano > carried.get(window, 0) for window, nano in carried_beyond(stored, anchor.first_day).items()
    )


def overwrite_deleted(db: sqlite3.Connection) -> None:
    """Have what is deleted from now on overwritten with zeros."""
    db.execute("PRAGMA secure_delete = ON")


def clean(db: sqlite3.Connection, progress: Progress = no_progress) -> None:
    """Write the file anew without what was deleted, if anything was; to be repeated if it is broken off.

    Overwriting with zeros is not enough: pages that the database has split keep copies of their former content.

    Raises
    ------
    ResourceProblem
        If there is no room for a second copy, or another process is reading the ledger all the time.
    """
    if db.execute(_UNCLEAN).fetchone()[0] == 0:
        return
    db.set_progress_handler(lambda: progress("writing the file anew", 0, 0), 1_000_000)
    try:
        db.execute("VACUUM")
        busy, _pages, _moved = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise _unclean("another process is reading the ledger", "end what is reading it")
        db.execute(f"{_UNCLEAN} = 0")
    except sqlite3.OperationalError as error:
        raise _unclean(
            f"the file of the ledger cannot be written anew ({error.sqlite_errorname})",
            "make room for a second copy of the ledger, beside it and where SQLite keeps temporary files",
        ) from error
    finally:
        db.set_progress_handler(None, 0)


def _unclean(what: str, todo: str) -> ResourceProblem:
    return ResourceProblem(
        f"the entries are deleted, but {what}",
        means="their bytes may still be in its file or in the log beside it",
        todo=f"{todo}, then run quorate-node ledger prune again",
    )
