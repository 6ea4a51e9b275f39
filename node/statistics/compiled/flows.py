"""Flows in one pass over visits, at every level at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from node.presence.compiled import compiled
from node.statistics.asking import Asked
from node.statistics.compiled.cells import count_some, end_of
from node.statistics.compiled.streaming import Rows, Visits, in_step
from node.statistics.flows import Parameters
from node.statistics.levels import area_of

Integers = NDArray[np.int64]

MINUTE_US = 60_000_000


@compiled
def add_pairs(  # noqa: PLR0917 - compiled code takes no records
    rows: Rows, areas: Integers, size: int, shortest_us: int, limit: int, key: int, counts: Integers
) -> None:
    """Count at most `limit` pairs of areas of consecutive stays of every own subscriber.

    Parameters
    ----------
    rows
        Visits of whole subscribers.
    areas, size
        Area of each zone, below `size`.
    shortest_us
        Shortest visit that is a stay.
    limit, key
        Of the parameters, and the key of the sampling.
    counts
        Of every pair, of shape (size²,); changed.
    """
    found, spare = np.empty(rows.zone.size, np.int64), np.empty(rows.zone.size, np.int64)
    begin = 0
    while begin < rows.subscriber.size:
        end, moves, before = end_of(rows.subscriber, begin), 0, -1
        for row in range(begin, end):
            if rows.origin[row] == 0 and rows.t_out[row] - rows.t_in[row] >= shortest_us:
                area = areas[rows.zone[row]]
                if before >= 0 and area != before:
                    found[moves] = before * size + area
                    moves += 1
                before = area
        count_some(found[:moves], rows.subscriber[begin], limit, key, spare, counts)
        begin = end


def at_levels(asked: Asked[Parameters]) -> list[Integers]:
    """Return what `node.statistics.flows.at_level` returns, of every level."""
    wanted, key = asked.parameters, asked.inputs.sampling_key
    areas = [area_of(asked.inputs.zoning, level.name) for level in asked.keyset.levels]
    sizes = [level.areas + 1 for level in asked.keyset.levels]
    counts = [np.zeros(size * size, np.int64) for size in sizes]
    shortest = wanted.min_stay_minutes * MINUTE_US
    for (rows,) in in_step(asked, (Visits,)):
        for place, found in enumerate(counts):
            add_pairs(rows, areas[place], sizes[place], shortest, wanted.limit, key, found)
    return counts
