"""Opening the ledger's database: by one writer at a time, or read-only by anybody of the operator."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path

from privacy.errors import LedgerProblem, ResourceProblem, UsageProblem
from privacy.ledger import problems

SCHEMA_VERSION = 2
#: SQLite's application id of a ledger ("QLgr").
APPLICATION_ID = 0x514C6772
_TODO_OLD = (
    "it was written before the first release of Quorate, and its budgets are those of a trial: "
    "move it and its witness away, and the node starts afresh"
)


class Lock:
    """Keeps other writers away from a ledger until it is closed.

    Raises
    ------
    LedgerProblem
        If another process has the ledger open, or it has a second name.
    UsageProblem
        If the place is not one where a ledger can be.
    """

    def __init__(self, path: Path) -> None:
        require_path(path)
        self._path = path
        # The real path, so that a link to the ledger is the same ledger.
        self._beside = f"{os.path.realpath(path)}.lock"
        self._file: tuple[int, int] | None = None
        try:
            self._handle = os.open(self._beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _no_place(path, error) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            require_one_name(path)
        except BlockingIOError as error:
            self.close()
            raise LedgerProblem(
                f"the privacy ledger {path} is open in another process",
                means="two daemons on one ledger could each spend the same budget, so the second does not start",
                todo="stop the other quorate-node, or start this one in its own directory",
            ) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let other writers in."""
        os.close(self._handle)

    def bind(self) -> None:
        """Note which file the ledger is, once it is there."""
        self._file = file_at(self._path)
        self.require_kept()

    def require_kept(self) -> None:
        """Refuse to go on if the ledger or the lock was moved, replaced or linked meanwhile (LedgerProblem).

        A lock file that is deleted keeps nobody away any more, and a file under two names has two locks and two logs.
        """
        held = os.fstat(self._handle)
        if file_at(self._beside) != (held.st_dev, held.st_ino) or file_at(self._path) != self._file:
            raise problems.ledger_moved(self._path)
        require_one_name(self._path)


def require_one_name(path: Path) -> None:
    """Refuse a ledger that is one file under several names (LedgerProblem)."""
    # The file is looked at by its name, never opened: closing a handle of it would drop SQLite's own locks.
    try:
        names = path.stat().st_nlink if path.is_file() else 1
    except OSError as error:
        raise _no_place(path, error) from error
    if names > 1:
        raise LedgerProblem(
            f"the privacy ledger {path} is one file with {names} names (hard links)",
            means="a process could open it under each name and spend the same budget, so it is not used",
            todo="copy it if a copy is wanted, and remove the other names",
        )


def file_at(path: Path | str) -> tuple[int, int] | None:
    """Return which file is at a path, as (device, inode); None if there is none or it cannot be reached."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def require_path(path: Path) -> None:
    """Refuse a path that the system cannot be asked about (UsageProblem)."""
    if "\0" in str(path):
        raise UsageProblem(
            f"there can be no file at {str(path)!r}: it has a null character", todo="correct the path"
        )


def _no_place(path: Path, error: OSError) -> UsageProblem:
    return UsageProblem(
        f"there can be no ledger at {path}: {error.strerror}", todo="correct the path or its permissions"
    )


@contextmanager
def opened(path: Path, identity: str) -> Iterator[tuple[sqlite3.Connection, Lock]]:
    """Keep other writers away and open a ledger; make it if there is none.

    Raises
    ------
    LedgerProblem
        If another process has it open, or it is damaged, something else, or somebody else's.
    UsageProblem
        If the place is not one where a ledger can be.
    """
    with closing(Lock(path)) as lock, closing(open_writable(path, identity)) as db:
        lock.bind()
        yield db, lock


@contextmanager
def locked(path: Path, identity: str) -> Iterator[sqlite3.Connection]:
    """Open a ledger as `opened` does, for one thing that is done to it."""
    with opened(path, identity) as (db, _lock):
        yield db


def open_writable(path: Path, identity: str) -> sqlite3.Connection:
    """Open a ledger, and make it if there is none.

    Raises
    ------
    LedgerProblem
        If the file is damaged, something else, or somebody else's.
    """
    with reporting(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        # Whoever opens it sees to it that its threads take turns.
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            if _is_blank(db):
                _create(db, identity)
            # Before the first pragma that writes, so that nobody else's file is changed.
            require_owner(db, path, identity)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            db.close()
            raise
    return db


@contextmanager
def open_readable(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a ledger read-only, as it is at one moment; it may be in use.

    Raises
    ------
    UsageProblem
        If there is no ledger.
    LedgerProblem
        If it cannot be read.
    """
    with reporting(path):
        if not path.is_file():
            raise UsageProblem(f"there is no ledger at {path}", todo="start the node once, or correct --dir")
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            _require_ledger(db, path)
            db.execute("BEGIN")
            yield db
        finally:
            db.close()


@contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say into what an operator can act upon."""
    require_path(path)
    try:
        yield
    except sqlite3.ProgrammingError as error:
        raise LedgerProblem(
            f"the privacy ledger {path} is closed",
            means="nothing was charged and nothing was sent; the file itself may well hold",
            todo="start the node again; if it comes again, report it as a defect",
        ) from error
    except sqlite3.DatabaseError as error:
        # Without a name, or with that of any wrong statement: the tables or texts are not a ledger's.
        name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
        if name == "SQLITE_TOOBIG":
            raise ResourceProblem(
                f"the release is too long to be stored in the privacy ledger {path} ({name})",
                means="nothing was charged and nothing was sent",
                todo="ask for fewer cells, or for a shorter period",
            ) from error
        if isinstance(error, sqlite3.OperationalError) and name != "SQLITE_ERROR":
            raise ResourceProblem(
                f"the privacy ledger {path} cannot be used now ({name})",
                means="nothing was charged and nothing was sent",
                todo="make room on the disk or repair it, then start the node again",
            ) from error
        raise LedgerProblem(
            f"{path} cannot be read as a privacy ledger ({name})",
            means="without a ledger nothing can be released",
            todo="stop the node and run quorate-node ledger restore --from BACKUP, which also moves what is "
            "left beside the file; without a backup, move ledger.db* away and run quorate-node ledger restore",
        ) from error
    except OSError as error:
        raise _no_place(path, error) from error


def _is_blank(db: sqlite3.Connection) -> bool:
    """Return whether this is a new file: without tables, and without another application's mark."""
    tables = db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    return not tables and db.execute("PRAGMA application_id").fetchone() == (0,)


def _create(db: sqlite3.Connection, identity: str) -> None:
    """Make the tables in one transaction, so that a crash here leaves no ledger without an owner."""
    schema = files("privacy.ledger").joinpath("schema.sql").read_text(encoding="utf-8")
    db.execute("BEGIN IMMEDIATE")
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for statement in schema.split(";\n"):
        db.execute(statement)
    db.execute("INSERT INTO ledger VALUES (1, ?, ?)", (SCHEMA_VERSION, identity))
    db.execute("COMMIT")


def _require_ledger(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise LedgerProblem(
            f"{path} is a database of something else, not a privacy ledger",
            todo="point the node at its own ledger",
        )
    row = db.execute("SELECT version FROM ledger").fetchone()
    if row and row[0] != SCHEMA_VERSION:
        raise LedgerProblem(
            f"{path} is a ledger of version {row[0]}; this software reads version {SCHEMA_VERSION}",
            means="nothing in it was changed, and nothing can be released",
            todo=_TODO_OLD if row[0] < SCHEMA_VERSION else "install the software that wrote it",
        )


def require_owner(db: sqlite3.Connection, path: Path, identity: str) -> None:
    """Refuse what is no ledger, or somebody else's (LedgerProblem)."""
    _require_ledger(db, path)
    version, owner = db.execute("SELECT version, identity FROM ledger").fetchone() or ("none", "nobody")
    if owner != identity:
        raise LedgerProblem(
            f"{path} is version {version} of {owner}; expected version {SCHEMA_VERSION} of {identity}",
            means="its budgets are somebody else's, so it is not used",
            todo="point the node at its own ledger",
        )
