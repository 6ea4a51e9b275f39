"""How many pieces are sent in one call: many over a fast link, one over a slow one, without I/O."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Pieces of the first call, most pieces of a call, and the seconds that one may take if the next is to have twice as
#: many.
FIRST, MOST, QUICK_SECONDS = 16, 32, 2.0


class Pace:
    """Doubles the pieces of a call as long as calls are quick, and begins again with one when a call has failed.

    Every call is to end long before its deadline, because only a call that ends shows that the link still takes
    something. Pieces are never smaller than one, so the slowest link that works takes one of them before a deadline.

    Parameters
    ----------
    clock
        Seconds on a clock that never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._pieces = clock, FIRST
        self._began: float | None = None

    def next(self) -> int:
        """Return how many pieces the call that begins now may have."""
        if self._began is not None:
            self._pieces = 1
        self._began = self._clock()
        return self._pieces

    def done(self) -> None:
        """Note that the call has ended well."""
        quick = self._began is not None and self._clock() - self._began < QUICK_SECONDS
        self._pieces = min(2 * self._pieces, MOST) if quick else max(self._pieces // 2, 1)
        self._began = None
