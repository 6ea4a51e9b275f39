"""Presence by day: how many different subscribers were in each area on a local day.

A subscriber was in an area with at least `min_hours` dominant hours in its zones; with `min_hours` 0 one
event in any of its zones is enough. A zone that is in no area of a level is `elsewhere`, which counts as an
area. Of a subscriber's areas at most `limit` count, drawn by a keyed hash. Only own subscribers count. A
larger area is not the sum of its zones, so every level is counted by itself. Bounds: L cells of at most 1
at every level.
Reference: Ricciato 2018, "Towards a Reference Methodological Framework for processing MNO data for official
statistics", 15th Global Forum on Tourism Statistics; limits: Wilson et al. 2020, "Differentially private
SQL with bounded user contribution", PoPETs 2020(2), 230-250.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from ibis.expr.types import Table
from numpy.typing import NDArray
from pydantic import Field

from node.engine import small_sum
from node.statistics import parameters
from node.statistics.anchors import EVERY_HOUR, hours_in
from node.statistics.asking import Asked
from node.statistics.counting import PLACE, counted, limited
from node.statistics.golden import Golden
from node.statistics.levels import AREA, areas_of
from node.tables import MASK, SUBSCRIBER, ZONE


class Parameters(parameters.Parameters):
    """What the charter fixes.

    Attributes
    ----------
    min_hours
        Fewest dominant hours in an area; 0 asks for an event only.
    limit
        L, the most areas of one subscriber.
    """

    min_hours: Annotated[int, Field(strict=True, ge=0, le=24)]
    limit: parameters.Limit


def areas_visited(presence: Table, areas: Table, min_hours: int) -> Table:
    """Return (subscriber, place): each area that a subscriber was in for long enough, once."""
    rows = presence.inner_join(areas, ZONE)
    found = rows.group_by([SUBSCRIBER, AREA]).aggregate(hours=small_sum(hours_in(rows[MASK], EVERY_HOUR)))
    return found.filter(found.hours >= min_hours).select(SUBSCRIBER, **{PLACE: found[AREA]})


def at_level(asked: Asked[Parameters], level: str) -> NDArray[np.int64]:
    """Return the exact counts of a level, int64 of shape (areas + 1,): areas, then `elsewhere`."""
    rows = len(asked.inputs.zoning.members(level)) + 1
    cells = areas_visited(asked.own(), areas_of(asked.inputs.zoning, level), asked.parameters.min_hours)
    kept = limited(cells, asked.parameters.limit, asked.inputs.sampling_key)
    return counted(kept, [PLACE], (rows,))


GOLDEN = Golden(
    parameters={"min_hours": 1, "limit": 2},
    vector={"zone": [[1], [2], [2], [0]], "district": [[2], [2]]},
    words="A has seen subscriber 1, B has seen 1 and 2, C has seen 2 and 3. Subscriber 1 was in two zones of one "
    "district, and counts once there.",
)
