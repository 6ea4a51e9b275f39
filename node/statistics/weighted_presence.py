"""Weighted presence: presence by hour in which everybody counts with the weight of their anchor zone of that
day.

The anchor is the zone in which the subscriber was dominant in most of the declared night hours of the same
local date; somebody who was nowhere then is unanchored, and has a weight too. Weights are whole numbers
(fixed point) that come with the order and are public. Who has no zone in an hour is `unobserved` in it: all
together, or apart by the area of the anchor at `silent_level`. Only own subscribers count. Bounds: H cells,
each changed by at most `weight_maximum`; a subscriber has one anchor, and so one row in which to be silent.
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
from node.statistics.counting import added
from node.statistics.golden import Golden
from node.statistics.levels import area_of
from node.statistics.presence_by_hour import silent, there
from node.tables import MASK, SUBSCRIBER, ZONE
from privacy.errors import UsageProblem
from privacy.sensitivity import LARGEST_WEIGHT
from privacy.terms import Name
from quorate.contract.zoning import Zoning

_WEIGHT, _SILENT = "weight", "silent"


class Parameters(parameters.Parameters):
    """What the charter fixes.

    Attributes
    ----------
    night_hours
        Clock hours that count as night.
    weight_maximum
        Largest weight.
    silent_level
        Level of the zoning: who has no zone in an hour is told apart by the area of the anchor at it. None: they
        are one row together.
    """

    night_hours: parameters.ClockHours
    weight_maximum: Annotated[int, Field(strict=True, ge=1, le=LARGEST_WEIGHT)]
    silent_level: Name | None = None


def weighted(anchors: Table, weights: NDArray[np.int64], rows: NDArray[np.int64]) -> Table:
    """Return (subscriber, weight, silent) of each subscriber, by the anchor zone or the index after the last zone.

    Parameters
    ----------
    anchors
        (subscriber, zone).
    weights, rows
        Weight, and special row in which to be silent, of each anchor: int64 of shape (zones + 1,).
    """
    table = {"anchor": np.arange(weights.size, dtype=np.int64), _WEIGHT: weights, _SILENT: rows}
    known = ibis.memtable(table, schema=dict.fromkeys(table, "int64"))
    return anchors.inner_join(known, anchors[ZONE] == known.anchor).select(SUBSCRIBER, _WEIGHT, _SILENT)


def silent_rows(zoning: Zoning, level: str | None) -> NDArray[np.int64]:
    """Return the special row of the silent of each anchor zone, then of the unanchored: int64 of shape (zones + 1,).

    The row after those of the areas is for the unanchored, and for those whose anchor is in no area of the level.
    """
    if level is None:
        return np.zeros(len(zoning.zones) + 1, dtype=np.int64)
    return np.append(area_of(zoning, level), len(zoning.members(level)))


def at_zones(asked: Asked[Parameters]) -> NDArray[np.int64]:
    """Return the exact weighted counts: zones, then the special rows; int64 of shape ((zones + special rows)·hours,).

    Raises
    ------
    UsageProblem
        If the weights are not one for each zone and the unanchored, from 0 to `weight_maximum`.
    """
    weights = checked_weights(asked)
    night, presence = asked.elapsed(asked.parameters.night_hours), asked.own()
    places, specials = (
        silent_rows(asked.inputs.zoning, asked.parameters.silent_level),
        len(asked.keyset.specials),
    )
    anchors = anchored(presence, night, asked.inputs.key, asked.zones)
    by_subscriber = weighted(anchors, weights, places)
    rows = presence.inner_join(by_subscriber, SUBSCRIBER)
    hours = {
        f"hour_{hour}": large_sum(there(rows[MASK], hour) * rows[_WEIGHT]) for hour in range(asked.hours)
    }
    sums = rows.group_by([ZONE, _SILENT]).aggregate(**hours).to_pyarrow()
    everybody = (
        by_subscriber.group_by(_SILENT).aggregate(total=large_sum(by_subscriber[_WEIGHT])).to_pyarrow()
    )
    missing = silent(
        added(everybody, _SILENT, ["total"], specials)[:, 0], added(sums, _SILENT, [*hours], specials)
    )
    return np.concatenate([added(sums, ZONE, [*hours], asked.zones), missing]).reshape(-1)


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
    parameters={"night_hours": [0, 1, 2, 3, 4, 5], "weight_maximum": 5, "silent_level": "district"},
    weights=(2, 3, 5, 1),
    vector={
        "zone": [
            [2] * 8 + [0] * 10 + [2] * 6,
            [3] * 8 + [5] * 4 + [2] + [5] * 5 + [3] * 6,
            [0] * 12 + [4, 1] + [0] * 10,
            [0] * 24,
            [1] * 12 + [0, 0] + [1] * 10,
        ],
        "district": [[5] * 12 + [2] + [5] * 11, [0] * 24, [1] * 12 + [0, 0] + [1] * 10],
    },
    words="Subscriber 1 is anchored in A and weighs 2, subscriber 2 in B and weighs 3, subscriber 3 is unanchored "
    "and weighs 1; every hour adds up to 6. Nobody anchored in D is ever silent, and subscriber 3 is but in hours 12 "
    "and 13.",
)
