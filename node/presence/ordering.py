"""Sort a short run of integers in place: linear where it is ordered already, n·log n at worst."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from node.presence.compiled import compiled

Integers = NDArray[np.int64]

#: Pieces of this length are sorted by insertion before they are merged.
_PIECE = 24


@compiled
def put_in_order(run: Integers, spare: Integers) -> None:
    """Sort `run` ascending; `spare` has at least its length.

    Insertion into pieces, then merging from the bottom up. Numba's own quicksort is quadratic at worst.
    """
    for begin in range(0, run.size, _PIECE):
        _insert(run, begin, min(begin + _PIECE, run.size))
    width = _PIECE
    while width < run.size:
        for begin in range(0, run.size - width, 2 * width):
            _merge(run, begin, begin + width, min(begin + 2 * width, run.size), spare)
        width *= 2


@compiled
def _insert(run: Integers, begin: int, end: int) -> None:
    for position in range(begin + 1, end):
        value, hole = run[position], position
        while hole > begin and run[hole - 1] > value:
            run[hole] = run[hole - 1]
            hole -= 1
        run[hole] = value


@compiled
def _merge(run: Integers, begin: int, middle: int, end: int, spare: Integers) -> None:
    """Merge run[begin:middle] and run[middle:end], both ordered."""
    if run[middle - 1] <= run[middle]:
        return
    count = middle - begin
    spare[:count] = run[begin:middle]
    left, right, hole = 0, middle, begin
    while left < count:
        if right < end and run[right] < spare[left]:
            run[hole] = run[right]
            right += 1
        else:
            run[hole] = spare[left]
            left += 1
        hole += 1
