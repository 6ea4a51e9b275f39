"""Residents: how many subscribers have their home in each zone.

The night zone of a local date is the one with most dominant hours among the declared night hours of that
date. The home is the zone that was night zone most often in the period, on at least `min_nights` dates;
ties at both steps are broken by a keyed hash. A subscriber seen in the period without a home is
`unanchored`. Only own subscribers count.
Bounds: one cell in the period; one day can move a home, which changes two cells by one.
Reference: Vanhoof et al. 2018, "Assessing the quality of home detection from mobile phone data for official
statistics", Journal of Official Statistics 34(4), 935-960 (distinct days, restricted to nights).
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from ibis.expr.types import Table
from numpy.typing import NDArray

from node.statistics import parameters
from node.statistics.anchors import anchored, modal
from node.statistics.asking import Asked
from node.statistics.counting import counted
from node.statistics.golden import Golden
from node.statistics.parameters import P
from node.tables import ZONE


class Parameters(parameters.Parameters):
    """What the charter fixes.

    Attributes
    ----------
    night_hours
        Clock hours that count as night.
    min_nights
        Fewest dates on which the home must have been the night zone.
    """

    night_hours: parameters.ClockHours
    min_nights: parameters.Dates


def homes(asked: Asked[P], night_hours: Collection[int], min_nights: int) -> Table:
    """Return (subscriber, zone): everybody's home, or the index after the last zone."""
    dates = [
        anchored(asked.own(place), asked.elapsed(night_hours, day), asked.inputs.key, asked.zones)
        for place, day in enumerate(asked.days)
    ]
    return modal(dates, min_nights, asked.inputs.key, asked.zones)


def at_zones(asked: Asked[Parameters]) -> NDArray[np.int64]:
    """Return the exact counts of zones, int64 of shape (zones + 1,): zones, then `unanchored`."""
    found = homes(asked, asked.parameters.night_hours, asked.parameters.min_nights)
    return counted(found, [ZONE], (asked.zones + 1,))


GOLDEN = Golden(
    parameters={"night_hours": [0, 1, 2, 3, 4, 5], "min_nights": 1},
    vector={"zone": [[1], [1], [0], [1]], "district": [[2], [1]]},
    words="In a period of this one day, a home needs one night: 1 lives in A, 2 in B, and 3 is unanchored.",
)
