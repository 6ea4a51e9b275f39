"""Arrays that leave the memory for one unnamed file, of which a killed process leaves nothing on the disk."""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType

import numpy as np

from node.presence.kernel import Integers


@dataclass(frozen=True)
class Extent:
    """Where an array is in the file.

    Attributes
    ----------
    offset
        Of its first byte.
    shape
        Of the array; int64.
    """

    offset: int
    shape: tuple[int, ...]

    def between(self, first: int, last: int) -> Extent:
        """Return where a range of the array's rows is."""
        row = 8 * math.prod(self.shape[1:])
        return Extent(self.offset + first * row, (last - first, *self.shape[1:]))


class Spill:
    """One file of arrays, written at its end and read anywhere, from several threads.

    Parameters
    ----------
    scratch
        Directory of the file; it has no name there.
    """

    def __init__(self, scratch: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=scratch, buffering=0)  # noqa: SIM115 - closed by __exit__
        self._end, self._lock = 0, Lock()

    def __enter__(self) -> Spill:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def put(self, array: Integers) -> Extent:
        """Write a C-contiguous array (OSError if the disk is full)."""
        with self._lock:
            extent = Extent(self._end, array.shape)
            self._end += array.nbytes
        rest, place = memoryview(array.view(np.uint8).reshape(-1).data), extent.offset
        while rest:
            written = os.pwrite(self._file.fileno(), rest, place)
            rest, place = rest[written:], place + written
        return extent

    def get(self, extent: Extent) -> Integers:
        """Read an array back."""
        array = np.empty(extent.shape, np.int64)
        rest, place = memoryview(array.view(np.uint8).reshape(-1).data), extent.offset
        while rest:
            read = os.preadv(self._file.fileno(), [rest], place)
            if read == 0:
                raise OSError(f"the spill file ends after {place} bytes")
            rest, place = rest[read:], place + read
        return array
