"""Activity in one pass over presence."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from node.presence.compiled import compiled
from node.statistics.activity import Parameters
from node.statistics.asking import Asked
from node.statistics.compiled.anchors import NOBODY, anchor_of, bin_of, mask_of
from node.statistics.compiled.cells import end_of
from node.statistics.compiled.passing import Unfit
from node.statistics.compiled.streaming import Rows, in_step

Integers = NDArray[np.int64]

#: Most events in a row of presence: the sum of a subscriber's rows fits into 64 bits then.
_MOST_EVENTS = 2**40


class Events(NamedTuple):
    """Presence with the events of each row, each int64 of shape (rows,); the names are those of the file."""

    subscriber: Integers
    origin: Integers
    zone: Integers
    hours_mask: Integers
    n: Integers


@compiled
def add_activity(rows: Rows, night: int, key: int, edges: Integers, counts: Integers) -> bool:
    """Count own subscribers by anchor and bin of their events; return whether every row had a possible number.

    Parameters
    ----------
    rows
        `Events` of whole subscribers.
    night, key
        As of `anchor_of`.
    edges
        Where bins begin, in events.
    counts
        Anchors by bins; changed.
    """
    begin = 0
    while begin < rows.subscriber.size:
        end, events = end_of(rows.subscriber, begin), 0
        anchor = anchor_of(rows, begin, end, night, key, counts.shape[0] - 1)
        for row in range(begin, end):
            if rows.origin[row] == 0:
                if not 0 <= rows.n[row] <= _MOST_EVENTS:
                    return False
                events += rows.n[row]
        if anchor != NOBODY:
            counts[anchor, bin_of(events, edges)] += 1
        begin = end
    return True


def at_zones(asked: Asked[Parameters]) -> Integers:
    """Return what `node.statistics.activity.at_zones` returns."""
    night, edges = mask_of(asked, asked.parameters.night_hours), np.array(asked.parameters.edges, np.int64)
    counts = np.zeros((asked.zones + 1, edges.size), np.int64)
    for (rows,) in in_step(asked, (Events,)):
        if not add_activity(rows, night, asked.inputs.key, edges, counts):
            raise Unfit
    return counts.reshape(-1)
