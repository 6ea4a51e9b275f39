"""The hub's state: every method is one transaction. What is large lies in files that the database names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hub.config import Home, load_config
from hub.database import sqlite_at
from hub.leases import is_live
from hub.life import COLLECTING, COMMITTED, ENDED, ESTIMATED, LEASED, OFFERED, PLANNED
from hub.models import Contribution, Release, Task
from hub.objects import Objects
from hub.pieces import release_of
from hub.tasks import Tasks
from hub.trail import NOTHING, About, Wanted, append, lines


@dataclass(frozen=True)
class NewTask:
    """An order that is about to be offered."""

    order_digest: str
    operator: str
    payload: bytes


@dataclass(frozen=True)
class Asked:
    """What an office asked for: a product, a period and a revision."""

    release_id: str
    product: str
    first_day: date
    last_day: date
    revision: int


@dataclass(frozen=True)
class ReleaseView:
    """A release as it is shown: state, and (operator, state, refusal) of each task."""

    release_id: str
    product: str
    state: str
    tasks: tuple[tuple[str, str, str], ...]


class Store(Tasks):
    """Releases and the audit trail, beside what is the operators'."""

    def audit(self, who: str, what: str, detail: str, on: About = NOTHING) -> None:
        """Append a line to the audit trail; `on` says which release or order it is about."""
        append(self.database, who, what, detail, on)

    def audit_lines(self) -> list[tuple[str, str, str, str]]:
        """Return the audit trail: when, who, what, detail."""
        return [
            (line["at"], line["who"], line["what"], line["detail"]) for line in lines(self.database, Wanted())
        ]

    def open_release(self, release: Release, tasks: list[NewTask]) -> bool:
        """Store a release with its tasks; return False if it is there already."""
        try:
            self._insert_release(release, tasks)
        except IntegrityError:
            # It is there, or another hub was faster.
            self.view(release.release_id)
            return False
        return True

    def _insert_release(self, release: Release, tasks: list[NewTask]) -> None:
        with self._session() as session:
            session.add(release)
            session.flush()
            _add_tasks(session, release.release_id, tasks)

    def planned(self) -> list[tuple[Asked, float]]:
        """Return the releases that wait for their first round, each with the seconds by which its time is over."""
        with self._session(reading=True) as session:
            rows = session.scalars(select(Release).where(Release.state == PLANNED)).all()
            now = self.clock()
            return [(_asked(row), now - row.deadline) for row in rows]

    def asked(self, release_id: str) -> Asked:
        """Return what was asked for with a release (NotFound if there is none)."""
        with self._session(reading=True) as session:
            return _asked(release_of(session, release_id))

    def offer(self, release_id: str, tasks: list[NewTask], seconds: float) -> bool:
        """Ask the operators for a planned release, and wait so long for them; False if another hub was faster."""
        with self._session() as session:
            release = release_of(session, release_id, lock=True)
            if release.state != PLANNED:
                return False
            release.state, release.deadline = COLLECTING, self.clock() + seconds
            _add_tasks(session, release_id, tasks)
            return True

    def collecting(self) -> list[tuple[ReleaseView, float]]:
        """Return the releases that wait for operators, each with the seconds by which its time is over."""
        with self._session(reading=True) as session:
            rows = session.scalars(select(Release).where(Release.state == COLLECTING)).all()
            now = self.clock()
            return [(_view(session, row, now), now - row.deadline) for row in rows]

    def view(self, release_id: str) -> ReleaseView:
        """Return a release (NotFound if there is none)."""
        with self._session(reading=True) as session:
            return _view(session, release_of(session, release_id), self.clock())

    def knows(self, release_id: str) -> bool:
        """Return whether there is a release."""
        with self._session(reading=True) as session:
            return session.get(Release, release_id) is not None

    def newest(self, product: str, days: tuple[date, date]) -> str | None:
        """Return the estimated release of a product and period with the highest revision, None without any."""
        query = (
            select(Release.release_id)
            .where(
                Release.product == product,
                Release.first_day == days[0],
                Release.last_day == days[1],
                Release.state == ESTIMATED,
            )
            .order_by(Release.revision.desc())
        )
        with self._session(reading=True) as session:
            return session.scalars(query).first()

    def releases(self) -> list[ReleaseView]:
        """Return every release, oldest first."""
        with self._session(reading=True) as session:
            rows, now = session.scalars(select(Release).order_by(Release.deadline)), self.clock()
            return [_view(session, row, now) for row in rows]

    def contributions(self, release_id: str) -> list[tuple[bytes, bytes]]:
        """Return (order, contribution) of every operator that answered in time, by operator."""
        with self._session(reading=True) as session:
            query = (
                select(Task.payload, Contribution.result_sha256)
                .join(Contribution, Contribution.order_digest == Task.order_digest)
                .where(Task.release_id == release_id, Task.state == COMMITTED)
                .order_by(Task.operator)
            )
            found = [(payload, digest) for payload, digest in session.execute(query)]
        return [(payload, self._objects.get(digest)) for payload, digest in found]

    def end(self, release_id: str, state: str, estimates: bytes | None, answered: int) -> bool:
        """End a release, unless more operators have answered than were looked at; an ended one stays as it is.

        Parameters
        ----------
        release_id, state, estimates
            The release, and what becomes of it.
        answered
            Number of contributions that were there when this was decided.
        """
        digest = None if estimates is None else self._objects.put(estimates)
        with self._session() as session:
            release = release_of(session, release_id, lock=True)
            tasks = select(func.count()).where(Task.release_id == release_id, Task.state == COMMITTED)
            if release.state in ENDED or session.scalar(tasks) != answered:
                return False
            release.state, release.estimates_sha256 = state, digest
            return True

    def estimates(self, release_id: str) -> bytes | None:
        """Return the estimates of a release as an Arrow stream, or None if it has none (yet)."""
        with self._session(reading=True) as session:
            digest = release_of(session, release_id).estimates_sha256
        return None if digest is None else self._objects.get(digest)


def _add_tasks(session: Session, release_id: str, tasks: list[NewTask]) -> None:
    session.add_all(
        Task(
            order_digest=task.order_digest,
            release_id=release_id,
            operator=task.operator,
            payload=task.payload,
            state=OFFERED,
        )
        for task in tasks
    )


def _asked(release: Release) -> Asked:
    return Asked(release.release_id, release.product, release.first_day, release.last_day, release.revision)


def store_of(home: Home, database: str | None = None, *, migrate: bool = True) -> Store:
    """Open what `hub.toml` says, or the address of another database; `migrate` as of `Database`.

    Raises
    ------
    UsageProblem
        If there is a setting that cannot be used.
    ResourceProblem
        If the database cannot be reached.
    """
    config = load_config(home)
    address = database or config.database or sqlite_at(home.database)
    return Store(address, Objects(config.objects or home.objects), migrate=migrate)


def _view(session: Session, release: Release, now: float) -> ReleaseView:
    tasks = session.scalars(select(Task).where(Task.release_id == release.release_id).order_by(Task.operator))
    return ReleaseView(
        release.release_id,
        release.product,
        release.state,
        tuple((task.operator, _state(task, now), task.refusal) for task in tasks),
    )


def _state(task: Task, now: float) -> str:
    """Return the state of a task as it is now: one that somebody works at is leased."""
    return LEASED if is_live(task, now) else task.state
