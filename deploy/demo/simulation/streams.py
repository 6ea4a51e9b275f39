"""Independent streams of random numbers, one per purpose, so that drawing more of one thing changes no other.

The spawn key of a stream is its purpose, then (where there is one) the operator and the date: one day more,
or more events of an operator, leave every person as they were.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Purpose(IntEnum):
    """What a stream is for; the numbers are part of the seed's meaning and never change."""

    REGISTER = 1
    POPULATION = 2
    WORK = 3
    PHONES = 4
    SHARES = 5
    SUBSCRIPTIONS = 6
    NATIONAL_IDS = 7
    SUBSCRIBER_IDS = 8
    ACTIVITY = 9
    CELLS = 10
    FAVOURITES = 11
    MOVEMENT = 12
    EVENTS = 13
    DIRT = 14


def stream(seed: int, purpose: Purpose, *key: int) -> np.random.Generator:
    """Return the generator of a purpose; `key` holds non-negative integers: operator index, date ordinal."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(purpose), *key)))


def round_randomly(rng: np.random.Generator, values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round each value up with a probability equal to its fraction, so that its expectation is kept."""
    whole = np.floor(values)
    return (whole + (rng.random(values.shape) < values - whole)).astype(np.int64)


def unique_ids(rng: np.random.Generator, size: int, below: int) -> NDArray[np.int64]:
    """Draw distinct integers in [0, below), int64[size], in no order."""
    ids = rng.integers(0, below, size, dtype=np.int64)
    while True:
        again = np.ones(size, dtype=bool)
        again[np.unique(ids, return_index=True)[1]] = False
        if not again.any():
            return ids
        ids[again] = rng.integers(0, below, int(again.sum()), dtype=np.int64)


class Rows:
    """Discrete distributions, one per row, all sampled in one call by inverting one common cumulative table.

    Parameters
    ----------
    weights
        Non-negative float64[n] of all rows, one row after the other.
    lengths
        Number of entries of each row, int64[rows], all positive. A row of zeros is drawn from uniformly.
    """

    def __init__(self, weights: NDArray[np.float64], lengths: NDArray[np.int64]) -> None:
        self._ends = np.cumsum(lengths)
        self.starts = starts = self._ends - lengths
        row = np.repeat(np.arange(lengths.size), lengths)
        totals = np.add.reduceat(weights, starts)
        weights = np.where(totals[row] > 0, weights, 1.0)
        before = np.concatenate(([0.0], np.cumsum(weights)))
        share = (before[1:] - before[starts][row]) / np.add.reduceat(weights, starts)[row]
        # Row r fills [r, r + 1); its last entry ends there exactly, whatever the rounding of the sums.
        share[self._ends - 1] = 1.0
        self._cumulative = row + np.clip(share, 0.0, 1.0)

    def draw(self, rng: np.random.Generator, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Draw one entry for each of `rows`, int64; an entry is its position in the concatenated weights."""
        points = rows + rng.random(rows.size)
        drawn = np.searchsorted(self._cumulative, points, side="right")
        return np.minimum(drawn, self._ends[rows] - 1).astype(np.int64)
