"""Presence by hour: how many subscribers had a zone as their dominant one in each elapsed hour of a day.

A subscriber seen on that day but without a zone in an hour counts as `unobserved` in that hour, so that each
subscriber fills exactly one cell in every hour. Bounds: H cells of at most 1, H the elapsed hours of the day.
Reference: Eurostat, "Methodological framework for official statistics from mobile network operator data"
(present population).
"""

from __future__ import annotations

import ibis
import numpy as np
from ibis.expr.types import Table
from numpy.typing import NDArray

from node.tables import COUNT, HOUR, MASK, SUBSCRIBER, ZONE
from privacy.errors import PrivacyProblem


def counted(presence: Table, hours: int) -> Table:
    """Return (zone, hour, n) of a day's presence."""
    clock = ibis.memtable({HOUR: list(range(hours))}, schema={HOUR: "int64"})
    cells = presence.cross_join(clock)
    there = cells.filter(((cells[MASK] >> cells[HOUR]) & 1) == 1)
    return there.group_by([ZONE, HOUR]).aggregate(**{COUNT: there.count()})


def vector(presence: Table, zones: int, hours: int) -> NDArray[np.int64]:
    """Return the exact counts, int64 of shape ((zones + 1)·hours,): zones, then `unobserved`."""
    table = counted(presence, hours).to_pyarrow()
    counts = np.zeros((zones + 1, hours), dtype=np.int64)
    counts[table[ZONE].to_numpy(), table[HOUR].to_numpy()] = table[COUNT].to_numpy()
    seen = presence.select(SUBSCRIBER).distinct().count().to_pyarrow().as_py()
    counts[zones] = seen - counts[:zones].sum(axis=0)
    if (counts < 0).any():
        raise PrivacyProblem("presence has a subscriber in two zones at one hour; build it again")
    return counts.reshape(-1)
