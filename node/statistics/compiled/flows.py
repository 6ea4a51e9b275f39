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
    rows: Rows,
    areas: Integers,
    sizes: Integers,
    shortest_us: int,
    limit: int,
    key: int,
    counts: Integers,
) -> None:
    """Count at most `limit` pairs of areas of consecutive stays of every own subscriber, at every level.

    Parameters
    ----------
    rows
        Visits of whole subscribers.
    areas, sizes
        Area of each zone by level, int64 of shape (levels, zones), below the level's size.
    shortest_us
        Shortest visit that is a stay.
    limit, key
        Of the parameters, and the key of the sampling.
    counts
        Of every pair of one level after the other, of shape (sum of sizes²,); changed.
    """
    stays = np.empty(rows.zone.size + 1, np.int64)
    found, spare = np.empty_like(stays), np.empty_like(stays)
    begin = 0
    while begin < rows.subscriber.size:
        end, stayed = end_of(rows.subscriber, begin), 0
        for row in range(begin, end):
            # Written always and counted sometimes: nothing is guessed by the processor.
            stays[stayed] = rows.zone[row]
            stayed += (rows.origin[row] == 0) & (rows.t_out[row] - rows.t_in[row] >= shortest_us)
        first = 0
        for level in range(sizes.size):
            moves = _pairs(stays[:stayed], areas[level], sizes[level], found)
            count_some(found[:moves], rows.subscriber[begin], limit, key, spare, counts[first:])
            first += sizes[level] * sizes[level]
        begin = end


@compiled
def _pairs(stays: Integers, areas: Integers, size: int, found: Integers) -> int:
    """Put the pairs of different areas of consecutive stays into `found`; return how many there are."""
    moves = 0
    for at in range(1, stays.size):
        before, area = areas[stays[at - 1]], areas[stays[at]]
        found[moves] = before * size + area
        moves += area != before
    return moves


def at_levels(asked: Asked[Parameters]) -> list[Integers]:
    """Return what `node.statistics.flows.at_level` returns, of every level."""
    wanted, key = asked.parameters, asked.inputs.sampling_key
    areas = np.stack([area_of(asked.inputs.zoning, level.name) for level in asked.keyset.levels])
    sizes = np.array([level.areas + 1 for level in asked.keyset.levels])
    counts = np.zeros((sizes**2).sum(), np.int64)
    shortest = wanted.min_stay_minutes * MINUTE_US
    for (rows,) in in_step(asked, (Visits,)):
        add_pairs(rows, areas, sizes, shortest, wanted.limit, key, counts)
    return np.split(counts, np.cumsum(sizes**2)[:-1])
