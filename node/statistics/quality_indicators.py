"""Quality indicators: how many subscribers a day has, had a row rejected, or lost cells to a limit.

One row for the whole country with four counts of own subscribers. `subscribers` were seen: they are in presence of
the day. `rejected` had at least one rejected row (`node.sources.rejected`): it has a subscriber and a time in the
local day, and was asked for; whoever has no accepted row beside it counts as well. Rejected rows without a
subscriber, or without a time in the day, are in no count. `many-zones` were in more than `zones_limit` zones for
`min_hours` each, so that presence by day with these parameters drops some of their zones; `many-flows` had more than
`flows_limit` different pairs of origin and destination, so that flows with these parameters drop some. A zone counts
as in these statistics at the level of zones. Bounds: a subscriber is in each of the four counts once or not at all.
Reference: Wilson et al. 2020, "Differentially private SQL with bounded user contribution", PoPETs 2020(2), 230-250
(what is lost to a limit); Eurostat 2020, "Handbook for Quality and Metadata Reports", re-edition 2020 (indicators).
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from ibis.expr.types import Table
from numpy.typing import NDArray
from pydantic import Field

from node.statistics import parameters
from node.statistics.asking import Asked
from node.statistics.counting import subscribers
from node.statistics.flows import flows, stays
from node.statistics.golden import Golden
from node.statistics.levels import areas_of
from node.statistics.presence_by_day import areas_visited
from node.tables import COUNT, SUBSCRIBER
from quorate.contract.zoning import ZONE


class Parameters(parameters.Parameters):
    """What the charter fixes.

    Attributes
    ----------
    min_hours, zones_limit
        As `min_hours` and `limit` of presence by day.
    min_stay_minutes, flows_limit
        As `min_stay_minutes` and `limit` of flows.
    """

    min_hours: Annotated[int, Field(strict=True, ge=0, le=24)]
    zones_limit: parameters.Limit
    min_stay_minutes: parameters.StayMinutes
    flows_limit: parameters.Limit


def beyond(cells: Table, limit: int) -> Table:
    """Return (subscriber,): who has more than `limit` cells.

    Parameters
    ----------
    cells
        (subscriber, place), no pair twice.
    limit
        L.
    """
    found = cells.group_by(SUBSCRIBER).aggregate(**{COUNT: cells.count()})
    return found.filter(found[COUNT] > limit).select(SUBSCRIBER)


def at_level(asked: Asked[Parameters], level: str) -> NDArray[np.int64]:  # noqa: ARG001 - there is the nation alone
    """Return the exact counts, int64 of shape (4,): `subscribers`, `rejected`, `many-zones`, `many-flows`."""
    given, zones = asked.parameters, areas_of(asked.inputs.zoning, ZONE)
    visited = areas_visited(asked.own(), zones, given.min_hours)
    pairs = flows(stays(asked.own_visits(), given.min_stay_minutes), zones, asked.zones + 1)
    counted = (
        asked.own(),
        asked.inputs.rejected[0],
        beyond(visited, given.zones_limit),
        beyond(pairs, given.flows_limit),
    )
    return np.array([subscribers(rows) for rows in counted], dtype=np.int64)


GOLDEN = Golden(
    parameters={"min_hours": 2, "zones_limit": 1, "min_stay_minutes": 30, "flows_limit": 1},
    vector={"nation": [[3, 2, 1, 2]]},
    rejected=(2, 6),
    words="Subscribers 1, 2 and 3 were seen and do not roam. Subscriber 2 had a row rejected, and so had 6, who was "
    "not seen otherwise. Subscriber 1 was in two zones for two hours or more, and 2 in one. Both of them went to "
    "another zone and back, which are two pairs.",
)
