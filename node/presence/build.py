"""Presence and visits of a local day: where every subscriber was in every elapsed hour, and in what order.

Between two events the nearer one says where a subscriber is, at most for the charter's holds after and before an
event, and never past midnight; where nothing is held before events, an event says it until the next one
(`node.presence.hold`). The dominant zone of an hour is the one with the longest dwell in it, in whole seconds; ties
are broken by a keyed hash. A visit is a maximal run of consecutive events in one zone; a silence longer than the
hold does not end it. Everything reads this local day's events only. An origin is the smallest one of the events
that make a row, so that contradictory events of one subscriber make no second subscriber.
"""

from __future__ import annotations

import ibis
from ibis.expr.types import IntegerColumn, Table

from node.engine import keyed_hash, narrow, pack, small_sum, unpack_zone, wide
from node.presence.hold import Hold
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

#: Columns of `held`: when an event begins and ends to hold, and whether a visit begins with it.
START, END, BEGINS = "start", "end", "begins"
_HOUR_S = 3600
_TOP_BIT = 24


def held(events: Table, day: Day, hold: Hold) -> Table:
    """Return the events with what their neighbours say of them: the one place where they are put in order.

    Parameters
    ----------
    events
        Clean events of the day: subscriber, t_us, cell, zone, origin; int64, distinct by the first three.
    day
        The local day.
    hold
        How long an event says where its subscriber is.

    Returns
    -------
    Table
        The same columns; `start` and `end`, when the event begins and ends to hold, in microseconds since the epoch;
        `begins`, 1 where the subscriber was in another zone at the event before or there is none, else 0.
    """
    order, rows = ibis.window(group_by=SUBSCRIBER, order_by=[TIME, CELL]), narrow(events)
    beside = rows.mutate(
        following=rows[TIME].lead().over(order),
        earlier=rows[TIME].lag().over(order),
        before=rows[ZONE].lag().over(order),
    )
    time, earlier, following = beside[TIME], beside.earlier, beside.following
    # The nearer event holds, but no event before it reaches back.
    opens = ibis.greatest(time - hold.before_us, ibis.least(_middle(earlier, time), earlier + hold.after_us))
    closes = ibis.least(
        time + hold.after_us, ibis.greatest(_middle(time, following), following - hold.before_us)
    )
    alone = ibis.greatest(time - hold.before_us, ibis.literal(day.start_us))
    last = ibis.least(time + hold.after_us, ibis.literal(day.end_us))
    found = beside.mutate(
        **{
            START: ibis.ifelse(earlier.isnull(), alone, opens),
            END: ibis.ifelse(following.isnull(), last, closes),
            BEGINS: ibis.ifelse(beside.before.fill_null(-1) == beside[ZONE], 0, 1).cast("int64"),
        }
    )
    return wide(found.drop("following", "earlier", "before"))


def _middle(one: IntegerColumn, other: IntegerColumn) -> IntegerColumn:
    """Return the instant half-way between two, rounded down."""
    return one + (other - one) // 2


def dwells(kept: Table, day: Day) -> Table:
    """Return (subscriber, zone, start, end) of every event of `held`, in seconds from local midnight."""
    return kept.select(
        SUBSCRIBER,
        ZONE,
        start=(kept[START] - day.start_us) // 1_000_000,
        end=(kept[END] - day.start_us) // 1_000_000,
    )


def by_hour(dwelt: Table, hold: Hold) -> Table:
    """Return (subscriber, hour, zone, dwell): seconds in each elapsed hour that a dwell touches."""
    steps = ibis.memtable(
        {"step": list(range(-(-(hold.before + hold.after) // 60) + 1))}, schema={"step": "int64"}
    )
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


def presence_of(kept: Table, day: Day, hold: Hold, key: int) -> Table:
    """Return presence of the events of `held`; as `presence`."""
    seen = kept.group_by([SUBSCRIBER, ZONE]).aggregate(
        **{
            ORIGIN: kept[ORIGIN].min(),
            COUNT: kept.count(),
            FIRST: kept[TIME].min(),
            LAST: kept[TIME].max(),
        }
    )
    hours = masks(by_hour(dwells(kept, day), hold), key)
    # A zone is dominant only where it has an event, so that no hour is lost.
    rows = seen.left_join(hours, [SUBSCRIBER, ZONE])
    rows = rows.mutate(**{MASK: rows[MASK].fill_null(0)})
    return rows.select(*PRESENCE).order_by([SUBSCRIBER, ZONE])


def presence(events: Table, day: Day, hold: Hold, key: int) -> Table:
    """Return presence of a day: a row for each subscriber and zone, in this order of both.

    Parameters
    ----------
    events, day, hold
        As of `held`.
    key
        31-bit key of the tie-breaking hash.

    Returns
    -------
    Table
        int64 columns `node.tables.PRESENCE`; `hours_mask` is 0 where a zone has events but no hour.
    """
    return presence_of(held(events, day, hold), day, hold, key)


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
            IN: runs[START].min(),
            OUT: runs[END].max(),
            COUNT: runs.count(),
        }
    )
    return wide(found.select(*VISITS)).order_by([SUBSCRIBER, SEQ])


def visits(events: Table, day: Day, hold: Hold) -> Table:
    """Return visits of a day: a row for each maximal run of consecutive events in one zone.

    Parameters
    ----------
    events, day, hold
        As of `held`.

    Returns
    -------
    Table
        int64 columns `node.tables.VISITS`, ordered by subscriber and place. `t_in` is when the first event of the
        run begins to hold, `t_out` when its last event ends to hold.
    """
    return visits_of(held(events, day, hold))
