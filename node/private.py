"""Files and directories that nobody but the node's user may look into."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from privacy.errors import ResourceProblem, UsageProblem
from quorate.contract.canonical import read_bytes

_OTHERS = 0o077


def read_secret(path: Path, risk: str) -> bytes:
    """Return what is in a file, if nobody else may read it.

    Parameters
    ----------
    path
        The file.
    risk
        What somebody could do who reads it.

    Raises
    ------
    UsageProblem
        If it cannot be read, or others may.
    """
    data = read_bytes(path)
    if stat.S_IMODE(path.stat().st_mode) & _OTHERS:
        raise UsageProblem(
            f"others may read the file {path}",
            means=risk,
            todo=f"run chmod 600 {path}, and consider a new secret",
        )
    return data


def own_directory(path: Path) -> Path:
    """Make a directory for the node's user alone, or refuse one that others may look into (UsageProblem)."""
    path.mkdir(mode=0o700, exist_ok=True)
    if stat.S_IMODE(path.stat().st_mode) & _OTHERS:
        raise UsageProblem(
            f"others may look into the directory {path}",
            means="personal data would be written there",
            todo=f"run chmod 700 {path}, and give it to the node alone",
        )
    return path


def keep_first(path: Path, data: bytes) -> bool:
    """Write a file for the node's user alone, whole or not at all, unless there is one; return whether that was done.

    Raises
    ------
    ResourceProblem
        If it cannot be written.
    """
    try:
        return _kept(path, data)
    except OSError as error:
        raise ResourceProblem(
            f"{path} cannot be written: {error.strerror}", todo="look at the disk and the permissions"
        ) from error


def _kept(path: Path, data: bytes) -> bool:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # A link fails where a name is taken; a rename would replace it.
        os.link(name, path)
    except FileExistsError:
        return False
    finally:
        Path(name).unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return True
