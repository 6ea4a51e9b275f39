"""A scratch directory for one command.

Personal data may be spilled there, so what a killed command left is removed by the next.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = ".scratch-"


@contextmanager
def scratch_in(root: Path) -> Iterator[Path]:
    """Make a directory that exists as long as it is used, after removing those that nobody uses any more."""
    for left in root.glob(f"{_PREFIX}*"):
        if left.is_symlink() or not left.is_dir():
            continue
        with _held(left) as free:
            if free:
                shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=root, prefix=_PREFIX) as name, _held(Path(name)):
        yield Path(name)


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Hold the lock of a directory, which ends with the process; false if another process has it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)
