"""Flows: how many subscribers went from one area to another on a local day.

A stay is a visit to a zone of at least `min_stay_minutes`; shorter ones are passed through and left out.
Two consecutive stays of the day in different areas are a flow from the first to the second. A zone that is
in no area of a level is `elsewhere`, which counts as an area. Each pair of areas counts once for a
subscriber, and of the pairs at most `limit`, drawn by a keyed hash. Nothing is carried over midnight. Only
own subscribers count. Pairs of larger areas are not sums of pairs of zones, so every level is counted by
itself. Bounds: L cells of at most 1 at every level.
Reference: Calabrese, Di Lorenzo, Liu and Ratti 2011, "Estimating origin-destination flows using mobile
phone location data", IEEE Pervasive Computing 10(4), 36-44.
"""

from __future__ import annotations

import ibis
import numpy as np
from ibis.expr.types import Table
from numpy.typing import NDArray

from node.statistics import parameters
from node.statistics.asking import Asked
from node.statistics.counting import PLACE, counted, distinct_cells, limited
from node.statistics.golden import Golden
from node.statistics.levels import AREA, areas_of
from node.tables import IN, OUT, SEQ, SUBSCRIBER, ZONE

_FROM = "from_area"


class Parameters(parameters.Parameters):
    """What the charter fixes.

    Attributes
    ----------
    min_stay_minutes
        Shortest visit that is a stay.
    limit
        L, the most pairs of one subscriber.
    """

    min_stay_minutes: parameters.StayMinutes
    limit: parameters.Limit


def stays(visits: Table, min_stay_minutes: int) -> Table:
    """Return the visits that last long enough."""
    return visits.filter(visits[OUT] - visits[IN] >= min_stay_minutes * 60_000_000)


def flows(stayed: Table, areas: Table, rows: int) -> Table:
    """Return (subscriber, place): each pair of areas of consecutive stays once, as origin·rows + destination."""
    placed = stayed.inner_join(areas, ZONE)
    before = placed[AREA].lag().over(ibis.window(group_by=SUBSCRIBER, order_by=[SEQ, AREA]))
    steps = placed.select(SUBSCRIBER, AREA, **{_FROM: before})
    moved = steps.filter(steps[_FROM].notnull() & (steps[_FROM] != steps[AREA]))
    return distinct_cells(moved, moved[_FROM] * rows + moved[AREA])


def at_level(asked: Asked[Parameters], level: str) -> NDArray[np.int64]:
    """Return the exact counts of a level, int64 of shape ((areas + 1)²,): origins by destinations."""
    rows = len(asked.inputs.zoning.members(level)) + 1
    stayed = stays(asked.own_visits(), asked.parameters.min_stay_minutes)
    cells = flows(stayed, areas_of(asked.inputs.zoning, level), rows)
    kept = limited(cells, asked.parameters.limit, asked.inputs.sampling_key)
    return counted(kept, [PLACE], (rows * rows,))


GOLDEN = Golden(
    parameters={"min_stay_minutes": 30, "limit": 2},
    vector={
        "zone": [[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]],
        "district": [[0, 1], [1, 0]],
    },
    words="Subscriber 1 goes from A to B and back, which is within one district; subscriber 2 from B to C, which is "
    "elsewhere for districts, and back.",
)
