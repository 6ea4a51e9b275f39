"""Kills a process before any statement to the database and before any write to a file, one after the other."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Any, NoReturn

_DIED, _ENDED = 77, 0
_WRITES = ("write", "fsync", "rename", "replace", "truncate", "ftruncate")


def dies_before(number: int, action: Callable[[], object]) -> bool:
    """Run an action in a copy of this process that is gone before its so-many-th step; return whether it died.

    A step is a statement of SQL, or a call that changes a file.
    """
    child = os.fork()
    if child == 0:
        _run(number, action)
    _pid, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in {_DIED, _ENDED}, f"the action ended with {code}"
    return code == _DIED


def _run(number: int, action: Callable[[], object]) -> NoReturn:
    left = number

    def step(_statement: object = None) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os._exit(_DIED)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            step()
            return function(*arguments, **options)

        return call

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = connected(*arguments, **options)
        db.set_trace_callback(step)
        return db

    code = 1
    try:
        connected: Callable[..., Any] = sqlite3.connect
        sqlite3.connect = connect  # type: ignore[assignment]
        for name in _WRITES:
            setattr(os, name, counted(getattr(os, name)))
        action()
        code = _ENDED
    finally:
        # Without the ends of tests, which are the parent's.
        os._exit(code)
