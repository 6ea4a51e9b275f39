"""Compiled: follow every subscriber of a bucket through the day, and write down presence and visits, packed.

The definitions are those of `node.presence.build`, visit by visit. Times count from local midnight. A row of
presence is three words, (t_first, zone), (t_last, hours_mask) and (n, origin); a row of visits is (t_in, zone),
(t_out, origin) and n. Unpacked they would take twice the memory.
"""

from __future__ import annotations

import numpy as np

from node.presence.compiled import compiled
from node.presence.kernel import CELL_BITS, CELL_MASK, Integers, Words
from node.presence.ordering import put_in_order

ZONE_BITS, ORIGIN_BITS, MASK_BITS = 22, 20, 25
_SECOND, _HOUR_S = 1_000_000, 3600
_SLOT_BITS = 32
_SLOT_MASK = 2**_SLOT_BITS - 1
_M31 = 2**31 - 1
_C1, _C2, _GOLDEN = 0x7FEB352D, 0x846CA68B, 0x9E3779B1 & _M31
# What is noted of each zone that a subscriber is met in: rows of a table with a column for each zone.
_ZONE, _FIRST, _LAST, _COUNT, _MASK, _ORIGIN, _DWELL, _TOUCHED, _ORDER, _SPARE = range(10)
# What is known of the hour that is being filled: which it is, and how many zones have a dwell in it.
_HOUR, _THERE = 0, 1


@compiled
def tie(subscriber: int, zone: int, key: int) -> int:
    """Return what breaks a tie: the upper 29 bits of `node.engine.keyed_hash`, then the zone."""
    word = ((subscriber & _M31) + zone * _GOLDEN + key) & _M31
    word = ((word ^ (word >> 15)) * _C1) & _M31
    word = ((word ^ (word >> 15)) * _C2) & _M31
    return ((word >> 2) << ZONE_BITS) + zone


@compiled
def _close_hour(notes: Integers, clock: Integers, subscriber: int, key: int) -> None:
    """Give the hour to the zone of the longest dwell in it, and clear its dwells."""
    there = clock[_THERE]
    if there == 0:
        return
    best = notes[_TOUCHED, 0]
    for place in range(1, there):
        slot = notes[_TOUCHED, place]
        if notes[_DWELL, slot] > notes[_DWELL, best] or (
            notes[_DWELL, slot] == notes[_DWELL, best]
            and tie(subscriber, notes[_ZONE, slot], key) > tie(subscriber, notes[_ZONE, best], key)
        ):
            best = slot
    notes[_MASK, best] |= 1 << clock[_HOUR]
    for place in range(there):
        notes[_DWELL, notes[_TOUCHED, place]] = 0
    clock[_THERE] = 0


@compiled
def _dwell(  # noqa: PLR0917 - compiled code takes no records
    notes: Integers, clock: Integers, slot: int, begin: int, end: int, subscriber: int, key: int
) -> None:
    """Add the seconds from `begin` to `end` to the hours that they are in; they follow all that came before."""
    while begin < end:
        hour = begin // _HOUR_S
        if hour != clock[_HOUR]:
            _close_hour(notes, clock, subscriber, key)
            clock[_HOUR] = hour
        if notes[_DWELL, slot] == 0:
            notes[_TOUCHED, clock[_THERE]] = slot
            clock[_THERE] += 1
        until = min(end, (hour + 1) * _HOUR_S)
        notes[_DWELL, slot] += until - begin
        begin = until


@compiled
def _write_presence(notes: Integers, found: int, slot_of: Integers, presence: Integers, row: int) -> None:
    """Write what is noted of the `found` zones from `row` on, in order of zone, and forget where they were noted."""
    order = notes[_ORDER, :found]
    for slot in range(found):
        order[slot] = (notes[_ZONE, slot] << _SLOT_BITS) | slot
        slot_of[notes[_ZONE, slot]] = -1
    put_in_order(order, notes[_SPARE])
    for place in range(found):
        slot = order[place] & _SLOT_MASK
        presence[row + place, 0] = (notes[_FIRST, slot] << ZONE_BITS) | notes[_ZONE, slot]
        presence[row + place, 1] = (notes[_LAST, slot] << MASK_BITS) | notes[_MASK, slot]
        presence[row + place, 2] = (notes[_COUNT, slot] << ORIGIN_BITS) | notes[_ORIGIN, slot]


