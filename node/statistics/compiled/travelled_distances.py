"""Travelled distances in one pass over presence and visits in step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from node.presence.compiled import compiled
from node.statistics.asking import Asked
from node.statistics.compiled.anchors import NOBODY, anchor_of, bin_of, mask_of
from node.statistics.compiled.cells import end_of, first_of
from node.statistics.compiled.flows import MINUTE_US
from node.statistics.compiled.streaming import Presence, Rows, Visits, in_step
from node.statistics.travelled_distances import Parameters

Integers = NDArray[np.int64]


@compiled
def metres(coordinates: Integers, one: int, other: int) -> int:
    """Return the straight line between two zones, rounded down.

    Below 2⁵⁰ the square is an exact double, and its correctly rounded root has the right whole part.
    """
    dx = coordinates[0, one] - coordinates[0, other]
    dy = coordinates[1, one] - coordinates[1, other]
    return int(np.int64(np.floor(np.sqrt(np.float64(dx * dx + dy * dy)))))


@compiled
def add_distances(  # noqa: PLR0917 - compiled code takes no records
    rows: Rows,
    visits: Rows,
    coordinates: Integers,
    shortest_us: int,
    night: int,
    key: int,
    edges: Integers,
    counts: Integers,
) -> None:
    """Count own subscribers by anchor and bin of the metres between their consecutive stays.

    Parameters
    ----------
    rows, visits
        Presence and visits of the same whole subscribers.
    coordinates
        x_m and y_m of every zone.
    shortest_us
        Shortest visit that is a stay.
    night, key
        As of `anchor_of`.
    edges
        Where bins begin, in metres.
    counts
        Anchors by bins; changed.
    """
    begin, first = 0, 0
    while begin < rows.subscriber.size:
        end, subscriber = end_of(rows.subscriber, begin), rows.subscriber[begin]
        anchor = anchor_of(rows, begin, end, night, key, counts.shape[0] - 1)
        first = first_of(visits.subscriber, first, subscriber)
        went, before = 0, -1
        while first < visits.subscriber.size and visits.subscriber[first] == subscriber:
            if visits.origin[first] == 0 and visits.t_out[first] - visits.t_in[first] >= shortest_us:
                if before >= 0:
                    went += metres(coordinates, before, visits.zone[first])
                before = visits.zone[first]
            first += 1
        if anchor != NOBODY:
            counts[anchor, bin_of(went, edges)] += 1
        begin = end


def at_zones(asked: Asked[Parameters]) -> Integers:
    """Return what `node.statistics.travelled_distances.at_zones` returns."""
    wanted, coordinates = asked.parameters, asked.coordinates()
    night, edges = mask_of(asked, wanted.night_hours), np.array(wanted.edges, np.int64)
    counts, shortest = np.zeros((asked.zones + 1, edges.size), np.int64), wanted.min_stay_minutes * MINUTE_US
    for rows, visits in in_step(asked, (Presence, Visits)):
        add_distances(rows, visits, coordinates, shortest, night, asked.inputs.key, edges, counts)
    return counts.reshape(-1)
