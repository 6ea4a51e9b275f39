"""Radius of gyration: how far from their middle subscribers spend their day, as a histogram by anchor zone.

The middle is the mean of the centres of the zones in which the subscriber was dominant, by hours; the
radius of gyration is the root of the mean squared distance from it, by hours too. With w hours in a zone at
p and W = Σw it is r² = (W·Σw|p|² − |Σwp|²)/W², so that r ≥ e exactly when W·Σw|p|² − |Σwp|² ≥ e²W²: bins
are told apart in whole numbers, without a root or a division. The anchor is the night zone of the same
local date, as of `anchors_by_day`. Only own subscribers count. Bounds: one bin of one anchor zone, so one
cell of at most 1.
Reference: González, Hidalgo and Barabási 2008, "Understanding individual human mobility patterns", Nature
453, 779-782 (there over recorded positions).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

import ibis
import numpy as np
from ibis.expr.types import IntegerValue, Table
from numpy.typing import NDArray

from node.engine import large_sum, small_sum
from node.statistics import parameters
from node.statistics.anchors import EVERY_HOUR, anchored, hours_in
from node.statistics.asking import Asked
from node.statistics.counting import PLACE, counted
from node.statistics.golden import Golden
from node.tables import MASK, ZONE, X, Y
from quorate.contract.columns import Edges


class Parameters(parameters.Parameters):
    """What the charter fixes.

    Attributes
    ----------
    night_hours
        Clock hours that count as night.
    edges
        Where bins begin, in metres.
    """

    night_hours: parameters.ClockHours
    edges: Edges


def moments(presence: Table, positions: Table, night: Sequence[int], key: int, none: int) -> Table:
    """Return (subscriber, zone, total, east, north, squared): W, Σwx, Σwy and Σw(x² + y²) beside the anchor.

    With at most 25 hours and 10⁷ m they stay below 2⁵³.
    """
    placed = presence.inner_join(positions, ZONE)
    rows = placed.mutate(hours=hours_in(placed[MASK], EVERY_HOUR))
    return anchored(
        rows,
        night,
        key,
        none,
        total=small_sum(rows.hours),
        east=large_sum(rows.hours * rows[X]),
        north=large_sum(rows.hours * rows[Y]),
        squared=large_sum(rows.hours * (rows[X] * rows[X] + rows[Y] * rows[Y])),
    )


def radius_bin(found: Table, edges: Sequence[int]) -> IntegerValue:
    """Return the bin of the radius of gyration: how many of the inner edges it reaches."""
    spread = found.total * found.squared - found.east * found.east - found.north * found.north
    # Somebody without an hour has no spread either, and must not reach every edge.
    hours = ibis.greatest(found.total, 1)
    reached = (ibis.ifelse(spread >= edge * edge * hours * hours, 1, 0) for edge in edges[1:])
    return reduce(add, reached, ibis.literal(0, "int64"))


def at_zones(asked: Asked[Parameters]) -> NDArray[np.int64]:
    """Return the exact counts of zones, int64 of shape ((zones + 1)·bins,): anchors by bins of metres."""
    night, edges = asked.elapsed(asked.parameters.night_hours), asked.parameters.edges
    found = moments(asked.own(), asked.positions(), night, asked.inputs.key, asked.zones)
    bins = found.select(ZONE, **{PLACE: radius_bin(found, edges)})
    return counted(bins, [ZONE, PLACE], (asked.zones + 1, len(edges))).reshape(-1)


GOLDEN = Golden(
    parameters={"night_hours": [0, 1, 2, 3, 4, 5], "edges": [0, 1200, 2400]},
    vector={"zone": [[0, 0, 1], [1, 0, 0], [0, 0, 0], [1, 0, 0]], "district": [[1, 0, 1], [1, 0, 0]]},
    words="Subscriber 1 is 14 hours in A and 10 in B, 5,000 m away: r = 5000·√(14·10)/24 = 2,465 m. Subscriber 2 is "
    "23 hours in B and one in C, 6,000 m away: r = 6000·√23/24 = 1,199 m. Subscriber 3 has r = 0.",
)
