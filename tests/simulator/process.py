"""A process that goes on only when a test says so, from one named point to the next, and can be killed at each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from privacy.errors import QuorateError

Pause = Callable[[str], None]
#: Where a process is before its first step, and after its last one.
BEGUN, ENDED = "begun", "ended"
#: Nothing that one step does takes as long as this.
_PATIENCE = 60.0


class Crash(BaseException):
    """The process ends here, without warning."""


class Process:
    """Work in a thread of its own; of all such threads and the test's, one runs at a time.

    Parameters
    ----------
    work
        What is done. It calls what it is given with the name of each point that it comes to, and waits there.

    Attributes
    ----------
    at
        The point where it waits.
    problem
        What it ended with, if that explains itself; any other error is raised by the step that met it.
    """

    def __init__(self, work: Callable[[Pause], object]) -> None:
        self.at, self.problem = BEGUN, None
        self._killed, self._error = False, None
        self._go, self._back = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._back.acquire()
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    at: str
    problem: QuorateError | None
    _error: BaseException | None

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.at != ENDED

    def step(self) -> None:
        """Let it come to its next point, or to its end."""
        self._go.release()
        if not self._back.acquire(timeout=_PATIENCE):
            raise AssertionError(f"the process does not come on from {self.at!r}")
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def kill(self) -> None:
        """End it where it is; what it has not committed is as if it had not begun."""
        if self.running:
            self._killed = True
            self.step()
        self._thread.join(_PATIENCE)

    def pause(self, point: str) -> None:
        """Wait at a point; the work calls this. For other threads there is nothing to wait for."""
        if threading.current_thread() is not self._thread:
            return
        self.at = point
        self._back.release()
        self._go.acquire()
        if self._killed:
            raise Crash(point)

    def _run(self, work: Callable[[Pause], Any]) -> None:
        self._go.acquire()
        try:
            if not self._killed:
                work(self.pause)
        except Crash:
            pass
        except QuorateError as error:
            self.problem = error
        except BaseException as error:  # noqa: BLE001 - raised by the step that met it
            self._error = error
        self.at = ENDED
        self._back.release()
