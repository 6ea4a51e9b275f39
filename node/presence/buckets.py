"""Spread the accepted rows of a day over buckets of subscribers: in memory up to a limit, then in a file.

A row takes two words of 64 bits, the subscriber, and time and cell; a row of another origin than 0 takes two more.
The memory is one pool of chunks; a bucket has one open chunk and any number of full ones. When the pool is used up,
some buckets go to the spill file, others the next time.
"""

from __future__ import annotations

import mmap
import os
from collections import defaultdict
from contextlib import suppress
from itertools import pairwise

import numpy as np

from node.presence.compiled import compiled
from node.presence.kernel import CELL_BITS, Integers, Words, mixed
from node.presence.spill import Extent, Spill
from node.presence.walk import ORIGIN_BITS
from privacy.errors import DataProblem

#: Subscribers are spread over so many buckets; the rows of 10⁸ then fit one by one into a processor's cache.
BUCKETS = 512
#: Rows of a chunk; a row and its origin are in the same one.
CHUNK_ROWS = 2048
REASONS = 256
#: A position among the rows of a bucket has 31 bits.
_MOST_ROWS = 2**31 - 1
_CHUNK_BYTES = 16 * CHUNK_ROWS
_SIGN = -(2**63)
#: Chunks whose pages are there before they are written to; MADV_POPULATE_WRITE of Linux 5.14.
_AHEAD, _POPULATE_WRITE = 128, 23
#: Of the pool, what is emptied when it is full.
_EMPTIED = 4
_FREE, _TAKEN, _WRONG = range(3)
_NOBODY = -1


@compiled
def _scatter(  # noqa: PLR0917 - compiled code takes no records
    columns: tuple[Integers, ...],
    first: int,
    start_us: int,
    end_us: int,
    zone_of: Words,
    seed: np.uint64,
    pool: Integers,
    owner: Integers,
    size: Integers,
    taken: Integers,
    free: Integers,
    current: Integers,
    reasons: Integers,
    state: Integers,
) -> int:
    """Put rows into their buckets from `first` on; return where it stopped: the pool is full or a row is wrong.

    Parameters
    ----------
    columns
        subscriber, t_us, cell, origin, reason; integers of shape (rows,).
    pool, owner, size, taken
        int64 of shape (chunks, rows of a chunk, 2); bucket, number of rows and age of each, int64 of shape (chunks,).
    free
        Chunks of no bucket, of which the last is taken next; int64 of shape (chunks,).
    current
        Open chunk of each bucket, −1 for none; int64 of shape (buckets,), a power of two of them.
    reasons
        Number of rows by reason, int64 of shape (reasons,).
    state
        Number of free chunks; how often one was taken; whether the row at which it stopped is wrong.
    """
    subscribers, times, cells, origins, judged = columns
    most, last = pool.shape[1], np.uint64(current.size - 1)
    for row in range(first, subscribers.size):
        reason = judged[row]
        if reason != 0:
            if not 0 < reason < reasons.size:
                state[_WRONG] = 1
                return row
            reasons[reason] += 1
            continue
        subscriber, time, cell, origin = subscribers[row], times[row], cells[row], origins[row]
        if (
            subscriber < 0
            or not start_us <= time < end_us
            or not 0 <= cell < zone_of.size
            or not 0 <= origin < 1 << ORIGIN_BITS
            or zone_of[cell] < 0
        ):
            state[_WRONG] = 1
            return row
        # The table of a bucket takes the low bits of the same hash.
        bucket = np.int64((mixed(subscriber, seed) >> np.uint64(40)) & last)
        chunk = current[bucket]
        if chunk < 0 or size[chunk] + 2 > most:
            if state[_FREE] == 0:
                return row
            state[_FREE] -= 1
            state[_TAKEN] += 1
            chunk = free[state[_FREE]]
            owner[chunk], size[chunk], taken[chunk], current[bucket] = bucket, 0, state[_TAKEN], chunk
        place = size[chunk]
        pool[chunk, place, 1] = ((time - start_us) << CELL_BITS) | cell
        if origin == 0:
            pool[chunk, place, 0] = subscriber
            size[chunk] = place + 1
        else:
            pool[chunk, place, 0] = subscriber | _SIGN
            pool[chunk, place + 1, 0] = origin
            pool[chunk, place + 1, 1] = 0
            size[chunk] = place + 2
        reasons[0] += 1
    return subscribers.size


