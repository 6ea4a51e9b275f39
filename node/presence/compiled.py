"""Compile the fast path's kernels once, and keep the machine code where this installation can write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Return a function compiled without the interpreter's lock.

    The machine code is kept in NUMBA_CACHE_DIR, else beside the module, else in the user's cache directory, so that
    a worker process does not compile again. Where none of them can be written, every process compiles for itself.
    """
    try:
        return cast(Function, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:
        return cast(Function, numba.njit(nogil=True)(function))
