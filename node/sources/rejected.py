"""Which subscribers had a row rejected on a day: counted by the quality indicators, and as personal as presence.

A row counts if it has a subscriber and a time in the local day, and was asked for (`node.sources.reasons`): days stay
disjoint, as the ledger takes them to be, and a row without a time could be delivered with any day. A row that the
rules over a subscriber's ordered rows dropped counts too, as it does at the gate. Rows of subscribers of other
networks do not count: by the row itself where a row rule rejected it, by the smallest origin of the rows that all row
rules accepted otherwise. Where the home network is not known, the row counts.
"""

from __future__ import annotations

from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.expr.types import Table
from numpy.typing import NDArray

from node.sources.reasons import OF_SEQUENCE, OF_THE_DAY, Reason
from node.tables import ORIGIN, REASON, SUBSCRIBER

#: An origin that is larger than any.
_NOBODY = 2**31 - 1


def rejected_subscribers(rows: Table) -> NDArray[np.int64]:
    """Return the subscribers with a rejected row that counts, ascending, int64 of shape (subscribers,).

    Parameters
    ----------
    rows
        Judged by all rules: subscriber, origin, reason.
    """
    reason, origin = rows[REASON], rows[ORIGIN]
    by_row = reason.isin([int(one) for one in sorted(OF_THE_DAY)]) & (origin <= 0) & (rows[SUBSCRIBER] >= 0)
    dropped = reason.isin([int(one) for one in sorted(OF_SEQUENCE)])
    accepted = dropped | (reason == int(Reason.ACCEPTED))
    of_each = rows.group_by(SUBSCRIBER).aggregate(
        by_row=_flag(by_row).max(),
        dropped=_flag(dropped).max(),
        lowest=ibis.ifelse(accepted, origin, ibis.literal(_NOBODY, "int64")).min(),
    )
    counts = (of_each.by_row == 1) | ((of_each.dropped == 1) & (of_each.lowest == 0))
    found = of_each.filter(counts).select(SUBSCRIBER).order_by(SUBSCRIBER).to_pyarrow()
    subscribers: NDArray[np.int64] = found[SUBSCRIBER].to_numpy().astype(np.int64)
    return subscribers


def write_rejected(subscribers: NDArray[np.int64], path: Path) -> None:
    """Write subscribers, int64 of shape (subscribers,), as a file for its owner alone."""
    schema = pa.schema([pa.field(SUBSCRIBER, pa.int64(), nullable=False)])
    pq.write_table(pa.table([pa.array(subscribers)], schema=schema), path, compression="zstd")
    path.chmod(0o600)


def _flag(condition: ibis.expr.types.BooleanValue) -> ibis.expr.types.IntegerValue:
    return ibis.ifelse(condition, ibis.literal(1, "int64"), ibis.literal(0, "int64"))
