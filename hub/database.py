"""The hub's database, SQLite or PostgreSQL: connections, transactions, and the way to this version's tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from privacy.errors import ResourceProblem, UsageProblem

_READING, _PASSING = "quorate_reading", "quorate_passing"
_SQLITE, _POSTGRES = "sqlite", "postgresql+psycopg"
#: Any number that nothing else in this database locks.
_MIGRATING = 7_302_291_115


class Database:
    """The hub's database, with the tables of this version.

    Parameters
    ----------
    address
        `sqlite:///path` or `postgresql+psycopg://user@host/name`, or its parts.
    migrate
        Whether tables are made, or brought to this version; otherwise they must be of this version.

    Raises
    ------
    UsageProblem
        If it is no such address, or no database that this version can use.
    ResourceProblem
        If the server cannot be reached.
    """

    def __init__(self, address: str | URL, *, migrate: bool = True) -> None:
        url = url_of(address)
        self._engine = _engine(url)
        # SQLite has one writer. Threads that wait for it there look again now and then; here they are woken.
        self._turn: AbstractContextManager[object] = Lock() if url.drivername == _SQLITE else nullcontext()
        try:
            self._open(url, migrate)
        except BaseException:
            self.close()
            raise

    def _open(self, url: URL, migrate: bool) -> None:
        try:
            with self._engine.execution_options(**{_READING: not migrate}).begin() as connection:
                if migrate:
                    _migrate(connection)
                else:
                    _require_current(connection, url)
        except OperationalError as error:
            if url.drivername == _SQLITE:
                raise _not_usable(url) from error
            raise ResourceProblem(
                f"the hub's database at {url.host} cannot be reached",
                todo="start it, or correct the address in hub.toml",
            ) from error
        except CommandError as error:
            raise UsageProblem(
                f"{_shown(url)} was made by another version of the hub",
                todo="install that version, or a later one",
            ) from error
        except DatabaseError as error:
            raise _not_usable(url) from error

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()

    @contextmanager
    def session(self, *, reading: bool = False, passing: bool = False) -> Iterator[Session]:
        """Begin a transaction, which ends with the block: well, or not at all.

        Parameters
        ----------
        reading
            Nothing is written.
        passing
            What is written outlives this process, but the disk is not waited for: it may be gone if the machine
            fails before a transaction that is not passing.

        Raises
        ------
        ResourceProblem
            If the database cannot be used now; the call can be repeated.
        """
        engine = self._engine.execution_options(**{_READING: reading, _PASSING: passing})
        try:
            with (
                nullcontext() if reading else self._turn,
                Session(engine, expire_on_commit=False) as session,
                session.begin(),
            ):
                if passing and session.get_bind().dialect.name == "postgresql":
                    session.execute(text("SET LOCAL synchronous_commit = off"))
                yield session
        except (OperationalError, InterfaceError) as error:
            raise ResourceProblem(
                "the hub's database cannot be used now",
                todo="look at the disk of the hub, or at the database's server; the call can be repeated",
            ) from error


def in_utc(at: datetime) -> datetime:
    """Return a stored time with its zone: SQLite forgets that it is UTC, PostgreSQL tells it in the session's."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def sqlite_at(path: Path) -> URL:
    """Return the address of a file, whatever characters its path has."""
    return URL.create(_SQLITE, database=str(path))


def url_of(address: str | URL) -> URL:
    """Return the parts of an address (UsageProblem if it is none of a kind that the hub can use)."""
    try:
        url = make_url(address)
    except ArgumentError:
        url = None
    if url is None or url.drivername not in {_SQLITE, _POSTGRES}:
        raise UsageProblem(
            "the address of the hub's database is neither sqlite:///path nor postgresql+psycopg://…",
            todo="correct database in hub.toml, or --database",
        )
    return url


def _shown(url: URL) -> str:
    return url.database or "" if url.drivername == _SQLITE else url.render_as_string(hide_password=True)


def _not_usable(url: URL) -> UsageProblem:
    return UsageProblem(
        f"{_shown(url)} cannot be used as the hub's database", todo="restore it from its backup"
    )


def _engine(url: URL) -> Engine:
    if url.drivername == _SQLITE:
        engine = create_engine(url, connect_args={"timeout": 30})
        event.listen(engine, "connect", _on_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        # A connection that the server has closed is found out before it is used.
        return create_engine(url, pool_pre_ping=True)
    except ImportError as error:
        raise UsageProblem(
            "PostgreSQL cannot be used without psycopg", todo="install quorate with the extra postgres"
        ) from error


def _on_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # BEGIN is ours, below; sqlite3 would start deferred transactions that can fail on upgrade.
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Begin a transaction: a writer takes its lock at once, a reader none that keeps a writer waiting."""
    options = connection.get_execution_options()
    if options.get(_READING, False):
        connection.exec_driver_sql("BEGIN")
        return
    level = "NORMAL" if options.get(_PASSING, False) else "FULL"
    connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(connection: Connection) -> None:
    """Bring a database to this version, one process at a time."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _require_current(connection: Connection, url: URL) -> None:
    found = MigrationContext.configure(connection).get_current_heads()
    if set(found) != set(ScriptDirectory.from_config(_config()).get_heads()):
        raise UsageProblem(
            f"{_shown(url)} has the tables of another version of the hub",
            todo="start this version's hub once, which brings them to it, or use the version that made them",
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "hub:migrations")
    return config
