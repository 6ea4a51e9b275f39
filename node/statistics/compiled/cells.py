"""Compiled: the keyed hash, and at most L cells of a subscriber; the same as `node.statistics.counting.limited`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from node.presence.compiled import compiled
from node.presence.ordering import put_in_order

Integers = NDArray[np.int64]

_M31 = 2**31 - 1
_C1, _C2, _GOLDEN = 0x7FEB352D, 0x846CA68B, 0x9E3779B1 & _M31
_PLACE_BITS = 31
#: Up to so many cells are kept by insertion, which is cheaper than sorting all.
_FEW = 16


@compiled
def keyed_hash(subscriber: int, item: int, key: int) -> int:
    """Return `node.engine.keyed_hash` of a subscriber and an item."""
    word = ((subscriber & _M31) + (item & _M31) * _GOLDEN + key) & _M31
    word = ((word ^ (word >> 15)) * _C1) & _M31
    return ((word ^ (word >> 15)) * _C2) & _M31


@compiled
def end_of(subscribers: Integers, begin: int) -> int:
    """Return where the rows of the subscriber whose first row is `begin` end."""
    end = begin + 1
    while end < subscribers.size and subscribers[end] == subscribers[begin]:
        end += 1
    return end


@compiled
def first_of(subscribers: Integers, begin: int, subscriber: int) -> int:
    """Return the first row from `begin` on of a subscriber, or of one that comes later."""
    while begin < subscribers.size and subscribers[begin] < subscriber:
        begin += 1
    return begin


@compiled
def count_some(  # noqa: PLR0917 - compiled code takes no records
    places: Integers, subscriber: int, limit: int, key: int, spare: Integers, counts: Integers
) -> None:
    """Count at most `limit` of a subscriber's cells: those with the smallest keyed hashes, then places.

    Parameters
    ----------
    places
        Cells below 2³¹ and the length of `counts`, some twice; overwritten.
    subscriber, limit, key
        As of `node.statistics.counting.limited`.
    spare
        Of at least the length of `places`.
    counts
        Of every cell; changed.
    """
    for at in range(places.size):
        places[at] |= keyed_hash(subscriber, places[at], key) << _PLACE_BITS
    if limit > _FEW:
        put_in_order(places, spare)
        kept = _distinct(places, limit, spare)
    else:
        kept = _smallest(places, limit, spare)
    for at in range(kept):
        counts[spare[at] & _M31] += 1


@compiled
def _distinct(run: Integers, limit: int, kept: Integers) -> int:
    """Put the first `limit` different numbers of an ordered run into `kept`; return how many there are."""
    count, before = 0, -1
    for value in run:
        if value != before:
            if count == limit:
                break
            kept[count] = before = value
            count += 1
    return count


@compiled
def _smallest(values: Integers, limit: int, kept: Integers) -> int:
    """Put the smallest `limit` different numbers into `kept` in order; return how many there are."""
    count = 0
    for value in values:
        if count == limit and value >= kept[count - 1]:
            continue
        place = count
        while place > 0 and kept[place - 1] > value:
            place -= 1
        if place > 0 and kept[place - 1] == value:
            continue
        count = min(count + 1, limit)
        for at in range(count - 1, place, -1):
            kept[at] = kept[at - 1]
        kept[place] = value
    return count
