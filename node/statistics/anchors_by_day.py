"""Anchors by day: in which zone every subscriber spent most of the night hours of one local date.

The night zone is the one with most dominant hours among the declared night hours of that date alone; ties
are broken by a keyed hash. A subscriber seen on the date without a night zone is `unanchored`. Only own
subscribers count.
Bounds: one cell of at most 1.
Reference: Ahas et al. 2010, "Using mobile positioning data to model locations meaningful to users of mobile
phones", Journal of Urban Technology 17(1), 3-27 (anchor points), for a single date so that no other day is
read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from node.statistics import parameters
from node.statistics.anchors import anchored
from node.statistics.asking import Asked
from node.statistics.counting import counted
from node.statistics.golden import Golden
from node.tables import ZONE


class Parameters(parameters.Parameters):
    """What the charter fixes.

    Attributes
    ----------
    night_hours
        Clock hours that count as night.
    """

    night_hours: parameters.ClockHours


def at_zones(asked: Asked[Parameters]) -> NDArray[np.int64]:
    """Return the exact counts of zones, int64 of shape (zones + 1,): zones, then `unanchored`."""
    night = asked.elapsed(asked.parameters.night_hours)
    return counted(anchored(asked.own(), night, asked.inputs.key, asked.zones), [ZONE], (asked.zones + 1,))


GOLDEN = Golden(
    parameters={"night_hours": [0, 1, 2, 3, 4, 5]},
    vector={"zone": [[1], [1], [0], [1]], "district": [[2], [1]]},
    words="Subscriber 1 spends the night in A, subscriber 2 in B; subscriber 3 is not seen at night.",
)
