"""Contributions: one for each order, with the same receipt every time."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete

from hub import leases
from hub.errors import Conflict
from hub.life import COMMITTED, ENDED, LATE, REFUSED
from hub.models import Contribution, Piece
from hub.pieces import Pieces, lock_task, own_task, refused, release_of
from hub.trail import About, write
from quorate.contract.identity import Identity


@dataclass(frozen=True)
class Given:
    """A contribution that was judged: what the database keeps of it, and its bytes."""

    row: Contribution
    data: bytes


class Uploads(Pieces):
    """Contributions of operators, beside the pieces of those that are being uploaded."""

    def accepted(self, operator: str, order_digest: str) -> tuple[str, bytes] | None:
        """Return (digest, receipt) of the contribution that was accepted for an order, if there is one."""
        with self._session(reading=True) as session:
            own_task(session, operator, order_digest)
            contribution = session.get(Contribution, order_digest)
            return (contribution.result_sha256, contribution.receipt) if contribution else None

    def accept(self, node: Identity, token: bytes, given: Given) -> bytes:
        """Store a contribution of a node's operator once, with its line in the audit trail.

        Returns the receipt that holds: the first one's, if it came twice.

        Raises
        ------
        LeaseLost
            If the caller does not hold the order.
        Conflict
            If a contribution with another digest was accepted before.
        """
        row = given.row
        self._objects.put(given.data)
        with self._session() as session:
            lock_task(session, row.order_digest)
            task = own_task(session, node.name, row.order_digest)
            before = session.get(Contribution, row.order_digest)
            if before is not None:
                if before.result_sha256 != row.result_sha256:
                    raise Conflict("another contribution was accepted for this order")
                return before.receipt
            if task.state == REFUSED:
                raise refused()
            leases.require(task, token)
            session.add(row)
            session.execute(delete(Piece).where(Piece.order_digest == row.order_digest))
            # What comes after the end is kept and receipted, but is in no estimate.
            ended = release_of(session, task.release_id, lock=True).state in ENDED
            task.state = LATE if ended else COMMITTED
            what = f"{row.length} bytes, SHA-256 {row.result_sha256}"
            write(session, node.uri, "accepted a contribution", what, About(order_digest=row.order_digest))
        self._objects.drop_pieces(row.order_digest)
        return row.receipt
