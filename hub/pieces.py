"""Pieces of contributions that are being uploaded: in order, without a gap, and the same again changes nothing.

A file is there before the transaction that names it, so that what the database says is there is there. A row that is
decided about is locked first, so that several hubs can work on one database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import URL, Row, bindparam, delete, func, insert, select
from sqlalchemy.orm import Session

from hub import leases
from hub.certificates import Certificates
from hub.database import Database
from hub.errors import Conflict, HubRefusal, Malformed, NotFound
from hub.invitations import Invitations
from hub.life import ANSWERED, OFFERED, REFUSED
from hub.models import Contribution, Piece, Release, Task
from hub.objects import Objects
from hub.packages import Packages


@dataclass(frozen=True)
class Put:
    """A piece that came: the place of its first byte in the whole, its bytes, and their SHA-256 in hexadecimal."""

    offset: int
    data: bytes
    sha256: str


@dataclass(frozen=True)
class Held:
    """What the hub holds of one order's contribution: the order itself, and the bytes so far."""

    payload: bytes
    data: bytes


#: Whose order it is, its state, its lease, and how many bytes are held; put together once, because it is asked often.
_UPLOAD = select(
    Task.operator,
    Task.state,
    Task.lease_token,
    select(func.coalesce(func.max(Piece.position + Piece.length), 0))
    .where(Piece.order_digest == bindparam("order"))
    .scalar_subquery()
    .label("held"),
).where(Task.order_digest == bindparam("order"))
_BETWEEN = select(Piece.position, Piece.length, Piece.sha256).where(
    Piece.order_digest == bindparam("order"), Piece.position.between(bindparam("first"), bindparam("last"))
)
_ADD = insert(Piece).values(
    order_digest=bindparam("order"),
    position=bindparam("offset"),
    length=bindparam("length"),
    sha256=bindparam("sha256"),
    file=bindparam("file"),
    at=bindparam("at"),
)


def missing(pieces: Sequence[Put], held: int, known: Mapping[int, tuple[int, str]]) -> list[Put]:
    """Return the pieces that are not held yet; each must continue what is held and what came before it.

    Parameters
    ----------
    pieces
        In the order in which they came.
    held
        Bytes held without a gap.
    known
        Length and SHA-256 of the pieces that are held, by place.

    Raises
    ------
    Conflict
        If other bytes are held at a place.
    Malformed
        If there would be a gap.
    """
    known, new = dict(known), list[Put]()
    for piece in pieces:
        told = len(piece.data), piece.sha256
        if piece.offset not in known:
            if piece.offset != held:
                raise Malformed(f"the next piece must start at {held}", todo="send from there")
            known[piece.offset] = told
            new.append(piece)
            held += len(piece.data)
        elif known[piece.offset] != told:
            raise Conflict("other bytes were put at this place before")
    return new


