"""Holds the file of the witness while a ledger is open: no other process writes to it, and any change of it shows."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

from privacy.ledger import problems, witness_file
from privacy.ledger.files import file_at
from privacy.ledger.witness_file import Line


class Held:
    """The witness at a path, locked from `take` on.

    Parameters
    ----------
    path
        Of the witness; there need not be one yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None
        self._state: witness_file.State | None = None

    def take(self) -> bool:
        """Lock the file that is at the path now, and note how it is; return whether there is one.

        Raises
        ------
        LedgerProblem
            If another process holds it.
        ResourceProblem
            If it cannot be opened.
        """
        with witness_file.usable(self.path):
            if self._handle is None or file_at(self.path) != witness_file.state_of(self._handle)[:2]:
                self.close()
                try:
                    self._handle = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
                except FileNotFoundError:
                    return False
                self._lock(self._handle)
            self._state = witness_file.state_of(self._handle)
        return True

    def _lock(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise problems.witness_in_use(self.path) from None
        if file_at(self.path) != witness_file.state_of(handle)[:2]:
            self.close()
            raise problems.witness_changed(self.path)

    def append(self, lines: Iterable[Line]) -> int:
        """Append lines durably to the very file that is held, if it is as it was left; return how many."""
        if self._handle is None:
            raise problems.witness_changed(self.path)
        count = witness_file.append(self.path, lines, self._state)
        self._state = witness_file.state_of(self._handle)
        return count

    def close(self) -> None:
        """Let other processes have it."""
        handle, self._handle, self._state = self._handle, None, None
        if handle is not None:
            os.close(handle)
