"""Residents: how many subscribers have their home in each zone.

The night zone of a local date is the one with most dominant hours among the declared night hours of that
date. The home is the zone that was night zone most often in the period, on at least `min_nights` dates; ties
at both steps are broken by a keyed hash. A subscriber seen in the period without a home is `unanchored`.
Bounds: one cell in the period; one day can move a home, which changes two cells by one.
Reference: Vanhoof et al. 2018, "Assessing the quality of home detection from mobile phone data for official
statistics" (distinct days, restricted to nights).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Annotated

import ibis
import numpy as np
from ibis.expr.types import Table
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from node.engine import keyed_hash, pack, unpack_zone
from node.tables import COUNT, MASK, SUBSCRIBER, ZONE


class Parameters(BaseModel):
    """What the charter fixes.

    Attributes
    ----------
    night_hours
        Clock hours that count as night.
    min_nights
        Fewest dates on which the home must have been the night zone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    night_hours: tuple[Annotated[int, Field(strict=True, ge=0, le=23)], ...] = Field(
        min_length=1, max_length=24
    )
    min_nights: int = Field(strict=True, ge=1, le=31)


def night_zone(presence: Table, night: Sequence[int], key: int) -> Table:
    """Return (subscriber, zone) of one date: the zone of most of its elapsed hours `night`."""
    hours = reduce(
        lambda total, hour: total + ((presence[MASK] >> hour) & 1), night, ibis.literal(0, "int64")
    )
    nights = presence.mutate(amount=hours)
    nights = nights.filter(nights.amount > 0)
    packed = pack(nights.amount, keyed_hash(nights[SUBSCRIBER], nights[ZONE], key), nights[ZONE])
    best = nights.group_by(SUBSCRIBER).aggregate(best=packed.max())
    return best.select(SUBSCRIBER, **{ZONE: unpack_zone(best.best)})


def homes(night_zones: Sequence[Table], min_nights: int, key: int) -> Table:
    """Return (subscriber, zone): the home of every subscriber that has one."""
    dates = ibis.union(*night_zones) if len(night_zones) > 1 else night_zones[0]
    often = dates.group_by([SUBSCRIBER, ZONE]).aggregate(amount=dates.count())
    often = often.filter(often.amount >= min_nights)
    packed = pack(often.amount, keyed_hash(often[SUBSCRIBER], often[ZONE], key), often[ZONE])
    best = often.group_by(SUBSCRIBER).aggregate(best=packed.max())
    return best.select(SUBSCRIBER, **{ZONE: unpack_zone(best.best)})


def vector(
    days: Sequence[Table], nights: Sequence[Sequence[int]], min_nights: int, zones: int, key: int
) -> NDArray[np.int64]:
    """Return the exact counts, int64 of shape (zones + 1,): zones, then `unanchored`.

    Parameters
    ----------
    days
        Presence of each local day.
    nights
        Elapsed night hours of each of these days.
    min_nights
        Fewest nights at home.
    zones
        Number of zones.
    key
        31-bit key of the tie-breaking hash.
    """
    found = homes(
        [night_zone(day, night, key) for day, night in zip(days, nights, strict=True)], min_nights, key
    )
    table = found.group_by(ZONE).aggregate(**{COUNT: found.count()}).to_pyarrow()
    counts = np.zeros(zones + 1, dtype=np.int64)
    counts[table[ZONE].to_numpy()] = table[COUNT].to_numpy()
    everybody = ibis.union(*[day.select(SUBSCRIBER) for day in days]) if len(days) > 1 else days[0]
    seen = everybody.select(SUBSCRIBER).distinct().count().to_pyarrow().as_py()
    counts[zones] = seen - counts[:zones].sum()
    return counts
