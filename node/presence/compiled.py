"""Compile the kernels once, and keep the machine code where this installation can write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import config

Function = TypeVar("Function", bound=Callable[..., Any])
_HERE = Path(__file__).parent
#: Everything that compiled code is made of.
_SOURCES = (_HERE, _HERE.parent / "statistics" / "compiled")


def _kept_for() -> str:
    """Return a digest of all sources: Numba looks at the file of a function, not at those of what it calls."""
    state = hashlib.sha256()
    for path in sorted(path for folder in _SOURCES for path in folder.glob("*.py")):
        state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()[:16]


# In NUMBA_CACHE_DIR, or beside the modules; where this cannot be written, Numba looks for another place.
config.CACHE_DIR = str(Path(config.CACHE_DIR or _HERE / "__pycache__") / f"compiled-{_kept_for()}")  # type: ignore[attr-defined]


def compiled(function: Function) -> Function:
    """Return a function compiled without the interpreter's lock.

    The machine code is kept for the next process, by the digest of all kernels. Where nothing can be written, every
    process compiles for itself.
    """
    try:
        return cast(Function, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:
        return cast(Function, numba.njit(nogil=True)(function))
