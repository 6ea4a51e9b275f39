"""Radius of gyration in one pass over presence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from node.presence.compiled import compiled
from node.statistics.anchors import EVERY_HOUR
from node.statistics.asking import Asked
from node.statistics.compiled.anchors import NOBODY, anchor_of, hours_in, mask_of
from node.statistics.compiled.cells import end_of
from node.statistics.compiled.passing import Unfit
from node.statistics.compiled.streaming import Presence, Rows, in_step
from node.statistics.gyration import Parameters

Integers = NDArray[np.int64]

_HOURS = len(EVERY_HOUR)
_EVERY_HOUR = 2**_HOURS - 1


@compiled
def add_radii(  # noqa: PLR0917 - compiled code takes no records
    rows: Rows, coordinates: Integers, night: int, key: int, edges: Integers, counts: Integers
) -> bool:
    """Count own subscribers by anchor and bin of their radius; False if one has more hours than a day.

    With at most 25 hours, 10⁷ m and edges of 10⁸ m all numbers stay below 2⁶³.
    """
    begin = 0
    while begin < rows.subscriber.size:
        end = end_of(rows.subscriber, begin)
        anchor = anchor_of(rows, begin, end, night, key, counts.shape[0] - 1)
        total, east, north, squared = 0, 0, 0, 0
        for row in range(begin, end):
            if rows.origin[row] == 0:
                hours = hours_in(rows.hours_mask[row] & _EVERY_HOUR)
                x, y = coordinates[0, rows.zone[row]], coordinates[1, rows.zone[row]]
                total += hours
                east += hours * x
                north += hours * y
                squared += hours * (x * x + y * y)
                if total > _HOURS:
                    return False
        if anchor != NOBODY:
            counts[anchor, _radius_bin(total, total * squared - east * east - north * north, edges)] += 1
        begin = end
    return True


@compiled
def _radius_bin(total: int, spread: int, edges: Integers) -> int:
    """Return how many of the inner edges a radius reaches; somebody without an hour must not reach every edge."""
    hours, place = max(total, 1), 0
    while place + 1 < edges.size and spread >= edges[place + 1] * edges[place + 1] * hours * hours:
        place += 1
    return place


def at_zones(asked: Asked[Parameters]) -> Integers:
    """Return what `node.statistics.gyration.at_zones` returns."""
    night, edges = mask_of(asked, asked.parameters.night_hours), np.array(asked.parameters.edges, np.int64)
    counts, coordinates = np.zeros((asked.zones + 1, edges.size), np.int64), asked.coordinates()
    for (rows,) in in_step(asked, (Presence,)):
        if not add_radii(rows, coordinates, night, asked.inputs.key, edges, counts):
            raise Unfit
    return counts.reshape(-1)
