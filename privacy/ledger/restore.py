"""Bring a ledger that was restored from a backup up to its witness: charges are added, never removed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from privacy.ledger import anchoring, cut, problems, rows, witness, witness_file
from privacy.ledger.anchor import SignedAnchor, carried_beyond
from privacy.ledger.cut import Progress, no_progress
from privacy.ledger.entry import Entry
from privacy.ledger.files import locked, reporting
from privacy.ledger.forfeit import Record, record_of
from privacy.ledger.keeper import Keeper
from privacy.ledger.running import Running
from privacy.ledger.witness_file import Line, Numbered
from privacy.ledger.witness_held import Held


def restore(
    path: Path,
    identity: str,
    keeper: Keeper,
    *,
    progress: Progress = no_progress,
) -> int:
    """Add to a ledger the entries that its witness has beyond it; return how many.

    Their bytes are gone with the backup: they stay charged, and cannot be sent again by this node. What was pruned
    after the backup is pruned again.

    Parameters
    ----------
    path
        The restored ledger, or a path where there is none any more.
    identity
        Whose ledger it is.
    keeper
        The operator's key and witness.
    progress
        Called with what is being done.

    Raises
    ------
    LedgerProblem
        If the witness is damaged, or disagrees with the ledger; nothing is changed.
    UsageProblem
        If there is no witness.
    """
    if not keeper.witness.exists():
        raise problems.no_witness(keeper.witness)
    with locked(path, identity) as db, reporting(path), closing(Held(keeper.witness)) as kept:
        anchoring.require_own(db, identity, keeper)
        before = rows.head_of(db)[0]
        cut.overwrite_deleted(db)
        with rows.transaction(db):
            follow(db, identity, keeper, kept, progress)
        cut.clean(db, progress)
        return rows.head_of(db)[0] - before


def follow(db: sqlite3.Connection, identity: str, keeper: Keeper, kept: Held, progress: Progress) -> None:
    """Adopt what a witness has beyond a ledger, inside a transaction, after locking the witness (LedgerProblem)."""
    kept.take()
    if witness_file.is_torn(keeper.witness):
        raise problems.damaged(1)
    with witness_file.reading(keeper.witness) as items:
        _follow(db, _counted(items, progress), identity, keeper)


def _counted(items: Numbered, progress: Progress) -> Numbered:
    for number, item in items:
        progress(f"reading line {number:,} of the witness", 0, 0)
        yield number, item


def _follow(db: sqlite3.Connection, items: Numbered, identity: str, keeper: Keeper) -> None:
    """Walk along the whole witness: hold it against what the ledger has, and adopt what it lacks."""
    begin, held, charged = rows.begin_of(db), rows.head_of(db), Running()
    for number, position, item in witness.chained(items, identity, keeper):
        if isinstance(item, SignedAnchor):
            if witness.is_newer(item.document(), rows.anchor_of(db)):
                witness.require_signed(item, position, identity, keeper, number)
                _adopt_anchor(db, item)
                begin, held = rows.begin_of(db), rows.head_of(db)
        elif position[0] > held[0]:
            witness.require_signed(item, position, identity, keeper, number)
            _adopt_line(db, item, number, charged)
        elif position[0] >= begin[0]:
            witness.require_same(db, position)
    rows.add_totals(db, charged.totals().items())


def _adopt_line(db: sqlite3.Connection, line: Line, number: int, charged: Running) -> None:
    try:
        record = record_of(line.entry)
    except ValueError:
        raise problems.damaged(number) from None
    adopt(db, record, line, charged)


def adopt(db: sqlite3.Connection, record: Record, line: Line, charged: Running) -> None:
    """Add an entry without its bytes, which are gone; what it costs is added up in `charged`."""
    rows.put(db, record, line)
    if isinstance(record, Entry):
        db.execute("INSERT INTO lost VALUES (?)", (record.release_id,))
        charged.add(record.charge)


def _adopt_anchor(db: sqlite3.Connection, signed: SignedAnchor) -> None:
    """Prune a ledger as its witness was pruned after the backup."""
    anchor, held = signed.document(), rows.head_of(db)
    if anchor.sequence > held[0]:
        if cut.spends_more(db, anchor):
            raise problems.forked(held[0])
        cut.replace(db, signed)
        return
    witness.require_same(db, anchor.position)
    totals = cut.carried_by(rows.anchor_of(db), _charged_up_to(db, anchor.sequence))
    if carried_beyond(totals, anchor.first_day) != anchor.totals():
        raise problems.forked(anchor.sequence)
    cut.cut(db, signed, totals)


def _charged_up_to(db: sqlite3.Connection, sequence: int) -> Running:
    running = Running()
    for record, _head in rows.records(db):
        if record.sequence > sequence:
            break
        if isinstance(record, Entry):
            running.add(record.charge)
    return running
