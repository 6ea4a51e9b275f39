"""What operators publish of their ledgers: every entry, and the heads that they signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hub.chain import Link, forked, unknown
from hub.errors import HubRefusal
from hub.models import LedgerEntry, LedgerHead
from hub.pieces import own_task
from hub.uploads import Uploads
from privacy.ledger.anchor import Position
from privacy.ledger.entry import GENESIS
from privacy.terms import Terms
from quorate.contract.order import TaskOrder
from quorate.contract.statements import LAST_ENTRY, Head, fitting


@dataclass(frozen=True)
class Charged:
    """What an order asks for, and the ledger entry that charges it, as it was hashed."""

    terms: Terms
    entry: bytes


class Ledgers(Uploads):
    """The hub's copies of the operators' ledgers, beside what they upload."""

    def ledger_head(self, operator: str) -> Position:
        """Return where the hub's copy of an operator's ledger ends."""
        with self._session(reading=True) as session:
            return _end(session, operator)

    def ledger_entries(self, operator: str, after: int, most: int) -> list[bytes]:
        """Return at most so many entries of the hub's copy after a sequence, in order."""
        with self._session(reading=True) as session:
            query = (
                select(LedgerEntry.entry)
                .where(LedgerEntry.operator == operator, LedgerEntry.sequence > after)
                .order_by(LedgerEntry.sequence)
                .limit(most)
            )
            return list(session.scalars(query))

    def ledger_page(self, operator: str, after: int, most: int) -> tuple[list[bytes], bytes | None]:
        """Return as many entries after a sequence as fit into a message, and the signed head after the last."""
        after = min(after, LAST_ENTRY)
        with self._session(reading=True) as session:
            # Lengths first: a ledger of large entries is not read into memory to be cut to a page.
            query = (
                select(LedgerEntry.sequence, func.length(LedgerEntry.entry))
                .where(LedgerEntry.operator == operator, LedgerEntry.sequence > after)
                .order_by(LedgerEntry.sequence)
                .limit(most)
            )
            found = session.execute(query).all()
        if not found:
            return [], None
        count = fitting(length for _sequence, length in found)
        return self.ledger_entries(operator, after, count), self.published_head(operator, found[count - 1][0])

    def published_head(self, operator: str, sequence: int) -> bytes | None:
        """Return the signed head of a sequence, if one was published."""
        with self._session(reading=True) as session:
            found = session.get(LedgerHead, (operator, sequence))
            return found.statement if found else None

    def charged(self, operator: str, order_digest: str) -> Charged:
        """Return what an order of this operator asks for, with the published entry that charges it.

        Raises
        ------
        NotFound
            If this operator has no such order.
        HubRefusal
            If there is no such entry yet: nothing is accepted before its charge is published.
        """
        with self._session(reading=True) as session:
            payload = own_task(session, operator, order_digest).payload
            terms = TaskOrder.from_bytes(payload, "the stored order").terms
            query = select(LedgerEntry.entry).where(
                LedgerEntry.operator == operator, LedgerEntry.release_id == terms.release_id()
            )
            found = session.scalars(query).first()
        if found is None:
            raise HubRefusal(
                "the charge of this release was not published",
                means="the hub takes nothing before the ledger's head that carries its charge",
                todo="publish the head of the ledger first",
            )
        return Charged(terms, found)

    def publish(self, head: Head, links: Sequence[Link], statement: bytes) -> bytes:
        """Keep a head and the entries since the last one; return the statement that is kept of this head.

        Parameters
        ----------
        head
            As the operator signed it.
        links
            Entries up to and with that of the head; none if they are known.
        statement
            The head with both signatures.

        Raises
        ------
        Conflict
            If the ledger is not the one that was published before.
        HubRefusal
            If entries are missing in between, or the head is not that of the last entry.
        """
        try:
            return self._publish(head, links, statement)
        except IntegrityError:
            # Somebody published at the same time; the same is there now, or another one, which shows.
            return self._publish(head, links, statement)

    def _publish(self, head: Head, links: Sequence[Link], statement: bytes) -> bytes:
        with self._session() as session:
            # The end first: what is published between the two questions shows among the heads, or when it is added.
            end = _end(session, head.operator)
            heads = _heads(session, head.operator, [*(link.sequence for link in links), head.sequence])
            new = unknown(links, end, heads)
            session.add_all(
                LedgerEntry(
                    operator=head.operator,
                    sequence=link.sequence,
                    head=link.head,
                    release_id=link.release_id,
                    entry=link.entry,
                )
                for link in new
            )
            heads |= {link.sequence: link.head for link in new} | {0: GENESIS}
            _require_known(head, heads)
            kept = session.get(LedgerHead, (head.operator, head.sequence))
            if kept is not None:
                return kept.statement
            session.add(LedgerHead(operator=head.operator, sequence=head.sequence, statement=statement))
            return statement


def _require_known(head: Head, heads: dict[int, str]) -> None:
    if head.sequence not in heads:
        raise HubRefusal("the head is of an entry that was not published", todo="publish the entries with it")
    if heads[head.sequence] != head.head:
        raise forked(head.sequence)


def _end(session: Session, operator: str) -> Position:
    query = (
        select(LedgerEntry.sequence, LedgerEntry.head)
        .where(LedgerEntry.operator == operator)
        .order_by(LedgerEntry.sequence.desc())
        .limit(1)
    )
    row = session.execute(query).first()
    return (row[0], row[1]) if row else (0, GENESIS)


def _heads(session: Session, operator: str, sequences: Sequence[int]) -> dict[int, str]:
    """Return the known heads in a range of sequences."""
    query = select(LedgerEntry.sequence, LedgerEntry.head).where(
        LedgerEntry.operator == operator, LedgerEntry.sequence.between(min(sequences), max(sequences))
    )
    return {row.sequence: row.head for row in session.execute(query)}
