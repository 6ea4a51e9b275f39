"""Compiled: the anchor of a subscriber, as of `node.statistics.anchors.anchored`, and the bin of a number."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.presence.compiled import compiled
from node.statistics.asking import Asked
from node.statistics.compiled.cells import keyed_hash
from node.statistics.compiled.streaming import Rows

Integers = NDArray[np.int64]

#: What is said of somebody without an own row.
NOBODY = -1
_ZONE_BITS = 22
_ZONE_MASK = 2**_ZONE_BITS - 1
_AMOUNT_BITS = 51


def mask_of(asked: Asked[Any], clock: Collection[int]) -> int:
    """Return the elapsed hours at whose start the clock shows one of some hours, as a bit mask."""
    return sum(1 << hour for hour in asked.elapsed(clock))


@compiled
def hours_in(mask: int) -> int:
    """Return how many bits of a number that is not negative are set."""
    hours = 0
    while mask > 0:
        mask &= mask - 1
        hours += 1
    return hours


@compiled
def anchor_of(rows: Rows, begin: int, end: int, night: int, key: int, none: int) -> int:  # noqa: PLR0917
    """Return the zone in which one subscriber was dominant in most hours of the night.

    Parameters
    ----------
    rows
        Of presence.
    begin, end
        Which of them are the subscriber's.
    night
        Elapsed hours as a bit mask.
    key
        31-bit key of the hash that breaks ties.
    none
        What is said of an own subscriber who is nowhere in these hours; `NOBODY` of somebody without an own row.
    """
    anchor, best = NOBODY, -1
    for row in range(begin, end):
        if rows.origin[row] == 0:
            if anchor == NOBODY:
                anchor = none
            amount = hours_in(rows.hours_mask[row] & night)
            if amount > 0:
                tie = keyed_hash(rows.subscriber[row], rows.zone[row], key) >> 2
                packed = (amount << _AMOUNT_BITS) + (tie << _ZONE_BITS) + rows.zone[row]
                if packed > best:
                    anchor, best = packed & _ZONE_MASK, packed
    return anchor


@compiled
def bin_of(amount: int, edges: Integers) -> int:
    """Return the bin of a number: how many of the inner edges it reaches; they ascend."""
    place = 0
    while place + 1 < edges.size and amount >= edges[place + 1]:
        place += 1
    return place
