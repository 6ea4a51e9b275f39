"""Raise a restored ledger to a copy of it that is kept elsewhere: charges are added, never changed or removed.

The witness comes first, as in `restore`. What the copy has beyond both is added after it; whoever asks for the copy
answers for the operator's own signature over its end. The head at the end commits to everything before it, so a copy
that leaves out, changes or adds an entry does not get here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from privacy.ledger import anchoring, cut, problems, rows, witness
from privacy.ledger.anchor import Position
from privacy.ledger.cut import Progress, no_progress
from privacy.ledger.entry import head_after
from privacy.ledger.files import locked, reporting
from privacy.ledger.forfeit import Record, record_of
from privacy.ledger.keeper import Keeper
from privacy.ledger.restore import adopt, follow
from privacy.ledger.running import Running
from privacy.ledger.verify import Span, check
from privacy.ledger.witness_file import Line
from privacy.ledger.witness_held import Held

#: Returns the head after an entry of the ledger; None if the ledger does not have it, or has it no more.
HeadAt = Callable[[int], str | None]


@dataclass(frozen=True)
class Copied:
    """What a copy of a ledger has.

    Attributes
    ----------
    entries
        Beyond where the ledger ends, in order; none if the copy ends before.
    end
        Where the copy ends.
    """

    entries: Sequence[bytes]
    end: Position


#: Asks for a copy: gets where the ledger ends, and its heads.
Copy = Callable[[Position, HeadAt], Copied]


@dataclass(frozen=True)
class Raised:
    """How much was added to a ledger, or would be.

    Attributes
    ----------
    from_witness, from_copy
        Number of entries that came from either.
    entries, copied
        Number of entries that the ledger has then, and the copy.
    witnessed
        Whether there is a witness.
    """

    from_witness: int
    from_copy: int
    entries: int
    copied: int
    witnessed: bool


def end_of(after: Position, entries: Sequence[bytes]) -> Position:
    """Return where a chain ends that entries continue.

    Parameters
    ----------
    after
        Where the chain is before them.
    entries
        As they were hashed, in order.

    Raises
    ------
    LedgerProblem
        If they leave some out, go another way, or are not entries in canonical form.
    """
    position = after
    for raw in entries:
        record = _record(raw, position[0] + 1)
        if record.sequence != position[0] + 1:
            raise problems.copy_lacks(position[0] + 1)
        if record.previous != position[1]:
            raise problems.copy_forked(position[0])
        position = record.sequence, head_after(raw)
    return position


def raise_charges(
    path: Path,
    identity: str,
    keeper: Keeper,
    copy: Copy,
    *,
    dry_run: bool = False,
    progress: Progress = no_progress,
) -> Raised:
    """Add to a ledger the entries that its witness has beyond it, and those that a copy has beyond both.

    Their bytes are gone: they stay charged, and cannot be sent again by this node. It is one transaction; if anything
    does not hold, the ledger stays as it is. A witness that is there gets what it lacks.

    Parameters
    ----------
    path
        The restored ledger, or a path where there is none any more.
    identity
        Whose ledger it is.
    keeper
        The operator's key and witness; the witness may be missing, and stays so.
    copy
        Called once, while nobody else can open the ledger.
    dry_run
        Do everything, and then undo it.
    progress
        Called with what is being done.

    Raises
    ------
    LedgerProblem
        If the ledger is in use, or witness or copy do not hold or go another way.
    """
    ending = rows.undone if dry_run else rows.transaction
    with locked(path, identity) as db, reporting(path), closing(Held(keeper.witness)) as kept:
        anchoring.require_own(db, identity, keeper)
        cut.overwrite_deleted(db)
        with ending(db):
            began = rows.head_of(db)[0]
            if keeper.witness.exists():
                follow(db, identity, keeper, kept, progress)
            ours = rows.head_of(db)
            copied = copy(ours, partial(rows.head_at, db))
            _adopt_all(db, ours, copied.entries, identity, keeper)
            entries, witnessed = rows.head_of(db)[0], keeper.witness.exists()
        if not dry_run:
            cut.clean(db, progress)
            if witnessed:
                witness.meet(db, identity, keeper, kept)
    return Raised(ours[0] - began, entries - ours[0], entries, copied.end[0], witnessed)


def _adopt_all(
    db: sqlite3.Connection, after: Position, entries: Sequence[bytes], identity: str, keeper: Keeper
) -> None:
    """Add entries under a signature of their own each, and recompute all of them as `verify` does."""
    last, _head = end_of(after, entries)
    floor, charged = rows.floor_at(db, after[0] + 1), Running()
    for raw in entries:
        record, head = record_of(raw), head_after(raw)
        adopt(db, record, Line(raw, head, keeper.sign(identity, record.sequence, head)), charged)
    rows.add_totals(db, charged.totals().items())
    found = check(db, Span(after[0] + 1, last, after[1], floor))
    if found.problem:
        raise problems.copy_broken(found.problem)


def _record(raw: bytes, place: int) -> Record:
    try:
        record = record_of(raw)
        canonical = record.to_bytes()
    except ValueError:
        raise problems.copy_broken(f"entry {place}: it cannot be read") from None
    if canonical != raw:
        raise problems.copy_broken(f"entry {place}: it is not in canonical form")
    return record
