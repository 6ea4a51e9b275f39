"""Anchors: the zone in which a subscriber spent most of some hours, and the one found so on most dates.

Reference: Ahas, Silm, Järv, Saluveer and Tiru 2010, "Using mobile positioning data to model locations
meaningful to users of mobile phones", Journal of Urban Technology 17(1), 3-27.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import ibis
from ibis.expr.types import IntegerValue, Table, Value

from node.engine import keyed_hash, pack, unpack_zone
from node.tables import COUNT, MASK, SUBSCRIBER, ZONE

#: Elapsed hours that a day can have.
EVERY_HOUR = range(25)


def hours_in(mask: IntegerValue, hours: Sequence[int]) -> IntegerValue:
    """Return how many of some elapsed hours are set in a mask."""
    return reduce(lambda total, hour: total + ((mask >> hour) & 1), hours, ibis.literal(0, "int64"))


def anchored(presence: Table, hours: Sequence[int], key: int, none: int, **more: Value) -> Table:
    """Return the zone in which each subscriber of a day was dominant in most of some hours.

    Parameters
    ----------
    presence
        Of one day.
    hours
        Elapsed hours that are looked at.
    key
        31-bit key of the hash that breaks ties.
    none
        What is said of a subscriber who is nowhere in these hours.
    more
        Further aggregates over the rows of each subscriber.

    Returns
    -------
    Table
        A row for each subscriber: subscriber, zone, and `more`.
    """
    spent = presence.mutate(amount=hours_in(presence[MASK], hours))
    best = spent.group_by(SUBSCRIBER).aggregate(best=_packed(spent, key).max(), **more)
    return best.select(SUBSCRIBER, **{ZONE: _found(best.best, none)}, **{name: best[name] for name in more})


def modal(dates: Sequence[Table], minimum: int, key: int, none: int) -> Table:
    """Return the zone that each subscriber was found in on most dates, at least `minimum` of them.

    Parameters
    ----------
    dates
        (subscriber, zone) of each date, as of `anchored`.
    minimum
        Fewest dates.
    key, none
        As of `anchored`.

    Returns
    -------
    Table
        (subscriber, zone), a row for each subscriber of any date.
    """
    every = ibis.union(*dates) if len(dates) > 1 else dates[0]
    often = every.group_by([SUBSCRIBER, ZONE]).aggregate(**{COUNT: every.count()})
    enough = (often[ZONE] != none) & (often[COUNT] >= minimum)
    counts = often.mutate(amount=ibis.ifelse(enough, often[COUNT], 0))
    best = counts.group_by(SUBSCRIBER).aggregate(best=_packed(counts, key).max())
    return best.select(SUBSCRIBER, **{ZONE: _found(best.best, none)})


def _packed(rows: Table, key: int) -> IntegerValue:
    """Return a number whose maximum is at the zone of the largest amount, and -1 where that is zero."""
    packed = pack(rows.amount, keyed_hash(rows[SUBSCRIBER], rows[ZONE], key), rows[ZONE])
    return ibis.ifelse(rows.amount > 0, packed, -1)


def _found(best: IntegerValue, none: int) -> IntegerValue:
    return ibis.ifelse(best < 0, none, unpack_zone(best))