class Buckets:
    """The accepted rows of a day by bucket.

    Parameters
    ----------
    limit
        Bytes of rows kept in memory; at least one chunk for each bucket, which are a power of two.
    seed
        Of the hash that names a subscriber's bucket.
    spill
        Takes what does not fit.
    """

    def __init__(
        self,
        limit: int,
        seed: int,
        spill: Spill,
    ) -> None:
        buckets = BUCKETS
        # A limit beyond what the machine has is none.
        most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        chunks = max(min(limit, most) // _CHUNK_BYTES, buckets)
        # Pages are taken when they are first written to, and given back when a bucket is read. NumPy would ask for
        # huge pages, which cost the kernel several times as much here.
        self._pages = mmap.mmap(-1, chunks * _CHUNK_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._pool = np.frombuffer(self._pages, np.int64).reshape(chunks, CHUNK_ROWS, 2)
        self._owner, self._size, self._taken = np.full((3, chunks), _NOBODY, np.int64)
        self._free = np.arange(chunks)[::-1].copy()
        self._current = np.full(BUCKETS, _NOBODY, np.int64)
        self._state, self._next, self._ready = np.array([chunks, 0, 0]), 0, 0
        self.seed, self._spill = np.uint64(seed), spill
        self._spilled: dict[int, list[Extent]] = defaultdict(list)
        self._chunks: list[Integers] = []
        self.reasons = np.zeros(REASONS, np.int64)

    def add(
        self,
        columns: tuple[Integers, ...],
        day: tuple[int, int],
        zone_of: Words,
    ) -> None:
        """Take rows: subscriber, t_us, cell, origin and reason, integers of shape (rows,).

        Raises
        ------
        DataProblem
            If a row without a reason against it is outside the day or has a column out of range.
        """
        done = 0
        self._make_ready()
        while True:
            done = _scatter(
                columns,
                done,
                *day,
                zone_of,
                self.seed,
                self._pool,
                self._owner,
                self._size,
                self._taken,
                self._free,
                self._current,
                self.reasons,
                self._state,
            )
            if self._state[_WRONG]:
                raise DataProblem(
                    "a row that no rule of the source rejected has a time outside the day, an unknown cell, or a "
                    "number out of range",
                    means="the rules of the source and the build of presence do not fit together",
                    todo="report it",
                )
            if done == columns[0].size:
                return
            self._empty_some()

    def _make_ready(self) -> None:
        """Have pages ahead of those that are written to: one by one they cost the kernel half as much again."""
        if self._ready - self._state[_TAKEN] >= _AHEAD or self._ready == self._owner.size:
            return
        begin, self._ready = self._ready, min(self._ready + 2 * _AHEAD, self._owner.size)
        with suppress(OSError):  # an older kernel does not know it, and needs it no more than this one does
            self._pages.madvise(_POPULATE_WRITE, begin * _CHUNK_BYTES, (self._ready - begin) * _CHUNK_BYTES)

    def _empty_some(self) -> None:
        """Spill whole buckets, so that what is spilled of a bucket came before what is not; each in its turn."""
        chunks, enough = self._by_bucket(), max(self._owner.size // _EMPTIED, 1)
        while self._state[_FREE] < enough:
            bucket, self._next = self._next, (self._next + 1) % BUCKETS
            for chunk in chunks[bucket].tolist():
                self._spilled[bucket].append(self._spill.put(self._pool[chunk, : self._size[chunk]]))
                self._owner[chunk], self._free[self._state[_FREE]] = _NOBODY, chunk
                self._state[_FREE] += 1
            self._current[bucket] = _NOBODY

    def _by_bucket(self) -> list[Integers]:
        """Return the chunks of every bucket, in the order in which they were taken."""
        order = np.lexsort((self._taken, self._owner))
        edges = np.searchsorted(self._owner[order], np.arange(BUCKETS + 1))
        return [order[begin:end] for begin, end in pairwise(edges.tolist())]

    def close(self) -> None:
        """End the adding of rows."""
        self._chunks = self._by_bucket()

    def filled(self) -> list[int]:
        """Return the buckets that have rows."""
        return [bucket for bucket in range(self._current.size) if self.count(bucket)]

    def count(self, bucket: int) -> int:
        """Return the number of rows of a bucket, those of origins included."""
        spilled = sum(extent.shape[0] for extent in self._spilled[bucket])
        return spilled + int(self._size[self._chunks[bucket]].sum())

    def take(self, bucket: int, rows: Integers) -> None:
        """Move the rows of a bucket, in the order in which they came, into `rows`, int64 of shape (rows, 2)."""
        parts = [self._spill.get(extent) for extent in self._spilled[bucket]]
        parts += [self._pool[chunk, : self._size[chunk]] for chunk in self._chunks[bucket].tolist()]
        if parts:
            np.concatenate(parts, out=rows)
        for chunk in self._chunks[bucket].tolist():
            self._pages.madvise(mmap.MADV_DONTNEED, chunk * _CHUNK_BYTES, _CHUNK_BYTES)
