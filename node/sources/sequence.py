"""Cleaning rules over the ordered rows of one subscriber: duplicates, ghosts and impossible speeds.

They look at the rows of one subscriber and one local day that the row rules accepted, without duplicates, ordered by
(t_us, cell). Every rule looks at the *original* neighbours in that list: removing a row never makes another one bad.
Only integers and windows with a total order are used, so that every engine gives the same rows (ENGINE.md).
"""

from __future__ import annotations

from functools import reduce
from operator import and_

import ibis
from ibis.expr.types import BooleanValue, IntegerValue, Table
from pydantic import BaseModel, ConfigDict, Field

from node.engine import narrow, wide
from node.sources.reasons import Reason
from node.tables import CELL, ORIGIN, REASON, SUBSCRIBER, TIME, ZONE, X, Y

_US = 1_000_000
#: Rows of a subscriber that agree in these are one event.
_SAME = (TIME, CELL, REASON)


class SequenceRules(BaseModel):
    """Limits of the rules; 0 switches a rule off.

    Attributes
    ----------
    ghost_seconds
        Longest time between two events of one cell for which a single event of another cell between them is a ghost.
    max_speed
        Largest believable speed in metres per second. At 20 000 m/s and 25 hours, the squares stay below 2⁶³.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ghost_seconds: int = Field(default=0, ge=0, le=86_400)
    max_speed: int = Field(default=0, ge=0, le=20_000)


def sequenced(rows: Table, rules: SequenceRules) -> Table:
    """Return the rows with the reason filled for duplicates, ghosts and impossible speeds.

    Parameters
    ----------
    rows
        Judged by the row rules: subscriber, t_us, cell, zone, x_m, y_m, origin, reason; all int64, one local day.
        Other columns are kept.
    rules
        The limits.

    Returns
    -------
    Table
        The same rows and columns in any order. Of equal rows one keeps reason 0.
    """
    # The same partition as that of the neighbours: a cluster then sends every row over its network once.
    order = ibis.window(group_by=SUBSCRIBER, order_by=[TIME, CELL, REASON, ORIGIN, ZONE])
    small = narrow(rows)
    beside = small.mutate(**{f"last_{name}": small[name].lag().over(order) for name in _SAME})
    again = reduce(and_, [beside[name] == beside[f"last_{name}"] for name in _SAME]).fill_null(False)
    accepted = beside[REASON] == int(Reason.ACCEPTED)
    marked = beside.mutate(
        rejected=ibis.ifelse(accepted & ~again, ibis.literal(0, "int32"), ibis.literal(1, "int32")),
        first_reason=ibis.ifelse(accepted & again, _literal(Reason.DUPLICATE), beside[REASON]),
    )
    judged = _with_neighbours(marked, rules) if rules.ghost_seconds or rules.max_speed else marked
    others = [name for name in rows.columns if name != REASON]
    return wide(judged.select(*others, **{REASON: _reason(judged, rules)}))


def _with_neighbours(marked: Table, rules: SequenceRules) -> Table:
    """Add what the rules need of the row before and after: accepted rows have accepted ones as neighbours only."""
    order = ibis.window(group_by=[SUBSCRIBER, "rejected"], order_by=[TIME, CELL])
    needed = [TIME, CELL, *([X, Y] if rules.max_speed else [])]
    return marked.mutate(
        **{f"before_{name}": marked[name].lag().over(order) for name in needed},
        **{f"after_{name}": marked[name].lead().over(order) for name in needed},
    )


def _reason(judged: Table, rules: SequenceRules) -> IntegerValue:
    accepted = judged.first_reason == int(Reason.ACCEPTED)
    cases: list[tuple[BooleanValue, IntegerValue]] = []
    if rules.ghost_seconds:
        cases.append((accepted & _ghost(judged, rules), _literal(Reason.GHOST)))
    if rules.max_speed:
        fast = _too_fast(judged, "before_", rules.max_speed) & _too_fast(judged, "after_", rules.max_speed)
        cases.append((accepted & fast, _literal(Reason.IMPOSSIBLE_SPEED)))
    return ibis.cases(*cases, else_=judged.first_reason) if cases else judged.first_reason


def _literal(reason: Reason) -> IntegerValue:
    return ibis.literal(int(reason), "int32")


def _ghost(judged: Table, rules: SequenceRules) -> BooleanValue:
    """Whether both neighbours have one cell, another than this row's; without a neighbour it is null, so not true."""
    alone = (judged[f"before_{CELL}"] == judged[f"after_{CELL}"]) & (judged[f"before_{CELL}"] != judged[CELL])
    near = judged[f"after_{TIME}"] - judged[f"before_{TIME}"] <= rules.ghost_seconds * _US
    return alone & near


def _too_fast(judged: Table, side: str, max_speed: int) -> BooleanValue:
    """Whether d² > (v·dt)² towards a neighbour, in metres and whole seconds rounded up."""
    dx, dy = (judged[name].cast("int64") - judged[side + name].cast("int64") for name in (X, Y))
    elapsed = judged[TIME] - judged[side + TIME]
    apart = ibis.ifelse(elapsed < 0, -elapsed, elapsed)
    reach = ((apart + (_US - 1)) // _US) * max_speed
    return dx * dx + dy * dy > reach * reach
