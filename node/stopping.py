"""How a daemon is stopped: what waits is woken, what computes is given up, what is being written is finished."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopped(Exception):
    """The daemon was asked to stop."""


class Stopping:
    """Whether a daemon was asked to stop, and what ends then.

    Asking raises nothing in the daemon's thread, so nothing is left half written. The daemon looks at `asked` before
    it begins something.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._ends: list[Callable[[], object]] = []

    def ask_on_sigterm(self) -> None:
        """Have SIGTERM ask; the main thread must call this.

        A thread asks: Python runs a signal handler in the middle of what the main thread does, which may hold a lock
        that asking needs.
        """
        told, told_to = socket.socketpair()
        told_to.setblocking(False)

        def wait() -> None:
            while number := told.recv(1):
                if number[0] == signal.SIGTERM:
                    self.ask()

        threading.Thread(target=wait, name="stopping", daemon=True).start()
        signal.set_wakeup_fd(told_to.detach())
        signal.signal(signal.SIGTERM, lambda *_: None)

    def ask(self) -> None:
        """Ask, and end what can be ended."""
        self.asked.set()
        for end in tuple(self._ends):
            end()

    def require_going(self) -> None:
        """Raise Stopped if the daemon was asked to stop."""
        if self.asked.is_set():
            raise Stopped

    @contextmanager
    def ending(self, end: Callable[[], object]) -> Iterator[None]:
        """Have something ended as soon as the daemon is asked to stop; at once, if it was."""
        self._ends.append(end)
        try:
            if self.asked.is_set():
                end()
            yield
        finally:
            self._ends.remove(end)
