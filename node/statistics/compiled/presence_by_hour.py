"""Presence by hour in one pass over presence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from node.presence.compiled import compiled
from node.statistics.asking import Asked
from node.statistics.compiled.cells import end_of
from node.statistics.compiled.streaming import Presence, Rows, in_step
from node.statistics.parameters import Parameters
from node.statistics.presence_by_hour import with_unobserved

Integers = NDArray[np.int64]


@compiled
def add_hours(mask: int, weight: int, counts: Integers) -> None:
    """Add a weight to the hours of a mask; a day has no others than `counts`."""
    mask &= (1 << counts.size) - 1
    hour = 0
    while mask > 0:
        counts[hour] += (mask & 1) * weight
        mask >>= 1
        hour += 1


@compiled
def add_presence(rows: Rows, counts: Integers) -> int:
    """Count own subscribers in the zones and hours in which they were; return how many there are.

    Parameters
    ----------
    rows
        Presence of whole subscribers.
    counts
        Zones and one more by hours; changed.
    """
    everybody, begin = 0, 0
    while begin < rows.subscriber.size:
        end, own = end_of(rows.subscriber, begin), 0
        for row in range(begin, end):
            if rows.origin[row] == 0:
                own = 1
                add_hours(rows.hours_mask[row], 1, counts[rows.zone[row]])
        everybody += own
        begin = end
    return everybody


def at_zones(asked: Asked[Parameters]) -> Integers:
    """Return what `node.statistics.presence_by_hour.at_zones` returns."""
    counts, everybody = np.zeros((asked.zones + 1, asked.hours), np.int64), 0
    for (rows,) in in_step(asked, (Presence,)):
        everybody += add_presence(rows, counts)
    return with_unobserved(counts, everybody)
