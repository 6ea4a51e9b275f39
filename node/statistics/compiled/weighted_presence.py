"""Weighted presence in one pass over presence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from node.presence.compiled import compiled
from node.statistics.asking import Asked
from node.statistics.compiled.anchors import NOBODY, anchor_of, mask_of
from node.statistics.compiled.cells import end_of
from node.statistics.compiled.presence_by_hour import add_hours
from node.statistics.compiled.streaming import Presence, Rows, in_step
from node.statistics.presence_by_hour import with_unobserved
from node.statistics.weighted_presence import Parameters, checked_weights

Integers = NDArray[np.int64]


@compiled
def add_weights(rows: Rows, night: int, key: int, weights: Integers, counts: Integers) -> int:
    """Add the weight of every own subscriber to the zones and hours in which they were; return that of all together.

    Parameters
    ----------
    rows
        Presence of whole subscribers.
    night, key
        As of `anchor_of`.
    weights
        By anchor zone, then of the unanchored.
    counts
        Zones and one more by hours; changed.
    """
    total, begin = 0, 0
    while begin < rows.subscriber.size:
        end = end_of(rows.subscriber, begin)
        anchor = anchor_of(rows, begin, end, night, key, weights.size - 1)
        if anchor != NOBODY:
            total += weights[anchor]
            for row in range(begin, end):
                if rows.origin[row] == 0:
                    add_hours(rows.hours_mask[row], weights[anchor], counts[rows.zone[row]])
        begin = end
    return total


def at_zones(asked: Asked[Parameters]) -> Integers:
    """Return what `node.statistics.weighted_presence.at_zones` returns."""
    weights, night = (
        np.ascontiguousarray(checked_weights(asked)),
        mask_of(asked, asked.parameters.night_hours),
    )
    counts, total = np.zeros((asked.zones + 1, asked.hours), np.int64), 0
    for (rows,) in in_step(asked, (Presence,)):
        total += add_weights(rows, night, asked.inputs.key, weights, counts)
    return with_unobserved(counts, total)