class Pieces:
    """Orders, and the pieces of contributions to them.

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
        self.packages = Packages(self._database)

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

    def put_pieces(self, operator: str, order_digest: str, token: bytes, pieces: Sequence[Put]) -> int:
        """Keep pieces and return how many bytes are held without a gap: all of them are kept, or none is.

        A piece that is held outlives this process. The disk is not waited for before the contribution is accepted.

        Raises
        ------
        LeaseLost
            If the caller does not hold the order.
        Conflict
            If other bytes were put at the place of one.
        Malformed
            If there would be a gap.
        """
        # Nothing is written for a piece that would be refused anyway.
        with self._session(reading=True) as session:
            upload = _upload(session, operator, order_digest, token)
            if upload.state in ANSWERED:
                return self._again(session.get_one(Contribution, order_digest), pieces)
            new = _missing(session, order_digest, upload, pieces)
        if not new:
            return int(upload.held)
        file, first = _file_of(new), new[0].offset
        self._objects.put_pieces(order_digest, file, [piece.data for piece in new])
        with self._session(passing=True) as session:
            lock_task(session, order_digest)
            upload = _upload(session, operator, order_digest, token)
            if upload.state in ANSWERED:
                return self._again(session.get_one(Contribution, order_digest), pieces)
            # Of those in the file alone: what was held before may have been given up since.
            new = _missing(session, order_digest, upload, new)
            if new:
                session.execute(_ADD, [_row(order_digest, piece, file, first) for piece in new])
            return int(upload.held) + sum(len(piece.data) for piece in new)

    def _again(self, contribution: Contribution, pieces: Sequence[Put]) -> int:
        """Hold pieces against the contribution that was accepted."""
        accepted = self._objects.get(contribution.result_sha256)
        if any(not accepted.startswith(piece.data, piece.offset) for piece in pieces):
            raise Conflict("other bytes were accepted for this order")
        return contribution.length

    def held(self, operator: str, order_digest: str) -> Held:
        """Return an order of this operator and the bytes that were put for it."""
        with self._session(reading=True) as session:
            task = own_task(session, operator, order_digest)
            pieces = session.scalars(
                select(Piece).where(Piece.order_digest == order_digest).order_by(Piece.position)
            ).all()
        files = {
            name: self._objects.find_pieces(order_digest, name) for name in {piece.file for piece in pieces}
        }
        found = [memoryview(files[piece.file])[piece.at : piece.at + piece.length] for piece in pieces]
        for piece, data in zip(pieces, found, strict=True):
            if hashlib.sha256(data).hexdigest() != piece.sha256:
                self._give_up_from(order_digest, piece.position)
                raise HubRefusal(
                    "a piece of this contribution was lost with the hub's machine",
                    todo="put the pieces again",
                )
        return Held(task.payload, b"".join(found))

    def _give_up_from(self, order_digest: str, position: int) -> None:
        """Forget the pieces from a place on, so that they are asked for again."""
        with self._session() as session:
            lock_task(session, order_digest)
            lost = delete(Piece).where(Piece.order_digest == order_digest, Piece.position >= position)
            session.execute(lost)

    def sweep(self) -> int:
        """Give up pieces of uploads that are over, which a hub that died left behind; return how many uploads."""
        uploads = self._objects.uploads()
        with self._session(reading=True) as session:
            over = [name for name in uploads if session.get(Contribution, name) is not None]
        for name in over:
            self._objects.drop_pieces(name)
        return len(over)


def _upload(
    session: Session, operator: str, order_digest: str, token: bytes
) -> Row[tuple[str, str, str, int]]:
    """Return what is known of the upload of this operator's order, which is leased under this token."""
    found = session.execute(_UPLOAD, {"order": order_digest}).first()
    if found is None or found.operator != operator:
        raise _unknown()
    if found.state == OFFERED:
        leases.require(found, token)
    if found.state == REFUSED:
        raise refused()
    return found


def _missing(
    session: Session, order_digest: str, upload: Row[tuple[str, str, str, int]], pieces: Sequence[Put]
) -> list[Put]:
    places = [piece.offset for piece in pieces]
    if min(places) >= upload.held:
        return missing(pieces, upload.held, {})
    rows = session.execute(_BETWEEN, {"order": order_digest, "first": min(places), "last": max(places)})
    return missing(pieces, upload.held, {row.position: (row.length, row.sha256) for row in rows})


def _file_of(pieces: Sequence[Put]) -> str:
    """Name a file by the place and the digests of the pieces in it: other bytes are another file."""
    digests = hashlib.sha256("".join(piece.sha256 for piece in pieces).encode()).hexdigest()
    return f"{pieces[0].offset:012d}-{digests}"


def _row(order_digest: str, piece: Put, file: str, first: int) -> dict[str, object]:
    return {
        "order": order_digest,
        "offset": piece.offset,
        "length": len(piece.data),
        "sha256": piece.sha256,
        "file": file,
        "at": piece.offset - first,
    }


def lock_task(session: Session, order_digest: str) -> None:
    """Keep other hubs from deciding about an order until this transaction ends; SQLite has one writer anyway."""
    if session.get_bind().dialect.name != "sqlite":
        session.scalar(select(Task.order_digest).where(Task.order_digest == order_digest).with_for_update())


def own_task(session: Session, operator: str, order_digest: str) -> Task:
    """Return an order of this operator; somebody else's order is as unknown as none."""
    task = session.get(Task, order_digest)
    if task is None or task.operator != operator:
        raise _unknown()
    return task


def refused() -> HubRefusal:
    """Return what is raised of an order that its operator has refused."""
    return HubRefusal("this operator has refused the order", todo="ask for a revision of the release")


def _unknown() -> NotFound:
    return NotFound("this operator has no such order", todo="acquire the order again")


def release_of(session: Session, release_id: str, *, lock: bool = False) -> Release:
    """Return a release, locked until this transaction ends if it is to be decided about (NotFound)."""
    release = session.get(Release, release_id, with_for_update=lock or None)
    if release is None:
        raise NotFound(f"there is no release {release_id}", todo="request it first")
    return release
