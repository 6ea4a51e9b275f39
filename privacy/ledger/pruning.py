"""Deletes what is older than a retention date, and keeps chain, budgets and witness whole.

In this order, each step complete before the next: the transaction that deletes entries, bytes and nonces and puts an
anchor in their place; a new witness that begins with the anchor; the file of the ledger written anew. What a crash
leaves undone is done by the next opening (witness) and the next pruning (file).
"""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from privacy.errors import UsageProblem
from privacy.ledger import cut, rows, witness
from privacy.ledger.anchor import Anchor, SignedAnchor, Totals, carried_beyond
from privacy.ledger.cut import Progress, no_progress
from privacy.ledger.entry import Entry
from privacy.ledger.files import locked, open_readable, reporting
from privacy.ledger.forfeit import Record
from privacy.ledger.keeper import Keeper
from privacy.ledger.running import Running
from privacy.ledger.verify import verify
from privacy.ledger.witness_held import Held


@dataclass(frozen=True)
class Pruned:
    """What a pruning deletes.

    Attributes
    ----------
    anchor
        What takes the place of the entries; None if nothing is to be deleted.
    entries, result_bytes
        Number of entries, and length of the noised bytes that go with them.
    kept_by
        Sequence of the first entry that is kept, as it reads the date or a later day; None if none is kept.
    totals
        What all that was pruned, now and before, has spent.
    """

    anchor: Anchor | None
    entries: int
    result_bytes: int
    kept_by: int | None
    totals: Totals


def would_prune(path: Path, before: date, today: date, progress: Progress = no_progress) -> Pruned:
    """Return what `prune` would delete; the ledger is opened read-only and may be in use.

    Raises
    ------
    UsageProblem
        If the date is not past, or there is no ledger.
    LedgerProblem
        If the ledger cannot be read.
    """
    _require_past(before, today)
    with open_readable(path) as db:
        return _plan(db, before, today, progress)


def prune(
    path: Path,
    identity: str,
    keeper: Keeper | None,
    before: date,
    today: date,
    *,
    progress: Progress = no_progress,
) -> Pruned:
    """Delete the longest beginning of the chain whose releases all read only days before a date.

    These days have no budget any more: what was deleted cannot be released again.

    Parameters
    ----------
    path
        The ledger; no other process may have it open.
    identity
        Whose ledger it is.
    keeper
        The operator's key and witness.
    before
        Retention date; not in the future.
    today
        The current local day.
    progress
        Called with what is being done.

    Raises
    ------
    UsageProblem
        If the date is in the future, or there is no ledger.
    LedgerProblem
        If the ledger is in use, does not hold, or does not agree with its witness; nothing is changed.
    ResourceProblem
        If the entries are deleted, but a later step failed; pruning again with the same date completes it.
    """
    _require_past(before, today)
    if not path.is_file():
        raise UsageProblem(f"there is no ledger at {path}", todo="start the node once, or correct --dir")
    with locked(path, identity) as db, reporting(path), ExitStack() as stack:
        if keeper:
            kept = stack.enter_context(closing(Held(keeper.witness)))
            witness.meet(db, identity, keeper, kept)
        # An anchor may only stand for entries that hold.
        verify(path, lambda done, all_: progress("verifying the ledger", done, all_))
        pruned = _plan(db, before, today, progress)
        if pruned.anchor:
            raw = pruned.anchor.to_bytes()
            signed = SignedAnchor(raw, keeper.sign_anchor(identity, raw) if keeper else b"")
            cut.overwrite_deleted(db)
            with rows.transaction(db):
                cut.cut(db, signed, pruned.totals, progress)
            if keeper:
                witness.rewrite(db, identity, keeper, kept)
        cut.clean(db, progress)
    return pruned


def _require_past(before: date, today: date) -> None:
    if before > today:
        raise UsageProblem(
            f"the retention date {before} is in the future",
            means="days that are still to come would lose their privacy budget, so nothing was changed",
            todo=f"give a date up to {today}",
        )


def _plan(db: sqlite3.Connection, before: date, today: date, progress: Progress) -> Pruned:
    former, (sequence, head) = rows.anchor_of(db), rows.begin_of(db)
    all_, begin = rows.head_of(db)[0] - sequence, sequence
    running, result_bytes, kept_by = Running(), 0, None
    for record, head_after in rows.records(db):
        if _last_day(record) >= before:
            kept_by = record.sequence
            break
        sequence, head = record.sequence, head_after
        if isinstance(record, Entry):
            running.add(record.charge)
            result_bytes += record.result_length
        progress("reading entries", sequence - begin, all_)
    totals = cut.carried_by(former, running)
    anchor = None
    if sequence > begin:
        first_day = max(before, former.first_day if former else before)
        carried = carried_beyond(totals, first_day)
        anchor = Anchor(
            sequence=sequence,
            head=head,
            first_day=first_day,
            carried=tuple((length, first, nano) for (length, first), nano in carried.items()),
            recorded_on=today,
        )
    return Pruned(anchor, sequence - begin, result_bytes, kept_by, totals)


def _last_day(record: Record) -> date:
    """Return the last day that must keep a record: one that it reads, or one without a budget."""
    return record.charge.last_day if isinstance(record, Entry) else record.first_day - timedelta(days=1)
