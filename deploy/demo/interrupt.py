"""Ctrl-C that is never lost: Python drops the exception of a signal that comes inside a library's callback."""

from __future__ import annotations

import signal
import threading

_asked = threading.Event()


def listen() -> None:
    """Raise KeyboardInterrupt at Ctrl-C, and remember it."""
    signal.signal(signal.SIGINT, _handle)


def require_none() -> None:
    """Raise KeyboardInterrupt if Ctrl-C came before and its exception was lost."""
    if _asked.is_set():
        raise KeyboardInterrupt


def forget() -> None:
    """Ctrl-C was answered."""
    _asked.clear()


def _handle(_signal: int, _frame: object) -> None:
    _asked.set()
    raise KeyboardInterrupt
