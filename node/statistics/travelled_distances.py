"""Travelled distances: how far every subscriber went on a local day, as a histogram by anchor zone.

The distance is the sum over consecutive stays (visits of at least `min_stay_minutes`) of the straight line
between the centres of their zones, each in whole metres, rounded down: √(dx² + dy²) with dx and dy whole
metres on a local plane. The anchor is the night zone of the same local date, as of `anchors_by_day`.
Somebody with a single stay, or none, went 0 metres. Only own subscribers count. Bounds: one bin of one
anchor zone, so one cell of at most 1.
Reference: González, Hidalgo and Barabási 2008, "Understanding individual human mobility patterns", Nature
453, 779-782 (jumps between consecutive positions).
"""

from __future__ import annotations

import ibis
import numpy as np
from ibis.expr.types import Table
from numpy.typing import NDArray

from node.engine import large_sum
from node.statistics import parameters
from node.statistics.anchors import anchored
from node.statistics.asking import Asked
from node.statistics.counting import PLACE, binned, counted
from node.statistics.flows import stays
from node.statistics.golden import Golden
from node.tables import SEQ, SUBSCRIBER, ZONE, X, Y
from quorate.contract.columns import Edges


class Parameters(parameters.Parameters):
    """What the charter fixes.

    Attributes
    ----------
    night_hours
        Clock hours that count as night.
    min_stay_minutes
        Shortest visit that is a stay.
    edges
        Where bins begin, in metres.
    """

    night_hours: parameters.ClockHours
    min_stay_minutes: parameters.StayMinutes
    edges: Edges


def distances(stayed: Table, positions: Table) -> Table:
    """Return (subscriber, metres) of everybody who has a stay."""
    placed = stayed.inner_join(positions, ZONE)
    order = ibis.window(group_by=SUBSCRIBER, order_by=[SEQ, ZONE])
    legs = placed.select(
        SUBSCRIBER, dx=placed[X] - placed[X].lag().over(order), dy=placed[Y] - placed[Y].lag().over(order)
    )
    squares = legs.select(SUBSCRIBER, squared=(legs.dx * legs.dx + legs.dy * legs.dy).fill_null(0))
    # Below 2⁵⁰ the square is an exact double, and its correctly rounded root has the right whole part.
    metres = squares.squared.cast("float64").sqrt().floor().cast("int64")
    return squares.group_by(SUBSCRIBER).aggregate(metres=large_sum(metres))


def at_zones(asked: Asked[Parameters]) -> NDArray[np.int64]:
    """Return the exact counts of zones, int64 of shape ((zones + 1)·bins,): anchors by bins of metres."""
    wanted = asked.parameters
    anchors = anchored(asked.own(), asked.elapsed(wanted.night_hours), asked.inputs.key, asked.zones)
    went = distances(stays(asked.own_visits(), wanted.min_stay_minutes), asked.positions())
    rows = anchors.left_join(went, SUBSCRIBER)
    bins = rows.select(ZONE, **{PLACE: binned(rows.metres.fill_null(0), wanted.edges)})
    return counted(bins, [ZONE, PLACE], (asked.zones + 1, len(wanted.edges))).reshape(-1)


GOLDEN = Golden(
    parameters={"night_hours": [0, 1, 2, 3, 4, 5], "min_stay_minutes": 30, "edges": [0, 5000, 10_001]},
    vector={"zone": [[0, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]], "district": [[0, 1, 1], [1, 0, 0]]},
    words="A and B are 5,000 m apart, B and C 6,000 m. Subscriber 1, anchored in A, goes 10,000 m; subscriber 2, "
    "anchored in B, 12,000 m; subscriber 3 nowhere.",
)
