"""What the daemon is doing, in a file for its operator and for supervisors; it is never sent anywhere."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Literal

from privacy.errors import UsageProblem

log = logging.getLogger("quorate.node")
Doing = Literal["starting", "building", "waiting", "answering", "stopped"]


@dataclass(frozen=True)
class Progress:
    """What a daemon said of itself last.

    Attributes
    ----------
    doing
        What it does; a daemon that was killed did not say that it stopped.
    pid
        Its process.
    at
        When it said so: ISO 8601, UTC.
    contact
        When the hub answered last; empty if it did not yet.
    task
        Products and periods that it answers, with a semicolon between them; empty if it answers none.
    """

    doing: Doing
    pid: int
    at: str
    contact: str = ""
    task: str = ""


class ProgressFile:
    """Written whole at every change, so that a reader never finds half of it.

    Parameters
    ----------
    path
        Where it is.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._contact = path, ""
        self._answers, self._turn = list[str](), Lock()

    def contact(self) -> None:
        """Note that the hub answered."""
        self._contact = _now()
        self._working()

    @contextmanager
    def answering(self, task: str) -> Iterator[None]:
        """Note a product and period that is answered until the block ends."""
        self._answers.append(task)
        self._working()
        try:
            yield
        finally:
            self._answers.remove(task)
            self._working()

    def _working(self) -> None:
        self.note("answering" if self._answers else "waiting")

    def note(self, doing: Doing) -> None:
        """Say what the daemon does from now on."""
        found = Progress(doing, os.getpid(), _now(), self._contact, "; ".join(self._answers))
        fresh = self._path.with_name(f".{self._path.name}")
        try:
            with self._turn:
                fresh.write_text(json.dumps(asdict(found)) + "\n", encoding="utf-8")
                fresh.replace(self._path)
        except OSError as error:
            # The node goes on: an answer must not depend on whether somebody can read about it.
            log.warning("%s cannot be written (%s), so quorate-node status is out of date", self._path, error)


def progress_in(path: Path) -> Progress | None:
    """Return what a daemon said last, None if none has run here (UsageProblem if the file is something else)."""
    try:
        return Progress(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise UsageProblem(
            f"{path} is not what a node writes", todo="delete it; the node writes it again"
        ) from error


def runs(found: Progress) -> bool:
    """Return whether the daemon that said this is there."""
    if found.doing == "stopped":
        return False
    try:
        os.kill(found.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
