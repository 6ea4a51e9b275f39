"""Anchors by day in one pass over presence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from node.presence.compiled import compiled
from node.statistics.anchors_by_day import Parameters
from node.statistics.asking import Asked
from node.statistics.compiled.anchors import NOBODY, anchor_of, mask_of
from node.statistics.compiled.cells import end_of
from node.statistics.compiled.streaming import Presence, Rows, in_step

Integers = NDArray[np.int64]


@compiled
def add_anchors(rows: Rows, night: int, key: int, counts: Integers) -> None:
    """Count own subscribers by their anchor.

    Parameters
    ----------
    rows
        Presence of whole subscribers.
    night, key
        As of `anchor_of`.
    counts
        Of zones, then of the unanchored; changed.
    """
    begin = 0
    while begin < rows.subscriber.size:
        end = end_of(rows.subscriber, begin)
        anchor = anchor_of(rows, begin, end, night, key, counts.size - 1)
        if anchor != NOBODY:
            counts[anchor] += 1
        begin = end


def at_zones(asked: Asked[Parameters]) -> Integers:
    """Return what `node.statistics.anchors_by_day.at_zones` returns."""
    night, counts = mask_of(asked, asked.parameters.night_hours), np.zeros(asked.zones + 1, np.int64)
    for (rows,) in in_step(asked, (Presence,)):
        add_anchors(rows, night, asked.inputs.key, counts)
    return counts
