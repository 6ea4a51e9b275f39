"""How a day is built by the fast path, and what is counted on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from node.presence.hold import Hold
from node.presence.kernel import Integers, Words
from node.sources.events import LONGEST_US, Day
from node.sources.reasons import Reason
from node.sources.sequence import SequenceRules
from privacy.errors import UsageProblem

Pseudonyms = Callable[[NDArray[np.int64]], NDArray[np.int64]]

_US = 1_000_000


@dataclass(frozen=True)
class Plan:
    """How a day is built.

    Attributes
    ----------
    day
        The local day.
    rules
        Limits of the rules over a subscriber's ordered rows.
    hold
        How long an event says where its subscriber is.
    key
        31-bit key of the tie-breaking hash.
    scratch
        Directory for spilling, on a disk with room for the day's rows.
    memory_limit
        Bytes that the arrays of the build may take, besides the libraries and the source of the batches.
    pseudonyms
        Maps subscribers to pseudonyms, both int64 of shape (subscribers,) and not negative; called once for each
        distinct subscriber, and once more for each with a rejected row, by one thread at a time. None if the rows
        have pseudonyms already.
    cells
        The day's register as int64 columns cell, zone, x_m, y_m; the rows then need none of the last three.
    threads
        Number of threads that work on buckets.
    """

    day: Day
    rules: SequenceRules
    hold: Hold
    key: int
    scratch: Path
    memory_limit: int
    pseudonyms: Pseudonyms | None = None
    cells: pa.Table | None = None
    threads: int = 2

    @property
    def length_us(self) -> int:
        """Length of the local day."""
        return self.day.end_us - self.day.start_us

    @property
    def minutes(self) -> int:
        """Elapsed minutes of the local day, a broken one counted as whole."""
        return -(-self.length_us // (60 * _US))

    def require_usable(self) -> None:
        """Refuse a day, a hold or a key out of range (UsageProblem)."""
        if not 0 < self.length_us <= LONGEST_US:
            raise UsageProblem(
                "a local day has more than 25 hours", todo="correct the time zone of the charter"
            )
        if not self.hold.usable or not 0 <= self.key < 2**31:
            raise UsageProblem(
                "the hold of an event or the key of ties is out of range",
                todo="use a charter of this version",
            )


@dataclass(frozen=True)
class Tally:
    """What was counted on the way, for the quality of a day; it stays inside the operator.

    Attributes
    ----------
    counts
        Number of rows by reason; those of `Reason.ACCEPTED` are the clean events.
    minutes
        Clean events of every elapsed minute of the day, int64 of shape (minutes,).
    cell_hours
        Elapsed hours with a clean event of each cell as a bit mask, int32 of shape (cells,).
    rejected
        Subscribers with a rejected row (`node.sources.rejected`), ascending, int64 of shape (subscribers,).
    """

    counts: dict[Reason, int]
    minutes: Integers
    cell_hours: Words
    rejected: Integers
