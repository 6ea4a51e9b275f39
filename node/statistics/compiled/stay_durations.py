"""Stay durations in one pass over presence and visits in step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from node.presence.compiled import compiled
from node.statistics.asking import Asked
from node.statistics.compiled.anchors import NOBODY, anchor_of, bin_of, mask_of
from node.statistics.compiled.cells import end_of, first_of
from node.statistics.compiled.flows import MINUTE_US
from node.statistics.compiled.streaming import Presence, Rows, Visits, in_step
from node.statistics.stay_durations import Parameters

Integers = NDArray[np.int64]


@compiled
def add_longest(  # noqa: PLR0917 - compiled code takes no records
    rows: Rows, visits: Rows, night: int, key: int, edges: Integers, counts: Integers
) -> None:
    """Count own subscribers who have an own visit by anchor and bin of their longest visit elsewhere.

    Parameters
    ----------
    rows, visits
        Presence and visits of the same whole subscribers.
    night, key
        As of `anchor_of`.
    edges
        Where bins begin, in minutes.
    counts
        Anchors by bins; changed.
    """
    begin, first = 0, 0
    while begin < rows.subscriber.size:
        end, subscriber = end_of(rows.subscriber, begin), rows.subscriber[begin]
        anchor = anchor_of(rows, begin, end, night, key, counts.shape[0] - 1)
        first = first_of(visits.subscriber, first, subscriber)
        longest = -1
        while first < visits.subscriber.size and visits.subscriber[first] == subscriber:
            if visits.origin[first] == 0:
                away = visits.zone[first] != anchor
                longest = max(longest, visits.t_out[first] - visits.t_in[first] if away else 0)
            first += 1
        if anchor != NOBODY and longest >= 0:
            counts[anchor, bin_of(longest // MINUTE_US, edges)] += 1
        begin = end


def at_zones(asked: Asked[Parameters]) -> Integers:
    """Return what `node.statistics.stay_durations.at_zones` returns."""
    night, edges = mask_of(asked, asked.parameters.night_hours), np.array(asked.parameters.edges, np.int64)
    counts = np.zeros((asked.zones + 1, edges.size), np.int64)
    for rows, visits in in_step(asked, (Presence, Visits)):
        add_longest(rows, visits, night, asked.inputs.key, edges, counts)
    return counts.reshape(-1)
