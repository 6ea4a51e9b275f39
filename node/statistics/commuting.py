"""Commuting: how many subscribers have their home in one zone and their day zone in another, or the same.

The home is that of `residents`. The day zone of a date is the one with most dominant hours among the
declared day hours; the day zone of the period is the zone that was it on most dates that fall on the
declared days of the week, at least on `min_days` of them. Ties are broken by a keyed hash. A subscriber
seen in the period without a home or a day zone is `unanchored` there; the pair of both is a cell too. Only
own subscribers count.
Bounds: one pair in the period; one day can move either zone, which changes two cells by one.
Reference: Ahas et al. 2010, "Using mobile positioning data to model locations meaningful to users of mobile
phones", Journal of Urban Technology 17(1), 3-27 (home and work-time anchor points, which may be one); Kung
et al. 2014, "Exploring universal patterns in human home-work commuting from mobile phone data", PLoS ONE
9(6), e96180.
"""

from __future__ import annotations

import numpy as np
from ibis.expr.types import Table
from numpy.typing import NDArray

from node.statistics import parameters
from node.statistics.anchors import anchored, modal
from node.statistics.asking import Asked
from node.statistics.counting import counted
from node.statistics.golden import Golden
from node.statistics.residents import homes
from node.tables import SUBSCRIBER, ZONE

_DAY_ZONE = "day_zone"


class Parameters(parameters.Parameters):
    """What the charter fixes.

    Attributes
    ----------
    night_hours, min_nights
        As of residents.
    day_hours
        Clock hours that count as day.
    weekdays
        Days of the week that count, Monday is 1.
    min_days
        Fewest such dates on which the zone must have been the day zone.
    """

    night_hours: parameters.ClockHours
    min_nights: parameters.Dates
    day_hours: parameters.ClockHours
    weekdays: parameters.Weekdays
    min_days: parameters.Dates


def day_zones(asked: Asked[Parameters]) -> Table | None:
    """Return (subscriber, zone) of those seen on a date that counts; None if no date of the period does."""
    wanted, key = asked.parameters, asked.inputs.key
    dates = [
        anchored(asked.own(place), asked.elapsed(wanted.day_hours, day), key, asked.zones)
        for place, day in enumerate(asked.days)
        if day.isoweekday() in wanted.weekdays
    ]
    return modal(dates, wanted.min_days, key, asked.zones) if dates else None


def at_zones(asked: Asked[Parameters]) -> NDArray[np.int64]:
    """Return the exact counts of pairs of zones, int64 of shape ((zones + 1)²,): homes by day zones."""
    none = asked.zones
    found = homes(asked, asked.parameters.night_hours, asked.parameters.min_nights)
    days = day_zones(asked)
    if days is None:
        pairs = found.mutate(**{_DAY_ZONE: none})
    else:
        # Everybody has a row of homes, but not of day zones: somebody may be seen on other days only.
        joined = found.left_join(days.rename(**{_DAY_ZONE: ZONE}), SUBSCRIBER)
        pairs = joined.mutate(**{_DAY_ZONE: joined[_DAY_ZONE].fill_null(none)})
    return counted(pairs, [ZONE, _DAY_ZONE], (none + 1, none + 1)).reshape(-1)


GOLDEN = Golden(
    parameters={
        "night_hours": [0, 1, 2, 3, 4, 5],
        "min_nights": 1,
        "day_hours": [9, 10, 11, 12, 13, 14, 15],
        "weekdays": [1, 2, 3, 4, 5],
        "min_days": 1,
    },
    vector={
        "zone": [[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]],
        "district": [[2, 0], [0, 0]],
    },
    words="Subscriber 1 lives in A and is in B by day, subscriber 2 is in B by night and day, subscriber 3 has no "
    "home and the day zone C. C is in no district, so subscriber 3 is in no pair of districts.",
)
