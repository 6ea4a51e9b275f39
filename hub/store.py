"""The hub's state in a database: every method is one transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, delete, event, func, select
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session

from hub.errors import Conflict, HubRefusal, Malformed, NotFound
from hub.life import ANSWERED, COLLECTING, COMMITTED, ENDED, LATE, OFFERED, REFUSED
from hub.models import AuditLine, Base, Chunk, Contribution, Release, Task
from privacy.errors import ResourceProblem, UsageProblem

_READING = "quorate_reading"


@dataclass(frozen=True)
class NewTask:
    """An order that is about to be offered."""

    order_digest: str
    operator: str
    payload: bytes


@dataclass(frozen=True)
class Held:
    """What the hub holds of one order's contribution: the order itself, and the bytes so far."""

    payload: bytes
    data: bytes


@dataclass(frozen=True)
class ReleaseView:
    """A release as it is shown: state, and (operator, state, refusal) of each task."""

    release_id: str
    product: str
    state: str
    tasks: tuple[tuple[str, str, str], ...]


class Store:
    """Releases, tasks, contributions and the audit trail.

    Parameters
    ----------
    path
        SQLite database; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._engine = _engine(path)
        try:
            Base.metadata.create_all(self._engine)
        except DatabaseError as error:
            raise UsageProblem(
                f"{path} cannot be used as the hub's database", todo="restore it from its backup"
            ) from error

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()

    @contextmanager
    def _session(self, *, reading: bool = False) -> Iterator[Session]:
        engine = self._engine.execution_options(**{_READING: reading})
        try:
            with Session(engine, expire_on_commit=False) as session, session.begin():
                yield session
        except OperationalError as error:
            raise ResourceProblem(
                "the hub's database cannot be used now",
                todo="look at the disk of the hub; the call can be repeated",
            ) from error

    def audit(self, who: str, what: str, detail: str) -> None:
        """Append a line to the audit trail."""
        with self._session() as session:
            session.add(AuditLine(at=datetime.now(UTC), who=who[:200], what=what[:100], detail=detail[:500]))

    def audit_lines(self) -> list[tuple[str, str, str, str]]:
        """Return the audit trail: when, who, what, detail."""
        with self._session(reading=True) as session:
            lines = session.scalars(select(AuditLine).order_by(AuditLine.number))
            return [
                (line.at.replace(tzinfo=UTC).isoformat(timespec="seconds"), line.who, line.what, line.detail)
                for line in lines
            ]

    def open_release(self, release: Release, tasks: list[NewTask]) -> bool:
        """Store a release with its tasks; return False if it is there already."""
        with self._session() as session:
            if session.get(Release, release.release_id):
                return False
            session.add(release)
            session.flush()
            session.add_all(
                Task(
                    order_digest=task.order_digest,
                    release_id=release.release_id,
                    operator=task.operator,
                    payload=task.payload,
                    state=OFFERED,
                )
                for task in tasks
            )
            return True

    def next_order(self, operator: str) -> bytes | None:
        """Return the oldest order that this operator has neither answered nor missed."""
        with self._session(reading=True) as session:
            query = (
                select(Task.payload)
                .join(Release)
                .where(Task.operator == operator, Task.state == OFFERED, Release.state == COLLECTING)
                .order_by(Release.deadline, Task.order_digest)
                .limit(1)
            )
            return session.scalars(query).first()

    def refuse(self, operator: str, order_digest: str, reason: str) -> None:
        """Note that an operator said no; a second time changes nothing."""
        with self._session() as session:
            task = _own_task(session, operator, order_digest)
            if task.state in ANSWERED:
                raise Conflict("this order was answered with a contribution before")
            task.state, task.refusal = REFUSED, task.refusal or reason

    def put_chunk(self, operator: str, order_digest: str, offset: int, data: bytes) -> int:
        """Keep a piece and return how many bytes are held without a gap.

        Raises
        ------
        Conflict
            If other bytes were put at this offset.
        Malformed
            If there would be a gap.
        """
        with self._session() as session:
            task = _own_task(session, operator, order_digest)
            _require_not_refused(task)
            if task.state in ANSWERED:
                contribution = session.get_one(Contribution, order_digest)
                if contribution.data[offset : offset + len(data)] != data:
                    raise Conflict("other bytes were accepted for this order")
                return len(contribution.data)
            held = (
                session.scalar(
                    select(func.coalesce(func.max(Chunk.offset + func.length(Chunk.data)), 0)).where(
                        Chunk.order_digest == order_digest
                    )
                )
                or 0
            )
            known = session.get(Chunk, (order_digest, offset))
            if known is not None:
                if known.data != data:
                    raise Conflict("other bytes were put at this place before")
                return int(held)
            if offset != held:
                raise Malformed(f"the next piece must start at {held}", todo="send from there")
            session.add(Chunk(order_digest=order_digest, offset=offset, data=data))
            return int(held) + len(data)

    def held(self, operator: str, order_digest: str) -> Held:
        """Return an order of this operator and the bytes that were put for it."""
        with self._session(reading=True) as session:
            task = _own_task(session, operator, order_digest)
            chunks = session.scalars(
                select(Chunk.data).where(Chunk.order_digest == order_digest).order_by(Chunk.offset)
            )
            return Held(task.payload, b"".join(chunks))

    def accepted(self, operator: str, order_digest: str) -> tuple[str, bytes] | None:
        """Return (digest, receipt) of the contribution that was accepted for an order, if there is one."""
        with self._session(reading=True) as session:
            _own_task(session, operator, order_digest)
            contribution = session.get(Contribution, order_digest)
            return (contribution.result_sha256, contribution.receipt) if contribution else None

    def accept(self, operator: str, contribution: Contribution) -> bytes:
        """Store a contribution once; return the receipt that holds (the first one's, if it came twice).

        Raises
        ------
        Conflict
            If a contribution with another digest was accepted before.
        """
        with self._session() as session:
            task = _own_task(session, operator, contribution.order_digest)
            before = session.get(Contribution, contribution.order_digest)
            if before is not None:
                if before.result_sha256 != contribution.result_sha256:
                    raise Conflict("another contribution was accepted for this order")
                return before.receipt
            _require_not_refused(task)
            session.add(contribution)
            session.execute(delete(Chunk).where(Chunk.order_digest == contribution.order_digest))
            # What comes after the end is kept and receipted, but is in no estimate.
            ended = _release(session, task.release_id).state in ENDED
            task.state = LATE if ended else COMMITTED
            return contribution.receipt

    def collecting(self) -> list[tuple[ReleaseView, bool]]:
        """Return the releases that wait for operators, each with whether its time is over."""
        with self._session(reading=True) as session:
            rows = session.scalars(select(Release).where(Release.state == COLLECTING)).all()
            return [(_view(session, row), row.deadline <= time.time()) for row in rows]

    def view(self, release_id: str) -> ReleaseView:
        """Return a release (NotFound if there is none)."""
        with self._session(reading=True) as session:
            return _view(session, _release(session, release_id))

    def releases(self) -> list[ReleaseView]:
        """Return every release, oldest first."""
        with self._session(reading=True) as session:
            return [
                _view(session, row) for row in session.scalars(select(Release).order_by(Release.deadline))
            ]

    def contributions(self, release_id: str) -> list[tuple[bytes, bytes]]:
        """Return (order, contribution) of every operator that answered, by operator."""
        with self._session(reading=True) as session:
            query = (
                select(Task.payload, Contribution.data)
                .join(Contribution, Contribution.order_digest == Task.order_digest)
                .where(Task.release_id == release_id)
                .order_by(Task.operator)
            )
            return [(payload, data) for payload, data in session.execute(query)]

    def end(self, release_id: str, state: str, estimates: bytes | None, answered: int) -> bool:
        """End a release, unless more operators have answered than were looked at; an ended one stays as it is.

        Parameters
        ----------
        release_id, state, estimates
            The release, and what becomes of it.
        answered
            Number of contributions that were there when this was decided.
        """
        with self._session() as session:
            release = _release(session, release_id)
            tasks = select(func.count()).where(Task.release_id == release_id, Task.state == COMMITTED)
            if release.state in ENDED or session.scalar(tasks) != answered:
                return False
            release.state, release.estimates = state, estimates
            return True

    def estimates(self, release_id: str) -> bytes | None:
        """Return the estimates of a release as an Arrow stream, or None if it has none (yet)."""
        with self._session(reading=True) as session:
            return _release(session, release_id).estimates


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    def on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        # SQLAlchemy's own BEGIN below; sqlite3 would start deferred transactions that can fail on upgrade.
        connection.isolation_level = None
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    """Begin a transaction: a writer takes its lock at once, a reader none that keeps a writer waiting."""
    reading = connection.get_execution_options().get(_READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _own_task(session: Session, operator: str, order_digest: str) -> Task:
    """Return an order of this operator; somebody else's order is as unknown as none."""
    task = session.get(Task, order_digest)
    if task is None or task.operator != operator:
        raise NotFound("this operator has no such order", todo="acquire the order again")
    return task


def _require_not_refused(task: Task) -> None:
    if task.state == REFUSED:
        raise HubRefusal("this operator has refused the order", todo="ask for a revision of the release")


def _release(session: Session, release_id: str) -> Release:
    release = session.get(Release, release_id)
    if release is None:
        raise NotFound(f"there is no release {release_id}", todo="request it first")
    return release


def _view(session: Session, release: Release) -> ReleaseView:
    tasks = session.scalars(select(Task).where(Task.release_id == release.release_id).order_by(Task.operator))
    return ReleaseView(
        release.release_id,
        release.product,
        release.state,
        tuple((task.operator, task.state, task.refusal) for task in tasks),
    )
