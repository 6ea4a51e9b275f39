"""Uploads and contributions: pieces in order, one contribution for each order, the same receipt every time.

A file is there before the transaction that names it, so that what the database says is there is there. A row that is
decided about is locked first, so that several hubs can work on one database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, Row, bindparam, delete, func, insert, select
from sqlalchemy.orm import Session

from hub import leases
from hub.certificates import Certificates
from hub.database import Database
from hub.errors import Conflict, HubRefusal, Malformed, NotFound
from hub.invitations import Invitations
from hub.life import ANSWERED, COMMITTED, ENDED, LATE, OFFERED, REFUSED
from hub.models import Contribution, Piece, Release, Task
from hub.objects import Objects


@dataclass(frozen=True)
class Held:
    """What the hub holds of one order's contribution: the order itself, and the bytes so far."""

    payload: bytes
    data: bytes


@dataclass(frozen=True)
class Given:
    """A contribution that was judged: what the database keeps of it, and its bytes."""

    row: Contribution
    data: bytes


#: Whose order it is, its state, how many bytes are held, and the piece at a place if there is one. One question, put
#: together once, because it is asked for every piece.
_PLACE = select(
    Task.operator,
    Task.state,
    Task.lease_token,
    select(func.coalesce(func.max(Piece.position + Piece.length), 0))
    .where(Piece.order_digest == bindparam("order"))
    .scalar_subquery()
    .label("held"),
    select(Piece.length)
    .where(Piece.order_digest == bindparam("order"), Piece.position == bindparam("offset"))
    .scalar_subquery()
    .label("length"),
    select(Piece.sha256)
    .where(Piece.order_digest == bindparam("order"), Piece.position == bindparam("offset"))
    .scalar_subquery()
    .label("sha256"),
).where(Task.order_digest == bindparam("order"))
_ADD = insert(Piece).values(
    order_digest=bindparam("order"),
    position=bindparam("offset"),
    length=bindparam("length"),
    sha256=bindparam("sha256"),
)


