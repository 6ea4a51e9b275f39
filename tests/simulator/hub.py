"""A hub whose process can die at any call and is made anew from its database and its files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from hub.access import require_role
from hub.bell import Bell
from hub.callers import caller
from hub.config import Agreement
from hub.database import sqlite_at
from hub.failures import Failures
from hub.federation import Federation
from hub.life import ENDED
from hub.objects import Objects
from hub.releases import advance, go_on
from hub.store import Store
from privacy.ledger.request import Seam
from quorate.contract.identity import Identity

LEASE_SECONDS = 60


class HubDied(BaseException):
    """The hub's process ends in the middle of a call."""


class Files(Objects):
    """The hub's files, with a named point after each that is written and before each that goes."""

    def __init__(self, root: Path, seam: Seam) -> None:
        super().__init__(root)
        self._seam = seam

    def put(self, data: bytes) -> str:
        digest = super().put(data)
        self._seam("file kept")
        return digest

    def put_pieces(self, upload: str, name: str, pieces: Sequence[bytes]) -> None:
        super().put_pieces(upload, name, pieces)
        self._seam("file kept")

    def drop_pieces(self, upload: str) -> None:
        self._seam("pieces left")
        super().drop_pieces(upload)


class Told(Failures):
    """Raises what the hub would only log."""

    def tell(self, name: str, what: str, error: Exception) -> None:
        raise error


class Hub:
    """One hub.

    Parameters
    ----------
    own
        What it works by.
    root
        Directory of its database and files.
    clock
        Returns seconds since the epoch.

    Attributes
    ----------
    dies_at
        Name of the point at which the next call ends the process; empty for none.
    """

    def __init__(self, own: Agreement, root: Path, clock: Callable[[], float]) -> None:
        self.own, self.root, self.dies_at = own, root, ""
        self._clock = clock
        self._start()

    def _start(self) -> None:
        files = Files(self.root / "objects", self._reach)
        self.store = Store(sqlite_at(self.database), files, clock=self._clock)
        self.store.sweep()
        # Renewals make certificates, which nothing here asks for.
        self.federation = Federation(self.own, self.store, Bell(), cast("Any", None), LEASE_SECONDS)

    @property
    def database(self) -> Path:
        """The database of releases, orders and ledgers."""
        return self.root / "hub.db"

    def _reach(self, point: str) -> None:
        if point == self.dies_at:
            raise HubDied(point)

    def restart(self) -> None:
        """Throw away what is in memory and begin from what was committed."""
        self.dies_at = ""
        self.close()
        self._start()

    def close(self) -> None:
        """Give the database back."""
        self.store.close()

    async def handle(self, who: Identity, method: str, request: Any) -> Any:
        """Answer a call as the hub does after it has looked at the caller's certificate."""
        require_role(method, who, self.own.charter)
        caller.set(who)
        return await getattr(self.federation, method.rsplit("/", 1)[1])(request, cast("Any", None))

    def advance(self) -> list[str]:
        """End what is due, and offer second rounds; return which releases have ended."""
        ended = advance(self.own, self.store, Told())
        changed = go_on(self.own, self.store, Told())
        return ended + [name for name in changed if self.store.view(name).state in ENDED]

    def back_up(self, copy: Path) -> None:
        """Copy database and files as they are now."""
        self._replace(copy, self.root)

    def restore(self, copy: Path) -> None:
        """Go back to a copy and begin from it."""
        self._replace(self.root, copy)

    def _replace(self, there: Path, by: Path) -> None:
        self.close()
        with suppress(FileNotFoundError):
            shutil.rmtree(there)
        shutil.copytree(by, there)
        self._start()
