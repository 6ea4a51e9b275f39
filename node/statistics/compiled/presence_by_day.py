"""Presence by day in one pass over presence, at every level at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from node.presence.compiled import compiled
from node.statistics.anchors import EVERY_HOUR
from node.statistics.asking import Asked
from node.statistics.compiled.anchors import hours_in
from node.statistics.compiled.cells import count_some, end_of
from node.statistics.compiled.streaming import Presence, Rows, in_step
from node.statistics.levels import area_of
from node.statistics.presence_by_day import Parameters

Integers = NDArray[np.int64]

_EVERY_HOUR = 2 ** len(EVERY_HOUR) - 1
_ABSENT = -1


@compiled
def add_areas(  # noqa: PLR0917 - compiled code takes no records
    rows: Rows, areas: Integers, least: int, limit: int, key: int, spent: Integers, counts: Integers
) -> None:
    """Count at most `limit` areas of every own subscriber, of those with at least `least` hours.

    Parameters
    ----------
    rows
        Presence of whole subscribers.
    areas
        Area of each zone.
    least, limit, key
        Of the parameters, and the key of the sampling.
    spent
        Room for the hours in each area, `_ABSENT` before and after.
    counts
        Of every area; changed.
    """
    found, spare = np.empty(rows.zone.size, np.int64), np.empty(rows.zone.size, np.int64)
    begin = 0
    while begin < rows.subscriber.size:
        end, there = end_of(rows.subscriber, begin), 0
        for row in range(begin, end):
            if rows.origin[row] == 0:
                area = areas[rows.zone[row]]
                if spent[area] == _ABSENT:
                    spent[area], found[there] = 0, area
                    there += 1
                spent[area] += hours_in(rows.hours_mask[row] & _EVERY_HOUR)
        kept = _long_enough(found[:there], least, spent)
        count_some(found[:kept], rows.subscriber[begin], limit, key, spare, counts)
        begin = end


@compiled
def _long_enough(found: Integers, least: int, spent: Integers) -> int:
    """Move the areas with enough hours to the front, return how many there are, and forget all hours."""
    kept = 0
    for area in found:
        if spent[area] >= least:
            found[kept] = area
            kept += 1
        spent[area] = _ABSENT
    return kept


def at_levels(asked: Asked[Parameters]) -> list[Integers]:
    """Return what `node.statistics.presence_by_day.at_level` returns, of every level."""
    wanted, key = asked.parameters, asked.inputs.sampling_key
    areas = [area_of(asked.inputs.zoning, level.name) for level in asked.keyset.levels]
    counts = [np.zeros(level.areas + 1, np.int64) for level in asked.keyset.levels]
    spent = [np.full(level.areas + 1, _ABSENT, np.int64) for level in asked.keyset.levels]
    for (rows,) in in_step(asked, (Presence,)):
        for place, found in enumerate(counts):
            add_areas(rows, areas[place], wanted.min_hours, wanted.limit, key, spent[place], found)
    return counts
