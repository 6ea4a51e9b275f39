"""Copies of a ledger: a backup of one that may be in use, and putting a backup in the ledger's place."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from privacy.errors import ResourceProblem, UsageProblem
from privacy.ledger.files import Lock, open_readable, reporting, require_owner
from privacy.ledger.verify import Progress, no_progress, verify

#: Files that SQLite keeps beside a database; those of another ledger would be mixed into a copy.
_BESIDE = ("-wal", "-shm")


def backup(path: Path, target: Path) -> int:
    """Copy a ledger as it is at one moment into a new file; return the number of its bytes.

    The file alone is not the ledger: what was committed last is in SQLite's log beside it.

    Parameters
    ----------
    path
        The ledger; it may be in use.
    target
        The new file, for its owner alone.

    Raises
    ------
    UsageProblem
        If there is no ledger, or the target exists or cannot be made.
    LedgerProblem
        If the ledger cannot be read.
    ResourceProblem
        If the disk of the target is full.
    """
    if target.exists():
        raise UsageProblem(
            f"{target} is there already", means="a backup is never overwritten", todo="give it another name"
        )
    with open_readable(path) as db:
        _copy(db, target)
    return target.stat().st_size


def put_back(path: Path, identity: str, copy: Path, progress: Progress = no_progress) -> int:
    """Put a backup that holds in the ledger's place; what is there is moved aside, its log included.

    What was released since the backup is missing afterwards: `restore` adds the charges from the witness.

    Parameters
    ----------
    path
        The ledger; nobody may have it open.
    identity
        Whose ledger it is.
    copy
        The backup, which stays as it is.
    progress
        Called with the number of entries checked so far, and of all.

    Returns
    -------
    int
        Number of entries of the backup.

    Raises
    ------
    UsageProblem
        If there is no backup, or a ledger was moved aside before and is still there.
    LedgerProblem
        If the backup does not hold or is somebody else's, or the ledger is in use; nothing is changed then.
    ResourceProblem
        If the disk is full; nothing is changed then.
    """
    with closing(Lock(path)):
        if replaced(path).exists():
            raise UsageProblem(
                f"{replaced(path)} is there: a ledger that was replaced before",
                means="it may have results that no backup has, so it is not overwritten",
                todo="look whether it is still needed, and move it away",
            )
        entries, _head = verify(copy, progress)
        fresh = path.with_name(f".{path.name}.fresh")
        fresh.unlink(missing_ok=True)
        with open_readable(copy) as db:
            require_owner(db, copy, identity)
            _copy(db, fresh)
        _move_aside(path)
        fresh.replace(path)
        _sync(path.parent)
    return entries


def replaced(path: Path) -> Path:
    """Return where a ledger is moved when a backup takes its place."""
    return path.with_name(f"{path.name}.replaced")


def _move_aside(path: Path) -> None:
    for beside in (*_BESIDE, ""):
        old = path.with_name(path.name + beside)
        if old.exists():
            old.replace(replaced(path).with_name(replaced(path).name + beside))


def _copy(db: sqlite3.Connection, target: Path) -> None:
    """Make a new file of a database, whole and on the disk, or none."""
    fresh = target.with_name(f".{target.name}.part")
    try:
        os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
        with reporting(target), closing(sqlite3.connect(fresh)) as out:
            db.backup(out)
            # One file, also while it is read.
            out.execute("PRAGMA journal_mode = DELETE")
        _sync(fresh)
        fresh.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise UsageProblem(
            f"{target} cannot be written: {error.strerror}", todo="choose another place"
        ) from error
    except ResourceProblem as error:
        raise ResourceProblem(
            f"{target} cannot be written: its disk is full or fails",
            means="there is no backup",
            todo="make room, or choose another place",
        ) from error
    finally:
        for left in (fresh, *(fresh.with_name(fresh.name + beside) for beside in (*_BESIDE, "-journal"))):
            left.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
