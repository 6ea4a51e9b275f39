"""The work on one bucket of subscribers after the other, in several threads: from its rows to presence and visits."""

from __future__ import annotations

from threading import Lock, local

import numpy as np

from node.presence.buckets import Buckets
from node.presence.kernel import (
    Integers,
    clean_rows,
    group_rows,
    index_rows,
    note_activity,
    origins_of_events,
)
from node.presence.output import Part
from node.presence.plan import Plan, Tally
from node.presence.rejected import Rejected
from node.presence.rows import Places
from node.presence.spill import Spill
from node.presence.walk import walk
from node.sources.reasons import Reason
from privacy.errors import DataProblem, PrivacyProblem

_DROPPED = (Reason.DUPLICATE, Reason.GHOST, Reason.IMPOSSIBLE_SPEED)
_NONE = np.empty(0, np.int64)
_US = 1_000_000


class _Desk:
    """Arrays that one thread uses again for every bucket, because fresh memory costs the kernel time."""

    def __init__(self, minutes: int, cells: int) -> None:
        self.minutes, self.cell_hours = np.zeros(minutes, np.int64), np.zeros(cells, np.int32)
        self.dropped = np.zeros(len(_DROPPED), np.int64)
        self.rejected: list[Integers] = []
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


class Work:
    """Works on one bucket after the other, from several threads.

    Parameters
    ----------
    plan
        How the day is built.
    buckets, places
        Its rows, and its cells.
    room
        Bytes of packed presence and visits that may stay in memory.
    spill
        Takes what does not fit.
    """

    def __init__(self, plan: Plan, buckets: Buckets, places: Places, room: int, spill: Spill) -> None:
        self._plan, self._buckets, self._places, self._spill = plan, buckets, places, spill
        self._room = room
        self._lock, self._at_the_door = Lock(), Lock()
        self._desk, self._desks = local(), list[_Desk]()

    def bucket(self, number: int) -> tuple[Part, Part]:
        """Return presence and visits of a bucket."""
        desk = self._own_desk()
        count = self._buckets.count(number)
        desk.make_room(count)
        rows = desk.rows[:count]
        self._buckets.take(number, rows)
        seed, plan = self._buckets.seed, self._plan
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
            plan.rules.ghost_seconds * _US,
            plan.rules.max_speed,
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
            plan.length_us,
            plan.hold.after_us,
            plan.hold.before_us,
            plan.key,
            desk.presence,
            desk.visits,
        )
        desk.dropped += dropped
        # Whoever lost a row to the rules over ordered rows, if own: the smallest origin says it.
        desk.rejected.append(subscribers[(ends < begins[1:]) & (lowest == 0)])
        note_activity(desk.values, begins, ends, desk.minutes, desk.cell_hours)
        return (
            self._part(subscribers, presences, desk.presence),
            self._part(subscribers, stays, desk.visits),
        )

    def _own_desk(self) -> _Desk:
        """Return the desk of this thread."""
        if not hasattr(self._desk, "own"):
            self._desk.own = _Desk(self._plan.minutes, self._places.zone_of.size)
            self._desks.append(self._desk.own)
        found: _Desk = self._desk.own
        return found

    def tally(self, reasons: Integers, rejected: Rejected) -> Tally:
        """Return what all threads have counted; `reasons` has the rows that the row rules judged."""
        if reasons.sum() != reasons[list(Reason)].sum():
            raise DataProblem("a row was rejected for a reason that there is not", todo="report it")
        desks = [_Desk(self._plan.minutes, self._places.zone_of.size), *self._desks]
        counts = dict(zip(Reason, reasons[list(Reason)].tolist(), strict=True))
        for reason, dropped in zip(
            _DROPPED, np.sum([desk.dropped for desk in desks], axis=0).tolist(), strict=True
        ):
            counts[reason] += dropped
            counts[Reason.ACCEPTED] -= dropped
        minutes = np.sum([desk.minutes for desk in desks], axis=0)
        dropped = [subscribers for desk in desks for subscribers in desk.rejected]
        return Tally(
            counts,
            minutes,
            np.bitwise_or.reduce([desk.cell_hours for desk in desks]),
            rejected.subscribers(self._plan.pseudonyms, dropped),
        )

    def _pseudonyms(self, ids: Integers) -> Integers:
        if self._plan.pseudonyms is None or not ids.size:
            return ids
        with self._at_the_door:
            found = self._plan.pseudonyms(ids)
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
