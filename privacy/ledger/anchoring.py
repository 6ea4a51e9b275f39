"""Whether the anchor in a ledger's database may be trusted: signed, and carrying what its witness adds up to.

Whoever can write to the database can put any anchor there, and an anchor takes the place of charges. So it counts
only with the operator's signature; and before the witness's own lines are given up for it, they are added up.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from privacy.ledger import cut, problems, rows
from privacy.ledger.anchor import Anchor, Position, SignedAnchor, carried_beyond
from privacy.ledger.entry import Entry
from privacy.ledger.forfeit import record_of
from privacy.ledger.keeper import Keeper, anchor_statement
from privacy.ledger.running import Running
from privacy.ledger.witness_file import Item


def require_own(db: sqlite3.Connection, identity: str, keeper: Keeper) -> None:
    """Refuse a ledger whose anchor was not signed with the operator's key (LedgerProblem)."""
    signed = rows.signed_anchor(db)
    if signed and not keeper.signed(signed.signature, anchor_statement(identity, signed.anchor)):
        raise problems.unsigned_anchor()


def require_carried(items: Iterator[tuple[int, Position, Item]], anchor: Anchor) -> None:
    """Refuse an anchor that carries something else than what the lines of a witness add up to (LedgerProblem).

    Parameters
    ----------
    items
        All lines of the witness, as `privacy.ledger.witness.chained` yields them.
    anchor
        Of the ledger; it cuts off more than the witness's own.
    """
    former, running = None, Running()
    for number, position, item in items:
        if isinstance(item, SignedAnchor):
            former = item.document()
        elif position[0] <= anchor.sequence:
            try:
                record = record_of(item.entry)
            except ValueError:
                raise problems.damaged(number) from None
            if isinstance(record, Entry):
                running.add(record.charge)
            if position[0] == anchor.sequence and position != anchor.position:
                raise problems.forked(anchor.sequence)
    if carried_beyond(cut.carried_by(former, running), anchor.first_day) != anchor.totals():
        raise problems.forked(anchor.sequence)
