"""Weighted presence: presence by hour in which everybody counts with the weight of their anchor zone of that
day.

The anchor is the zone in which the subscriber was dominant in most of the declared night hours of the same
local date; somebody who was nowhere then is unanchored, and has a weight too. Weights are whole numbers
(fixed point) that come with the order and are public. Only own subscribers count. Bounds: H cells, each
changed by at most `weight_maximum`.
Reference: Deville and Särndal 1992, "Calibration estimators in survey sampling", Journal of the American
Statistical Association 87(418), 376-382 (weights by strata).
"""

from __future__ import annotations

from typing import Annotated

import ibis
import numpy as np
from ibis.expr.types import Table
from numpy.typing import NDArray
from pydantic import Field

from node.engine import large_sum
from node.statistics import parameters
from node.statistics.anchors import anchored
from node.statistics.asking import Asked
from node.statistics.golden import Golden
from node.statistics.presence_by_hour import by_zone, completed, there
from node.tables import MASK, SUBSCRIBER, ZONE
from privacy.errors import UsageProblem
from privacy.sensitivity import LARGEST_WEIGHT

_WEIGHT = "weight"


class Parameters(parameters.Parameters):
    """What the charter fixes.

    Attributes
    ----------
    night_hours
        Clock hours that count as night.
    weight_maximum
        Largest weight.
    """

    night_hours: parameters.ClockHours
    weight_maximum: Annotated[int, Field(strict=True, ge=1, le=LARGEST_WEIGHT)]


def weighted(anchors: Table, weights: NDArray[np.int64]) -> Table:
    """Return (subscriber, weight) of each subscriber, by the anchor zone or the index after the last zone."""
    table = {"anchor": np.arange(weights.size, dtype=np.int64), _WEIGHT: weights}
    known = ibis.memtable(table, schema={"anchor": "int64", _WEIGHT: "int64"})
    return anchors.inner_join(known, anchors[ZONE] == known.anchor).select(SUBSCRIBER, _WEIGHT)


def at_zones(asked: Asked[Parameters]) -> NDArray[np.int64]:
    """Return the exact weighted counts of zones, int64 of shape ((zones + 1)·hours,): zones, then `unobserved`.

    Raises
    ------
    UsageProblem
        If the weights are not one for each zone and the unanchored, from 0 to `weight_maximum`.
    """
    weights = checked_weights(asked)
    night, presence = asked.elapsed(asked.parameters.night_hours), asked.own()
    by_subscriber = weighted(anchored(presence, night, asked.inputs.key, asked.zones), weights)
    rows = presence.inner_join(by_subscriber, SUBSCRIBER)
    sums = by_zone(
        rows,
        {f"hour_{hour}": large_sum(there(rows[MASK], hour) * rows[_WEIGHT]) for hour in range(asked.hours)},
    )
    total = by_subscriber.aggregate(total=large_sum(by_subscriber[_WEIGHT])).to_pyarrow()["total"][0].as_py()
    return completed(sums, asked.zones, asked.hours, total or 0)


def checked_weights(asked: Asked[Parameters]) -> NDArray[np.int64]:
    """Return the weights of the order, or raise as `at_zones`."""
    weights, largest = asked.inputs.weights, asked.parameters.weight_maximum
    if weights is None or weights.shape != (asked.zones + 1,) or weights.dtype != np.int64:
        raise UsageProblem(
            f"weighted presence needs {asked.zones + 1} whole weights: one for each zone, one for the unanchored",
            todo="send them with the order",
        )
    if weights.min() < 0 or weights.max() > largest:
        raise UsageProblem(
            f"a weight is not between 0 and {largest}",
            means="one subscriber could move a cell by more than what is noised and charged",
            todo="correct the weights, or agree on a larger weight_maximum",
        )
    return weights


GOLDEN = Golden(
    parameters={"night_hours": [0, 1, 2, 3, 4, 5], "weight_maximum": 5},
    weights=(2, 3, 5, 1),
    vector={
        "zone": [
            [2] * 8 + [0] * 10 + [2] * 6,
            [3] * 8 + [5] * 4 + [2] + [5] * 5 + [3] * 6,
            [0] * 12 + [4, 1] + [0] * 10,
            [1] * 12 + [0, 0] + [1] * 10,
        ],
        "district": [[5] * 12 + [2] + [5] * 11, [1] * 12 + [0, 0] + [1] * 10],
    },
    words="Subscriber 1 is anchored in A and weighs 2, subscriber 2 in B and weighs 3, subscriber 3 is unanchored "
    "and weighs 1; every hour adds up to 6.",
)