@compiled
def walk(  # noqa: PLR0915, PLR0917 - one loop over the events, so that each is read once
    subscribers: Integers,
    values: Integers,
    begins: Integers,
    ends: Integers,
    lowest: Integers,
    highest: Integers,
    event_origins: Integers,
    zone_of: Words,
    zones: int,
    length_us: int,
    hold_us: int,
    back_us: int,
    key: int,
    presence: Integers,
    visits: Integers,
) -> tuple[Integers, Integers]:
    """Write presence and visits of the subscribers of a bucket.

    Parameters
    ----------
    subscribers
        Pseudonyms, int64 of shape (subscribers,), ascending.
    values, begins, ends, lowest, highest
        Clean events and origins, of `node.presence.kernel`.
    event_origins
        Of the same; only read where `lowest` and `highest` differ.
    zone_of
        int32 of shape (cells,): zone of each cell, below `zones`.
    zones
        Number of zones.
    length_us, hold_us, back_us
        Length of the local day, and how long an event holds after and before it.
    key
        31-bit key of the tie-breaking hash.
    presence, visits
        Take the packed rows, int64 of shape (≥ events, 3).

    Returns
    -------
    presences, stays
        Number of rows of each subscriber in `presence` and `visits`, int64 of shape (subscribers,).
    """
    count, longest = subscribers.size, 0
    for one in range(count):
        longest = max(longest, ends[one] - begins[one])
    presences, stays = np.empty(count, np.int64), np.empty(count, np.int64)
    notes = np.zeros((10, min(longest, zones)), np.int64)
    slot_of = np.full(zones, -1, np.int64)
    clock = np.zeros(2, np.int64)
    row, visit, before = 0, 0, 0
    for one in range(count):
        subscriber, found, at, end = subscribers[one], 0, begins[one], ends[one]
        clock[_HOUR], clock[_THERE] = 0, 0
        opens = max((values[at] >> CELL_BITS) - back_us, 0) if at < end else 0
        while at < end:
            zone = zone_of[values[at] & CELL_MASK]
            slot = slot_of[zone]
            if slot < 0:
                slot, slot_of[zone] = found, found
                notes[_ZONE, slot], notes[_FIRST, slot] = zone, values[at] >> CELL_BITS
                notes[_COUNT, slot], notes[_MASK, slot], notes[_ORIGIN, slot] = 0, 0, lowest[one]
                if lowest[one] != highest[one]:
                    notes[_ORIGIN, slot] = event_origins[at]
                found += 1
            first, begun, inside = at, opens, True
            since, time, stop = begun, begun, begun
            while inside:
                time = values[at] >> CELL_BITS
                stop = min(time + hold_us, length_us)
                at += 1
                inside = at < end
                if inside:
                    following = values[at] >> CELL_BITS
                    inside = zone_of[values[at] & CELL_MASK] == zone
                    # The nearer event holds, but no event before it reaches back.
                    middle, reach = time + (following - time) // 2, time + hold_us
                    stop = min(reach, max(middle, following - back_us))
                    opens = max(following - back_us, min(middle, reach))
                    # What is held without a gap adds up; most events end here.
                    if inside and opens > stop:
                        _dwell(notes, clock, slot, since // _SECOND, stop // _SECOND, subscriber, key)
                        since = opens
            _dwell(notes, clock, slot, since // _SECOND, stop // _SECOND, subscriber, key)
            origin = lowest[one]
            if lowest[one] != highest[one]:
                origin = event_origins[first:at].min()
            notes[_LAST, slot] = time
            notes[_COUNT, slot] += at - first
            notes[_ORIGIN, slot] = min(notes[_ORIGIN, slot], origin)
            visits[visit, 0] = (begun << ZONE_BITS) | zone
            visits[visit, 1] = (stop << ORIGIN_BITS) | origin
            visits[visit, 2] = at - first
            visit += 1
        _close_hour(notes, clock, subscriber, key)
        _write_presence(notes, found, slot_of, presence, row)
        presences[one], stays[one] = found, visit - before
        row, before = row + found, visit
    return presences, stays
