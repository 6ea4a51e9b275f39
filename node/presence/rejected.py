"""The subscribers with a rejected row, gathered while the rows of a day pass by; `node.sources.rejected` says who.

Rejected rows are few among many, so they are looked for batch by batch and their subscribers kept once. Rows have
identifiers or pseudonyms, whichever the build is given; what comes out has pseudonyms.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from node.presence.buckets import REASONS
from node.presence.kernel import Integers
from node.presence.plan import Pseudonyms
from node.sources.reasons import OF_THE_DAY
from node.tables import ORIGIN, SUBSCRIBER

#: Subscribers that are kept before repeated ones go, and that get their pseudonyms at a time.
_MOST = 2**20
_NOBODY = np.empty(0, np.int64)


class Rejected:
    """Subscribers of rows that the row rules reject."""

    def __init__(self) -> None:
        self._counts = np.zeros(REASONS, dtype=bool)
        self._counts[[int(reason) for reason in OF_THE_DAY]] = True
        self._kept, self._fresh, self._waiting = _NOBODY, list[Integers](), 0

    def see(self, batch: pa.RecordBatch, reasons: Integers) -> None:
        """Take the rejected rows of a batch.

        Parameters
        ----------
        batch
            Judged rows: subscriber, origin where there are roamers.
        reasons
            Of these rows, integers from 0 to below `node.presence.buckets.REASONS`, of shape (rows,).
        """
        rows = np.flatnonzero(reasons != 0)
        rows = rows[self._counts[reasons[rows]]]
        if not rows.size:
            return
        subscribers = _some(batch, SUBSCRIBER, rows)
        own = _some(batch, ORIGIN, rows) <= 0 if ORIGIN in batch.schema.names else True
        self._fresh.append(subscribers[(subscribers >= 0) & own])
        self._waiting += self._fresh[-1].size
        if self._waiting > max(_MOST, self._kept.size):
            self._gather()

    def _gather(self) -> None:
        self._kept = _distinct([self._kept, *self._fresh])
        self._fresh, self._waiting = [], 0

    def subscribers(self, pseudonyms: Pseudonyms | None, dropped: list[Integers]) -> Integers:
        """Return all subscribers with a rejected row by their pseudonyms, ascending, int64 of shape (subscribers,).

        Parameters
        ----------
        pseudonyms
            As of `node.presence.plan.Plan`.
        dropped
            Pseudonyms of those whose rows were dropped later.
        """
        self._gather()
        found = self._kept
        if pseudonyms is not None:
            parts = [pseudonyms(found[start : start + _MOST]) for start in range(0, found.size, _MOST)]
            found = np.concatenate([_NOBODY, *parts])
        return _distinct([found, *dropped])


def _distinct(parts: list[Integers]) -> Integers:
    """Return all values once, ascending; several times faster than by the hash table of `np.unique`."""
    values = np.sort(np.concatenate(parts))
    fresh = np.ones(values.size, dtype=bool)
    np.not_equal(values[1:], values[:-1], out=fresh[1:])
    return values[fresh]


def _some(batch: pa.RecordBatch, name: str, rows: NDArray[np.int64]) -> Integers:
    """Return some values of a column; a null one is none of a subscriber, and no network's."""
    values = batch.column(name).take(pa.array(rows)).cast(pa.int64()).fill_null(-1)
    found: Integers = values.to_numpy(zero_copy_only=False)
    return found
