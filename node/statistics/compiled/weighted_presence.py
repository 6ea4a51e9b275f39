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
from node.statistics.presence_by_hour import two_zones
from node.statistics.weighted_presence import Parameters, checked_weights, silent_rows

Integers = NDArray[np.int64]


@compiled
def add_weights(  # noqa: PLR0917 - compiled code takes no records
    rows: Rows, night: int, key: int, weights: Integers, places: Integers, counts: Integers
) -> bool:
    """Add the weight of every own subscriber to one cell of each hour: that of the zone, or the one for the silent.

    Returns False if a subscriber has two zones in one hour.

    Parameters
    ----------
    rows
        Presence of whole subscribers.
    night, key
        As of `anchor_of`.
    weights, places
        By anchor zone, then of the unanchored: the weight, and the row of the silent in `counts`.
    counts
        Zones and special rows by hours; changed.
    """
    begin, day = 0, (1 << counts.shape[1]) - 1
    while begin < rows.subscriber.size:
        end = end_of(rows.subscriber, begin)
        anchor = anchor_of(rows, begin, end, night, key, weights.size - 1)
        if anchor != NOBODY:
            seen = 0
            for row in range(begin, end):
                if rows.origin[row] == 0:
                    hours = rows.hours_mask[row] & day
                    if hours & seen:
                        return False
                    seen |= hours
                    add_hours(hours, weights[anchor], counts[rows.zone[row]])
            add_hours(day & ~seen, weights[anchor], counts[places[anchor]])
        begin = end
    return True


def at_zones(asked: Asked[Parameters]) -> Integers:
    """Return what `node.statistics.weighted_presence.at_zones` returns."""
    weights, wanted = np.ascontiguousarray(checked_weights(asked)), asked.parameters
    night = mask_of(asked, wanted.night_hours)
    places = asked.zones + silent_rows(asked.inputs.zoning, wanted.silent_level)
    counts = np.zeros((asked.zones + len(asked.keyset.specials), asked.hours), np.int64)
    for (rows,) in in_step(asked, (Presence,)):
        if not add_weights(rows, night, asked.inputs.key, weights, places, counts):
            raise two_zones()
    return counts.reshape(-1)
