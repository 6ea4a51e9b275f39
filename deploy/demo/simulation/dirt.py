"""Makes a clean feed dirty as real ones are: duplicates, unknown cells, broken timestamps, missing values.

An event suffers from one kind of dirt at most, and a duplicate repeats a clean event, right behind it; so the
counts that come out are the numbers of rows that a perfect cleaning would find.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Share of the events that get each kind of dirt, in the order in which the kinds are counted.
DIRT = {
    "duplicate": 0.010,
    "unknown_cell": 0.003,
    "broken_timestamp": 0.003,
    "null_subscriber": 0.002,
    "null_cell": 0.002,
}
KINDS = tuple(DIRT)
# What becomes of a broken timestamp, all equally likely.
BREAKAGES = ("null", "zero", "negative", "seconds", "another_year")
YEAR_MS = 365 * 86_400_000


@dataclass(frozen=True, eq=False)
class Feed:
    """Rows as the operator's warehouse has them: int64[row] each, with a mask of the nulls, bool[row].

    `dirt` counts the rows of each kind, in the order of `KINDS`, int64[kind].
    """

    subscriber_id: NDArray[np.int64]
    no_subscriber: NDArray[np.bool_]
    timestamp_ms: NDArray[np.int64]
    no_timestamp: NDArray[np.bool_]
    cell_id: NDArray[np.int64]
    no_cell: NDArray[np.bool_]
    dirt: NDArray[np.int64]

    @property
    def size(self) -> int:
        """Number of rows."""
        return int(self.cell_id.size)


def make_dirty(
    rng: np.random.Generator,
    subscriber_id: NDArray[np.int64],
    timestamp_ms: NDArray[np.int64],
    cell_id: NDArray[np.int64],
    unknown_id: NDArray[np.int64],
) -> Feed:
    """Put dirt on clean rows, int64[event] each; the arrays are changed in place."""
    size = cell_id.size
    bounds = np.cumsum(list(DIRT.values()))
    uniform = rng.random(size, dtype=np.float32)
    dirty = np.flatnonzero(uniform < bounds[-1])
    kind = np.minimum(np.searchsorted(bounds, uniform[dirty], side="right"), len(KINDS) - 1)
    of_kind = {name: dirty[kind == index] for index, name in enumerate(KINDS)}
    unknown = of_kind["unknown_cell"]
    cell_id[unknown] = rng.choice(unknown_id, unknown.size)
    no_timestamp = _break_timestamps(rng, timestamp_ms, of_kind["broken_timestamp"])
    rows = np.sort(np.concatenate((np.arange(size), of_kind["duplicate"])))
    return Feed(
        subscriber_id=subscriber_id[rows],
        no_subscriber=_mask(size, of_kind["null_subscriber"])[rows],
        timestamp_ms=timestamp_ms[rows],
        no_timestamp=no_timestamp[rows],
        cell_id=cell_id[rows],
        no_cell=_mask(size, of_kind["null_cell"])[rows],
        dirt=np.bincount(kind, minlength=len(KINDS)).astype(np.int64),
    )


def _break_timestamps(
    rng: np.random.Generator, timestamp_ms: NDArray[np.int64], rows: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Break the timestamps of `rows` in place and return the mask of those that become null, bool[event]."""
    how = rng.integers(0, len(BREAKAGES), rows.size)
    broken = {name: rows[how == index] for index, name in enumerate(BREAKAGES)}
    timestamp_ms[broken["zero"]] = 0
    timestamp_ms[broken["negative"]] *= -1
    timestamp_ms[broken["seconds"]] //= 1000
    timestamp_ms[broken["another_year"]] -= YEAR_MS
    return _mask(timestamp_ms.size, broken["null"])


def _mask(size: int, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    mask = np.zeros(size, dtype=bool)
    mask[rows] = True
    return mask
