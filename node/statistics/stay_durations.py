"""Stay durations: how long the longest stay outside the anchor zone was, as a histogram by anchor zone.

The anchor is the night zone of the same local date, as of `anchors_by_day`. Of each subscriber the longest
visit to a zone other than the anchor counts, in whole minutes from when its first event begins
to hold until its last one ends to; silences inside a visit belong to it. Somebody who is seen in the anchor
only has 0 minutes; for the unanchored every zone is another. Only own subscribers count. Bounds: one bin of
one anchor zone, so one cell of at most 1.
Reference: Hariharan and Toyama 2004, "Project Lachesis: parsing and modeling location histories", GIScience
2004, LNCS 3234, 106-124 (stays).
"""

from __future__ import annotations

import ibis
import numpy as np
from ibis.expr.types import Table
from numpy.typing import NDArray

from node.statistics import parameters
from node.statistics.anchors import anchored
from node.statistics.asking import Asked
from node.statistics.counting import PLACE, binned, counted
from node.statistics.golden import Golden
from node.tables import IN, OUT, SUBSCRIBER, ZONE
from quorate.contract.columns import Edges

_ANCHOR = "anchor"


class Parameters(parameters.Parameters):
    """What the charter fixes.

    Attributes
    ----------
    night_hours
        Clock hours that count as night.
    edges
        Where bins begin, in minutes.
    """

    night_hours: parameters.ClockHours
    edges: Edges


def longest_away(visits: Table, anchors: Table) -> Table:
    """Return (subscriber, anchor, minutes) of everybody who has a visit."""
    rows = visits.inner_join(anchors.rename(**{_ANCHOR: ZONE}), SUBSCRIBER)
    minutes = (rows[OUT] - rows[IN]) // 60_000_000
    away = ibis.ifelse(rows[ZONE] == rows[_ANCHOR], 0, minutes)
    return rows.group_by([SUBSCRIBER, _ANCHOR]).aggregate(minutes=away.max())


def at_zones(asked: Asked[Parameters]) -> NDArray[np.int64]:
    """Return the exact counts of zones, int64 of shape ((zones + 1)·bins,): anchors by bins of minutes."""
    night, edges = asked.elapsed(asked.parameters.night_hours), asked.parameters.edges
    anchors = anchored(asked.own(), night, asked.inputs.key, asked.zones)
    longest = longest_away(asked.own_visits(), anchors)
    bins = longest.mutate(**{PLACE: binned(longest.minutes, edges)})
    return counted(bins, [_ANCHOR, PLACE], (asked.zones + 1, len(edges))).reshape(-1)


GOLDEN = Golden(
    parameters={"night_hours": [0, 1, 2, 3, 4, 5], "edges": [0, 61, 240]},
    vector={"zone": [[0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 1, 0]], "district": [[1, 0, 1], [0, 1, 0]]},
    words="Subscriber 1, anchored in A, is in B for 600 minutes; subscriber 2, anchored in B, in C for 60; "
    "subscriber 3, unanchored, in C for 120.",
)
