"""Compiled kernels over the rows of one bucket: number the subscribers, sort the rows by them, clean them.

A row is two words of 64 bits, as `node.presence.buckets` writes it: the subscriber, and time and cell packed so that
their order as a number is the order by (t_us, cell). A subscriber with the sign bit set has an origin other than 0,
which is then the first word of the next row. No kernel stores outside an array it is given: an index is a position
in the rows, a place in the counting sort of them, or a cell that was checked when the row was accepted; the arrays
that are used again and again have at least the length of the rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from node.presence.compiled import compiled
from node.presence.ordering import put_in_order

Integers = NDArray[np.int64]
Words = NDArray[np.int32]

CELL_BITS = 26
CELL_MASK = 2**CELL_BITS - 1
SUBSCRIBER_MASK = 2**63 - 1
_SECOND = 1_000_000
_FIRST_SLOTS = 2**13

_SHIFT_HIGH, _SHIFT_LOW = np.uint64(32), np.uint64(29)
_FACTOR_1, _FACTOR_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@compiled
def mixed(subscriber: int, seed: np.uint64) -> np.uint64:
    """Return 64 mixed bits of a subscriber, by a variant of the finaliser of splitmix64."""
    word = np.uint64(subscriber) ^ seed
    word = (word ^ (word >> _SHIFT_HIGH)) * _FACTOR_1
    word = (word ^ (word >> _SHIFT_LOW)) * _FACTOR_2
    return word ^ (word >> _SHIFT_HIGH)


@compiled
def _place(slots: Words, ids: Integers, subscriber: int, seed: np.uint64) -> int:
    """Return where a subscriber is or may be put in the open-addressing table `slots`, which is never full."""
    last = slots.size - 1
    slot = int(np.int64(mixed(subscriber, seed) & np.uint64(last)))
    while slots[slot] >= 0 and ids[slots[slot]] != subscriber:
        slot = (slot + 1) & last
    return slot


@compiled
def _larger(slots: Words, ids: Integers, found: int, seed: np.uint64) -> Words:
    """Return a table of four times the size with the first `found` subscribers."""
    larger = np.full(4 * slots.size, -1, np.int32)
    for known in range(found):
        larger[_place(larger, ids, ids[known], seed)] = known
    return larger


@compiled
def index_rows(rows: Integers, seed: np.uint64, which: Words, people: Integers) -> int:
    """Number the subscribers of a bucket in the order in which they come; return how many there are.

    Parameters
    ----------
    rows
        int64 of shape (rows, 2).
    seed
        Of the hash; secret, so that nobody can choose subscribers that collide.
    which
        Takes the number of each row's subscriber, −1 for the row of an origin; int32 of shape (≥ rows,).
    people
        Takes subscriber, number of rows, smallest and largest origin of each; int64 of shape (4, ≥ rows).
    """
    ids, counts, lowest, highest = people[0], people[1], people[2], people[3]
    slots = np.full(_FIRST_SLOTS, -1, np.int32)
    found, one, foreign = 0, 0, False
    for row in range(rows.shape[0]):
        if foreign:
            which[row], foreign = -1, False
            lowest[one], highest[one] = min(lowest[one], rows[row, 0]), max(highest[one], rows[row, 0])
            continue
        foreign = rows[row, 0] < 0
        subscriber = rows[row, 0] & SUBSCRIBER_MASK
        slot = _place(slots, ids, subscriber, seed)
        one = slots[slot]
        if one < 0:
            if 4 * (found + 1) > slots.size:
                slots = _larger(slots, ids, found, seed)
                slot = _place(slots, ids, subscriber, seed)
            one, slots[slot] = found, found
            ids[one], counts[one], lowest[one], highest[one] = subscriber, 0, SUBSCRIBER_MASK, 0
            found += 1
        which[row] = one
        counts[one] += 1
        if not foreign:
            lowest[one] = 0
    return found


@compiled
def group_rows(rows: Integers, which: Words, begins: Integers, values: Integers) -> None:
    """Sort the rows of a bucket by subscriber, by counting; those of one subscriber keep their order.

    Parameters
    ----------
    rows, which
        As of `index_rows`.
    begins
        Where the rows of each subscriber begin, int64 of shape (subscribers,); changed to where they end.
    values
        Takes the second words of the rows, int64 of shape (≥ rows,).
    """
    for row in range(rows.shape[0]):
        one = which[row]
        if one >= 0:
            values[begins[one]] = rows[row, 1]
            begins[one] += 1


@compiled
def _too_fast(one: int, other: int, position_of: Words, speed: int) -> bool:
    """Whether d² > (v·dt)² from one row to a later one, dt in whole seconds rounded up."""
    from_cell, to_cell = one & CELL_MASK, other & CELL_MASK
    if from_cell == to_cell:
        return False
    dx = np.int64(position_of[from_cell, 0]) - np.int64(position_of[to_cell, 0])
    dy = np.int64(position_of[from_cell, 1]) - np.int64(position_of[to_cell, 1])
    reach = ((other >> CELL_BITS) - (one >> CELL_BITS) + (_SECOND - 1)) // _SECOND * speed
    return bool(dx * dx + dy * dy > reach * reach)


@compiled
def clean_rows(  # noqa: PLR0917 - compiled code takes no records
    values: Integers, begins: Integers, position_of: Words, ghost_us: int, speed: int, spare: Integers
) -> tuple[Integers, Integers]:
    """Order every subscriber's rows by (t_us, cell) and drop duplicates, ghosts and impossible speeds, in place.

    Parameters
    ----------
    values
        Of `group_rows`; afterwards the clean events of a subscriber are the first of its values.
    begins
        Where each subscriber's values begin, and the end of the last; int64 of shape (subscribers + 1,).
    position_of
        int32 of shape (cells, 2): x_m and y_m of each cell.
    ghost_us, speed
        Limits of the rules, 0 for off.
    spare
        int64 of at least the length of the longest run.

    Returns
    -------
    ends, dropped
        Where each subscriber's clean events end, int64 of shape (subscribers,); number of duplicates, ghosts and
        impossible speeds, int64 of shape (3,).
    """
    ends = np.empty(begins.size - 1, np.int64)
    dropped = np.zeros(3, np.int64)
    for one in range(ends.size):
        run = values[begins[one] : begins[one + 1]]
        kept = run.size
        if not _ascends(run):
            put_in_order(run, spare)
            kept = _without_duplicates(run)
            dropped[0] += run.size - kept
        if kept > 2 and (ghost_us > 0 or speed > 0):
            kept = _without_errors(run[:kept], position_of, ghost_us, speed, dropped)
        ends[one] = begins[one] + kept
    return ends, dropped


@compiled
def _ascends(run: Integers) -> bool:
    """Whether every value is larger than the one before it, as in almost every run of events ordered by time."""
    for row in range(1, run.size):  # noqa: SIM110 - a generator is not compiled
        if run[row] <= run[row - 1]:
            return False
    return True


@compiled
def _without_duplicates(run: Integers) -> int:
    """Move the distinct values of an ordered run to its front and return how many there are."""
    kept = min(run.size, 1)
    for row in range(1, run.size):
        if run[row] != run[kept - 1]:
            run[kept] = run[row]
            kept += 1
    return kept


@compiled
def _without_errors(run: Integers, position_of: Words, ghost_us: int, speed: int, dropped: Integers) -> int:
    """Move the rows that their original neighbours do not contradict to the front; return how many there are."""
    kept = 1
    before, this = run[0], run[1]
    fast = speed > 0 and _too_fast(before, this, position_of, speed)
    for row in range(1, run.size - 1):
        after = run[row + 1]
        was_fast, fast = fast, speed > 0 and _too_fast(this, after, position_of, speed)
        if (
            before & CELL_MASK == after & CELL_MASK
            and before & CELL_MASK != this & CELL_MASK
            and ghost_us > 0
            and (after >> CELL_BITS) - (before >> CELL_BITS) <= ghost_us
        ):
            dropped[1] += 1
        elif was_fast and fast:
            dropped[2] += 1
        else:
            run[kept] = this
            kept += 1
        before, this = this, after
    run[kept] = this
    return kept + 1


@compiled
def origins_of_events(  # noqa: PLR0917 - compiled code takes no records
    rows: Integers, which: Words, rank: Integers, values: Integers, begins: Integers, ends: Integers
) -> Integers:
    """Return the smallest origin of the rows of each clean event, int64 of shape (values,).

    Only needed for subscribers with more than one origin, which a correct source does not have.
    """
    origins = np.full(values.size, SUBSCRIBER_MASK, np.int64)
    for row in range(rows.shape[0]):
        if which[row] < 0:
            continue
        place = rank[which[row]]
        found = begins[place] + np.searchsorted(values[begins[place] : ends[place]], rows[row, 1])
        if found < ends[place] and values[found] == rows[row, 1]:
            origin = rows[row + 1, 0] if rows[row, 0] < 0 else 0
            origins[found] = min(origins[found], origin)
    return origins


@compiled
def note_activity(
    values: Integers, begins: Integers, ends: Integers, minutes: Integers, cell_hours: Words
) -> None:
    """Count the clean events of every elapsed minute, and set the bit of the hour in the mask of their cell.

    Parameters
    ----------
    values, begins, ends
        Of `clean_rows`.
    minutes
        int64 of shape (minutes of the day,).
    cell_hours
        int32 of shape (cells,).
    """
    for one in range(ends.size):
        for at in range(begins[one], ends[one]):
            minute = (values[at] >> CELL_BITS) // (60 * _SECOND)
            minutes[minute] += 1
            cell_hours[values[at] & CELL_MASK] |= 1 << minute // 60
