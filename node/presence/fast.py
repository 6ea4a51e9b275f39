"""The fast path: one pass over the judged rows of a day to presence and visits, equal to the reference byte for byte.

An accelerator of `node.sources.sequence` and `node.presence.build`, never a second definition. Rows are spread over
buckets of subscribers, which are worked on one by one: subscribers are numbered, rows sorted by counting, cleaned and
walked through (`node.presence.kernel`, `node.presence.walk`). Memory is bounded: what does not fit is spilled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, local

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from node.presence import output
from node.presence.buckets import Buckets
from node.presence.kernel import Integers, clean_rows, group_rows, index_rows, origins_of_events
from node.presence.output import PRESENCE_TABLE, VISITS_TABLE, Part
from node.presence.rows import Places, columns_of
from node.presence.spill import Spill
from node.presence.walk import walk
from node.sources.events import Day
from node.sources.reasons import Reason
from node.sources.sequence import SequenceRules
from node.tables import CELL, ORIGIN, REASON, SUBSCRIBER, TIME
from privacy.errors import PrivacyProblem, UsageProblem

Pseudonyms = Callable[[NDArray[np.int64]], NDArray[np.int64]]

_COLUMNS = (SUBSCRIBER, TIME, CELL, ORIGIN, REASON)
_KINDS = (PRESENCE_TABLE, VISITS_TABLE)
_DROPPED = (Reason.DUPLICATE, Reason.GHOST, Reason.IMPOSSIBLE_SPEED)
_NONE = np.empty(0, np.int64)
_US = 1_000_000
_LONGEST_DAY_US = 25 * 3600 * _US
_LONGEST_HOLD = 25 * 60
#: Of the memory limit: rows, and packed presence and visits, which come when the rows go.
_SHARE_OF_ROWS, _SHARE_OF_OUTPUT = 0.75, 0.4
_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Built:
    """A day.

    Attributes
    ----------
    presence, visits
        int64 columns `node.tables.PRESENCE` and `node.tables.VISITS`, in the order of the reference.
    counts
        Number of rows by reason; those of `Reason.ACCEPTED` are the clean events.
    """

    presence: pa.Table
    visits: pa.Table
    counts: dict[Reason, int]


@dataclass(frozen=True)
class Build:
    """How a day is built.

    Attributes
    ----------
    day
        The local day.
    rules
        Limits of the rules over a subscriber's ordered rows.
    hold_minutes
        How long an event says where its subscriber is.
    key
        31-bit key of the tie-breaking hash.
    scratch
        Directory for spilling, on a disk with room for the day's rows.
    memory_limit
        Bytes that the arrays of the build may take, besides the libraries and the source of the batches.
    pseudonyms
        Maps subscribers to pseudonyms, both int64 of shape (subscribers,) and not negative; called once for each
        distinct subscriber, by one thread at a time. None if the rows have pseudonyms already.
    cells
        The day's register as int64 columns cell, zone, x_m, y_m; the rows then need none of the last three.
    threads
        Number of threads that work on buckets.
    """

    day: Day
    rules: SequenceRules
    hold_minutes: int
    key: int
    scratch: Path
    memory_limit: int
    pseudonyms: Pseudonyms | None = None
    cells: pa.Table | None = None
    threads: int = 2

    def tables(self, batches: Iterable[pa.RecordBatch]) -> Built:
        """Build a day in memory; parameters and errors as of `build_day`."""
        with Spill(self.scratch) as spill:
            parts, counts = self._parts(batches, spill)
            order = output.order_of(parts[0])
            presence, visits = (
                output.table(kind, found, order, spill, self.day.start_us)
                for kind, found in zip(_KINDS, parts, strict=True)
            )
        return Built(presence, visits, counts)

    def files(self, batches: Iterable[pa.RecordBatch], presence: Path, visits: Path) -> dict[Reason, int]:
        """Build a day as two Parquet files and return the number of rows by reason; else as `build_day`."""
        with Spill(self.scratch) as spill, ThreadPoolExecutor(min(self.threads, 2)) as pool:
            parts, counts = self._parts(batches, spill)
            order = output.order_of(parts[0])
            written = [
                pool.submit(output.write, kind, found, order, spill, self.day.start_us, path)
                for kind, found, path in zip(_KINDS, parts, (presence, visits), strict=True)
            ]
            for one in written:
                one.result()
        return counts

    def _parts(
        self, batches: Iterable[pa.RecordBatch], spill: Spill
    ) -> tuple[tuple[list[Part], list[Part]], dict[Reason, int]]:
        """Return presence and visits of every bucket, and the number of rows by reason."""
        _require(self.day, self.hold_minutes, self.key)
        places = Places(self.cells)
        # The seed decides about no result. It is secret, so that nobody can choose subscribers of one bucket.
        buckets = Buckets(int(_SHARE_OF_ROWS * self.memory_limit), (self.key + 1) * _GOLDEN % 2**64, spill)
        limits = (self.day.start_us, self.day.end_us)
        for batch in batches:
            places.see(batch)
            buckets.add(columns_of(batch, _COLUMNS), limits, places.zone_of)
        buckets.close()
        work = _Work(self, buckets, places, spill)
        with ThreadPoolExecutor(self.threads) as pool:
            found = list(pool.map(work.bucket, buckets.filled()))
        counts = dict(zip(Reason, buckets.reasons[list(Reason)].tolist(), strict=True))
        for reason, dropped in zip(_DROPPED, work.dropped.tolist(), strict=True):
            counts[reason] += dropped
            counts[Reason.ACCEPTED] -= dropped
        return ([part for part, _visits in found], [part for _presence, part in found]), counts


class _Desk:
    """Arrays that one thread uses again for every bucket, because fresh memory costs the kernel time."""

    def __init__(self) -> None:
        self._make(0)

    def _make(self, rows: int) -> None:
        self.rows, self.which = np.empty((rows, 2), np.int64), np.empty(rows, np.int32)
        self.values, self.spare = np.empty(rows, np.int64), np.empty(rows, np.int64)
        self.people = np.empty((4, rows), np.int64)
        self.presence, self.visits = np.empty((rows, 3), np.int64), np.empty((rows, 3), np.int64)

    def make_room(self, rows: int) -> None:
        """Have room for the rows of a bucket."""
        if rows > len(self.rows):
            self._make(rows * 9 // 8)


class _Work:
    """Works on one bucket after the other, from several threads."""

    def __init__(self, build: Build, buckets: Buckets, places: Places, spill: Spill) -> None:
        self._build, self._buckets, self._places, self._spill = build, buckets, places, spill
        self._room = int(_SHARE_OF_OUTPUT * build.memory_limit)
        self._lock, self._at_the_door = Lock(), Lock()
        self._desks = local()
        self.dropped = np.zeros(3, np.int64)

    def bucket(self, number: int) -> tuple[Part, Part]:
        """Return presence and visits of a bucket."""
        if not hasattr(self._desks, "own"):
            self._desks.own = _Desk()
        desk: _Desk = self._desks.own
        count = self._buckets.count(number)
        desk.make_room(count)
        rows = desk.rows[:count]
        self._buckets.take(number, rows)
        seed, build = self._buckets.seed, self._build
        found = index_rows(rows, seed, desk.which, desk.people)
        ids, counts, lowest, highest = desk.people[:, :found].copy()
        subscribers = self._pseudonyms(ids)
        order = np.argsort(subscribers, kind="stable")
        begins = np.concatenate([[0], np.cumsum(counts[order])])
        rank = np.empty_like(order)
        rank[order] = np.arange(found)
        group_rows(rows, desk.which, begins[rank], desk.values)
        ends, dropped = clean_rows(
            desk.values,
            begins,
            self._places.position_of,
            build.rules.ghost_seconds * _US,
            build.rules.max_speed,
            desk.spare,
        )
        lowest, highest, subscribers = lowest[order], highest[order], subscribers[order]
        origins = _NONE
        if (lowest != highest).any():
            origins = origins_of_events(rows, desk.which, rank, desk.values, begins, ends)
        presences, stays = walk(
            subscribers,
            desk.values,
            begins,
            ends,
            lowest,
            highest,
            origins,
            self._places.zone_of,
            self._places.zones,
            build.day.end_us - build.day.start_us,
            build.hold_minutes * 60 * _US,
            build.key,
            desk.presence,
            desk.visits,
        )
        with self._lock:
            self.dropped += dropped
        return (
            self._part(subscribers, presences, desk.presence),
            self._part(subscribers, stays, desk.visits),
        )

    def _pseudonyms(self, ids: Integers) -> Integers:
        if self._build.pseudonyms is None or not ids.size:
            return ids
        with self._at_the_door:
            found = self._build.pseudonyms(ids)
        if found.dtype != np.int64 or found.shape != ids.shape or int(found.min()) < 0:
            raise PrivacyProblem(
                "the pseudonyms are not one non-negative int64 for each subscriber", todo="report it"
            )
        return found

    def _part(self, subscribers: Integers, counts: Integers, desk: Integers) -> Part:
        rows = desk[: counts.sum()]
        with self._lock:
            self._room -= rows.nbytes
            fits = self._room >= 0
        return Part(subscribers, counts, rows.copy() if fits else self._spill.put(rows))


def _require(day: Day, hold_minutes: int, key: int) -> None:
    if not 0 < day.end_us - day.start_us <= _LONGEST_DAY_US:
        raise UsageProblem("a local day has more than 25 hours", todo="correct the time zone of the charter")
    if not 1 <= hold_minutes <= _LONGEST_HOLD or not 0 <= key < 2**31:
        raise UsageProblem(
            "the hold of an event or the key of ties is out of range", todo="use a charter of this version"
        )


def build_day(  # noqa: PLR0917 - the interface that the node's engine agreed on
    batches: Iterable[pa.RecordBatch],
    day: Day,
    rules: SequenceRules,
    hold_minutes: int,
    key: int,
    scratch: Path,
    memory_limit: int,
    pseudonyms: Pseudonyms | None = None,
) -> Built:
    """Build presence and visits of a day in memory.

    Parameters
    ----------
    batches
        Judged rows in any order, int64 columns subscriber, t_us, cell, zone, x_m, y_m, origin, reason.
    day, rules, hold_minutes, key, scratch, memory_limit, pseudonyms
        As of `Build`.

    Returns
    -------
    Built
        The same rows in the same order and of the same types as the reference gives.

    Raises
    ------
    DataProblem
        If a row that no rule rejected has a null, a number out of range or a time outside the day; if a cell has two
        places, or two subscribers one pseudonym.
    UsageProblem
        If the day, the hold or the key is out of range.
    OSError
        If the disk is full.
    """
    return Build(day, rules, hold_minutes, key, scratch, memory_limit, pseudonyms).tables(batches)
