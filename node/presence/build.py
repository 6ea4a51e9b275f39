"""Presence of a local day: the dominant zone of every subscriber in every elapsed hour.

An event says where a subscriber is until the next event, at most for the charter's hold, and never past
midnight. The dominant zone of an hour is the one with the longest dwell in it, in whole seconds; ties are
broken by a keyed hash. Everything reads this local day's events only.
"""

from __future__ import annotations

import ibis
from ibis.expr.types import Table

from node.engine import keyed_hash, pack, small_sum, unpack_zone
from node.sources.events import Day
from node.tables import CELL, HOUR, MASK, SUBSCRIBER, TIME, ZONE

_HOUR_S = 3600
_TOP_BIT = 24


def dwells(events: Table, day: Day, hold_minutes: int) -> Table:
    """Return (subscriber, zone, start, end) of every event, in seconds from local midnight."""
    window = ibis.window(group_by=SUBSCRIBER, order_by=[TIME, CELL])
    following = events[TIME].lead().over(window)
    held = events[TIME] + hold_minutes * 60_000_000
    end = ibis.least(following.fill_null(day.end_us), held, ibis.literal(day.end_us))
    return events.select(
        SUBSCRIBER,
        ZONE,
        start=(events[TIME] - day.start_us) // 1_000_000,
        end=(end - day.start_us) // 1_000_000,
    )


def by_hour(held: Table, hold_minutes: int) -> Table:
    """Return (subscriber, hour, zone, dwell): seconds in each elapsed hour that a dwell touches."""
    steps = ibis.memtable({"step": list(range(-(-hold_minutes // 60) + 1))}, schema={"step": "int64"})
    spread = held.cross_join(steps)
    spread = spread.mutate(**{HOUR: spread.start // _HOUR_S + spread.step})
    begin = ibis.greatest(spread.start, spread[HOUR] * _HOUR_S)
    finish = ibis.least(spread.end, (spread[HOUR] + 1) * _HOUR_S)
    parts = spread.mutate(dwell=finish - begin)
    parts = parts.filter(parts.dwell > 0)
    return parts.group_by([SUBSCRIBER, HOUR, ZONE]).aggregate(dwell=small_sum(parts.dwell))


def presence(events: Table, day: Day, hold_minutes: int, key: int) -> Table:
    """Return presence of a day as (subscriber, zone, hours_mask), ordered by subscriber and zone.

    Parameters
    ----------
    events
        Accepted events of the day: subscriber, t_us, cell, zone; int64.
    day
        The local day.
    hold_minutes
        How long an event says where its subscriber is.
    key
        31-bit key of the tie-breaking hash.
    """
    hours = by_hour(dwells(events, day, hold_minutes), hold_minutes)
    packed = pack(hours.dwell, keyed_hash(hours[SUBSCRIBER], hours[ZONE], key), hours[ZONE])
    best = hours.group_by([SUBSCRIBER, HOUR]).aggregate(best=packed.max())
    dominant = best.select(SUBSCRIBER, HOUR, **{ZONE: unpack_zone(best.best)})
    # 2^hour with a right shift, which every engine has and none overflows.
    bit = ibis.literal(1 << _TOP_BIT, "int64") >> (_TOP_BIT - dominant[HOUR])
    masks = dominant.group_by([SUBSCRIBER, ZONE]).aggregate(**{MASK: small_sum(bit)})
    return masks.order_by([SUBSCRIBER, ZONE])
