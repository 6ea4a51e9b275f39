"""Activity: how many events every subscriber had on a local day, as a histogram by anchor zone; a quality
indicator.

Events are those that cleaning left, distinct by time and cell. The anchor is the night zone of the same
local date, as of `anchors_by_day`. Only own subscribers count. Bounds: one bin of one anchor zone, so one
cell of at most 1.
Reference: Zhao, Shaw, Xu, Lu, Chen and Yin 2016, "Understanding the bias of call detail records in human
mobility research", International Journal of Geographical Information Science 30(9), 1738-1762.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from node.engine import large_sum
from node.statistics import parameters
from node.statistics.anchors import anchored
from node.statistics.asking import Asked
from node.statistics.counting import PLACE, binned, counted
from node.statistics.golden import Golden
from node.tables import COUNT, ZONE
from quorate.contract.columns import Edges


class Parameters(parameters.Parameters):
    """What the charter fixes.

    Attributes
    ----------
    night_hours
        Clock hours that count as night.
    edges
        Where bins begin, in events.
    """

    night_hours: parameters.ClockHours
    edges: Edges


def at_zones(asked: Asked[Parameters]) -> NDArray[np.int64]:
    """Return the exact counts of zones, int64 of shape ((zones + 1)·bins,): anchors by bins of events."""
    presence, edges = asked.own(), asked.parameters.edges
    night = asked.elapsed(asked.parameters.night_hours)
    found = anchored(presence, night, asked.inputs.key, asked.zones, events=large_sum(presence[COUNT]))
    bins = found.select(ZONE, **{PLACE: binned(found.events, edges)})
    return counted(bins, [ZONE, PLACE], (asked.zones + 1, len(edges))).reshape(-1)


GOLDEN = Golden(
    parameters={"night_hours": [0, 1, 2, 3, 4, 5], "edges": [0, 5, 20]},
    vector={"zone": [[0, 0, 1], [0, 1, 0], [0, 0, 0], [1, 0, 0]], "district": [[0, 1, 1], [1, 0, 0]]},
    words="Subscriber 1, anchored in A, has 30 events; subscriber 2, anchored in B, has 8; subscriber 3, unanchored, "
    "has 1.",
)