class Uploads:
    """Uploads and contributions of operators.

    Parameters
    ----------
    database
        Address of the database; its tables are made if they are not there.
    objects
        The hub's files.
    migrate
        As of `Database`.

    Raises
    ------
    UsageProblem, ResourceProblem
        As `Database`.
    """

    def __init__(self, database: str | URL, objects: Objects, *, migrate: bool = True) -> None:
        self._database, self._objects = Database(database, migrate=migrate), objects
        self._session = self._database.session
        self.certificates = Certificates(self._database)
        self.invitations = Invitations(self._database)

    @property
    def database(self) -> Database:
        """Where names are kept."""
        return self._database

    def close(self) -> None:
        """Give every connection back."""
        self._database.close()

    def order(self, operator: str, order_digest: str) -> bytes:
        """Return an order of this operator."""
        with self._session(reading=True) as session:
            return own_task(session, operator, order_digest).payload

    def put_chunk(  # noqa: PLR0917 - what is put, where, by whom
        self, operator: str, order_digest: str, token: bytes, offset: int, data: bytes, digest: str = ""
    ) -> int:
        """Keep a piece and return how many bytes are held without a gap; `digest` is its SHA-256, if it is known.

        A piece that is held outlives this process. The disk is not waited for before the contribution is accepted.

        Raises
        ------
        LeaseLost
            If the caller does not hold the order.
        Conflict
            If other bytes were put at this offset.
        Malformed
            If there would be a gap.
        """
        digest = digest or _digest(data)
        place = {"order": order_digest, "offset": offset}
        # Nothing is written for a piece that would be refused anyway.
        with self._session(reading=True) as session:
            at = _at(session, operator, token, place)
            held = self._room(session, at, place, data, digest)
        if at.state not in ANSWERED:
            # Also one that is held already: its file may have been lost.
            self._objects.put_piece(order_digest, offset, data, digest)
        if held is not None:
            return held
        with self._session(passing=True) as session:
            lock_task(session, order_digest)
            held = self._room(session, _at(session, operator, token, place), place, data, digest)
            if held is not None:
                return held
            session.execute(_ADD, place | {"length": len(data), "sha256": digest})
            return offset + len(data)

    def _room(
        self, session: Session, at: Row[Any], place: Mapping[str, Any], data: bytes, digest: str
    ) -> int | None:
        """Return how many bytes are held if this piece is among them, None if it is the next one."""
        if at.state == REFUSED:
            raise _refused()
        if at.state in ANSWERED:
            return self._again(session.get_one(Contribution, place["order"]), place["offset"], data)
        if at.length is not None:
            if (at.length, at.sha256) != (len(data), digest):
                raise Conflict("other bytes were put at this place before")
            return int(at.held)
        if place["offset"] != at.held:
            raise Malformed(f"the next piece must start at {at.held}", todo="send from there")
        return None

    def _again(self, contribution: Contribution, offset: int, data: bytes) -> int:
        """Hold a piece against the contribution that was accepted."""
        accepted = self._objects.get(contribution.result_sha256)
        if accepted[offset : offset + len(data)] != data:
            raise Conflict("other bytes were accepted for this order")
        return contribution.length

    def held(self, operator: str, order_digest: str) -> Held:
        """Return an order of this operator and the bytes that were put for it."""
        with self._session(reading=True) as session:
            task = own_task(session, operator, order_digest)
            pieces = session.scalars(
                select(Piece).where(Piece.order_digest == order_digest).order_by(Piece.position)
            ).all()
        found = list[bytes]()
        for piece in pieces:
            data = self._objects.find_piece(order_digest, piece.position, piece.sha256)
            if data is None:
                self._give_up_from(order_digest, piece.position)
                raise HubRefusal(
                    "a piece of this contribution was lost with the hub's machine",
                    todo="put the pieces again",
                )
            found.append(data)
        return Held(task.payload, b"".join(found))

    def _give_up_from(self, order_digest: str, position: int) -> None:
        """Forget the pieces from a place on, so that they are asked for again."""
        with self._session() as session:
            lock_task(session, order_digest)
            lost = delete(Piece).where(Piece.order_digest == order_digest, Piece.position >= position)
            session.execute(lost)

    def accepted(self, operator: str, order_digest: str) -> tuple[str, bytes] | None:
        """Return (digest, receipt) of the contribution that was accepted for an order, if there is one."""
        with self._session(reading=True) as session:
            own_task(session, operator, order_digest)
            contribution = session.get(Contribution, order_digest)
            return (contribution.result_sha256, contribution.receipt) if contribution else None

    def accept(self, operator: str, token: bytes, given: Given) -> bytes:
        """Store a contribution once; return the receipt that holds (the first one's, if it came twice).

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
            task = own_task(session, operator, row.order_digest)
            before = session.get(Contribution, row.order_digest)
            if before is not None:
                if before.result_sha256 != row.result_sha256:
                    raise Conflict("another contribution was accepted for this order")
                return before.receipt
            _require_not_refused(task)
            leases.require(task, token)
            session.add(row)
            session.execute(delete(Piece).where(Piece.order_digest == row.order_digest))
            # What comes after the end is kept and receipted, but is in no estimate.
            ended = release_of(session, task.release_id, lock=True).state in ENDED
            task.state = LATE if ended else COMMITTED
        self._objects.drop_pieces(row.order_digest)
        return row.receipt

    def sweep(self) -> int:
        """Give up pieces of uploads that are over, which a hub that died left behind; return how many uploads."""
        uploads = self._objects.uploads()
        with self._session(reading=True) as session:
            over = [name for name in uploads if session.get(Contribution, name) is not None]
        for name in over:
            self._objects.drop_pieces(name)
        return len(over)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def lock_task(session: Session, order_digest: str) -> None:
    """Keep other hubs from deciding about an order until this transaction ends; SQLite has one writer anyway."""
    session.scalar(select(Task.order_digest).where(Task.order_digest == order_digest).with_for_update())


def own_task(session: Session, operator: str, order_digest: str) -> Task:
    """Return an order of this operator; somebody else's order is as unknown as none."""
    task = session.get(Task, order_digest)
    if task is None or task.operator != operator:
        raise _unknown()
    return task


def _at(session: Session, operator: str, token: bytes, place: Mapping[str, Any]) -> Row[Any]:
    """Return what is known of a place in the upload of this operator's order, which is leased under this token."""
    found = session.execute(_PLACE, place).first()
    if found is None or found.operator != operator:
        raise _unknown()
    if found.state == OFFERED:
        leases.require(found, token)
    return found


def _require_not_refused(task: Task) -> None:
    if task.state == REFUSED:
        raise _refused()


def _refused() -> HubRefusal:
    return HubRefusal("this operator has refused the order", todo="ask for a revision of the release")


def _unknown() -> NotFound:
    return NotFound("this operator has no such order", todo="acquire the order again")


def release_of(session: Session, release_id: str, *, lock: bool = False) -> Release:
    """Return a release, locked until this transaction ends if it is to be decided about (NotFound)."""
    release = session.get(Release, release_id, with_for_update=lock or None)
    if release is None:
        raise NotFound(f"there is no release {release_id}", todo="request it first")
    return release
