"""Bounds for each caller: how many of its calls go on at once, and how much of the audit trail it fills.

No clock and no I/O in here, so that a bound can be tried without waiting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hub.errors import Busy

#: Calls of one caller to one method that may go on at once. Nodes wait with one; more are left over from lost links.
AT_ONCE = 8
#: An office may watch as many releases as a month of days, twice.
STREAMS_AT_ONCE = 64
#: Lines of one kind that a caller may cause in the audit trail at once, and the seconds until one more is free.
LINES, SECONDS_PER_LINE = 20, 60.0


class Places:
    """Places for calls that go on at once."""

    def __init__(self) -> None:
        self._taken: Counter[Hashable] = Counter()

    @contextmanager
    def one(self, key: Hashable, limit: int) -> Iterator[None]:
        """Hold a place until the block ends (Busy if every place of this key is taken)."""
        if self._taken[key] >= limit:
            raise Busy(
                f"{limit} calls of this caller to this method go on already",
                todo="wait for their answers or cancel them, and let one process use a certificate",
            )
        self._taken[key] += 1
        try:
            yield
        finally:
            self._taken[key] -= 1
            self._taken += Counter()  # forgets keys without calls


@dataclass
class _Bucket:
    free: float
    at: float
    left_out: int = 0


class Lines:
    """How many lines of a kind are written: a few at once, then one a minute that says how many were left out."""

    def __init__(self) -> None:
        self._buckets: dict[Hashable, _Bucket] = {}

    def take(self, key: Hashable, now: float) -> int | None:
        """Return how many lines were left out since the last one, or None if this one is left out too.

        Parameters
        ----------
        key
            Who causes lines of which kind; there must be few of them.
        now
            Seconds on a clock that never goes back.
        """
        bucket = self._buckets.setdefault(key, _Bucket(LINES, now))
        bucket.free = min(LINES, bucket.free + (now - bucket.at) / SECONDS_PER_LINE)
        bucket.at = now
        if bucket.free < 1:
            bucket.left_out += 1
            return None
        bucket.free -= 1
        left_out, bucket.left_out = bucket.left_out, 0
        return left_out
