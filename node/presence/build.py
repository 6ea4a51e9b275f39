"""Presence and visits of a local day: where every subscriber was in every elapsed hour, and in what order.

An event says where a subscriber is until the next event of that subscriber, at most for the charter's hold, and
never past midnight. The dominant zone of an hour is the one with the longest dwell in it, in whole seconds; ties
are broken by a keyed hash. A visit is a maximal run of consecutive events in one zone; a silence longer than the
hold does not end it. Everything reads this local day's events only. An origin is the smallest one of the events
that make a row, so that contradictory events of one subscriber make no second subscriber.
"""

from __future__ import annotations

import ibis
from ibis.expr.types import Table

from node.engine import keyed_hash, narrow, pack, small_sum, unpack_zone, wide
from node.sources.events import Day
from node.tables import (
    CELL,
    COUNT,
    FIRST,
    HOUR,
    IN,
    LAST,
    MASK,
    ORIGIN,
    OUT,
    PRESENCE,
    SEQ,
    SUBSCRIBER,
    TIME,
    VISITS,
    ZONE,
)

#: Columns of `held`: when an event ends to hold, and whether a visit begins with it.
END, BEGINS = "end", "begins"
_HOUR_S = 3600
_TOP_BIT = 24


def held(events: Table, day: Day, hold_minutes: int) -> Table:
    """Return the events with what their neighbours say of them: the one place where they are put in order.

    Parameters
    ----------
    events
        Clean events of the day: subscriber, t_us, cell, zone, origin; int64, distinct by the first three.
    day
        The local day.
    hold_minutes
        How long an event says where its subscriber is.

    Returns
    -------
    Table
        The same columns; `end`, when the event ends to hold, in microseconds since the epoch; `begins`, 1 where the
        subscriber was in another zone at the event before or there is none, else 0.
    """
    order, rows = ibis.window(group_by=SUBSCRIBER, order_by=[TIME, CELL]), narrow(events)
    beside = rows.mutate(following=rows[TIME].lead().over(order), before=rows[ZONE].lag().over(order))
    until = events[TIME] + hold_minutes * 60_000_000
    found = beside.mutate(
        **{
            END: ibis.least(beside.following.fill_null(day.end_us), until, ibis.literal(day.end_us)),
            BEGINS: ibis.ifelse(beside.before.fill_null(-1) == beside[ZONE], 0, 1).cast("int64"),
        }
    )
    return wide(found.drop("following", "before"))


def dwells(kept: Table, day: Day) -> Table:
    """Return (subscriber, zone, start, end) of every event of `held`, in seconds from local midnight."""
    return kept.select(
        SUBSCRIBER,
        ZONE,
        start=(kept[TIME] - day.start_us) // 1_000_000,
        end=(kept[END] - day.start_us) // 1_000_000,
    )


def by_hour(dwelt: Table, hold_minutes: int) -> Table:
    """Return (subscriber, hour, zone, dwell): seconds in each elapsed hour that a dwell touches."""
    steps = ibis.memtable({"step": list(range(-(-hold_minutes // 60) + 1))}, schema={"step": "int64"})
    spread = dwelt.cross_join(steps)
    spread = spread.mutate(**{HOUR: spread.start // _HOUR_S + spread.step})
    begin = ibis.greatest(spread.start, spread[HOUR] * _HOUR_S)
    finish = ibis.least(spread.end, (spread[HOUR] + 1) * _HOUR_S)
    parts = spread.mutate(dwell=finish - begin)
    parts = parts.filter(parts.dwell > 0)
    return parts.group_by([SUBSCRIBER, HOUR, ZONE]).aggregate(dwell=small_sum(parts.dwell))


def masks(hours: Table, key: int) -> Table:
    """Return (subscriber, zone, hours_mask): the dominant zones of dwells by hour; ties by the hash of a key."""
    packed = pack(hours.dwell, keyed_hash(hours[SUBSCRIBER], hours[ZONE], key), hours[ZONE])
    best = hours.group_by([SUBSCRIBER, HOUR]).aggregate(best=packed.max())
    dominant = best.select(SUBSCRIBER, HOUR, **{ZONE: unpack_zone(best.best)})
    # 2^hour with a right shift, which every engine has and none overflows; PostgreSQL shifts by 32 bits only.
    bit = ibis.literal(1 << _TOP_BIT, "int64") >> (_TOP_BIT - dominant[HOUR]).cast("int32")
    return dominant.group_by([SUBSCRIBER, ZONE]).aggregate(**{MASK: small_sum(bit)})


def presence_of(kept: Table, day: Day, hold_minutes: int, key: int) -> Table:
    """Return presence of the events of `held`; as `presence`."""
    seen = kept.group_by([SUBSCRIBER, ZONE]).aggregate(
        **{
            ORIGIN: kept[ORIGIN].min(),
            COUNT: kept.count(),
            FIRST: kept[TIME].min(),
            LAST: kept[TIME].max(),
        }
    )
    hours = masks(by_hour(dwells(kept, day), hold_minutes), key)
    # A zone is dominant only where it has an event, so that no hour is lost.
    rows = seen.left_join(hours, [SUBSCRIBER, ZONE])
    rows = rows.mutate(**{MASK: rows[MASK].fill_null(0)})
    return rows.select(*PRESENCE).order_by([SUBSCRIBER, ZONE])


def presence(events: Table, day: Day, hold_minutes: int, key: int) -> Table:
    """Return presence of a day: a row for each subscriber and zone, in this order of both.

    Parameters
    ----------
    events, day, hold_minutes
        As of `held`.
    key
        31-bit key of the tie-breaking hash.

    Returns
    -------
    Table
        int64 columns `node.tables.PRESENCE`; `hours_mask` is 0 where a zone has events but no hour.
    """
    return presence_of(held(events, day, hold_minutes), day, hold_minutes, key)


def visits_of(kept: Table) -> Table:
    """Return visits of the events of `held`; as `visits`."""
    so_far = ibis.window(group_by=SUBSCRIBER, order_by=[TIME, CELL], following=0)
    rows = narrow(kept)
    begun = rows[BEGINS].sum().over(so_far)
    runs = rows.mutate(**{SEQ: begun.cast("int32").cast("int64") - 1})
    found = runs.group_by([SUBSCRIBER, SEQ]).aggregate(
        **{
            ORIGIN: runs[ORIGIN].min(),
            ZONE: runs[ZONE].min(),
            IN: runs[TIME].min(),
            OUT: runs[END].max(),
            COUNT: runs.count(),
        }
    )
    return wide(found.select(*VISITS)).order_by([SUBSCRIBER, SEQ])


def visits(events: Table, day: Day, hold_minutes: int) -> Table:
    """Return visits of a day: a row for each maximal run of consecutive events in one zone.

    Parameters
    ----------
    events, day, hold_minutes
        As of `held`.

    Returns
    -------
    Table
        int64 columns `node.tables.VISITS`, ordered by subscriber and place. `t_in` is the time of the first event
        of the run, `t_out` when its last event ends to hold.
    """
    return visits_of(held(events, day, hold_minutes))
