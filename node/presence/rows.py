"""Batches of judged rows as arrays, and what the rows say about their cells: zone and position."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pyarrow as pa
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table

from node.engines.duckdb import streamed
from node.presence.compiled import compiled
from node.presence.kernel import CELL_BITS, Integers, Words
from node.presence.walk import ZONE_BITS
from node.tables import CELL, REASON, ZONE, X, Y
from privacy.errors import DataProblem

#: Metres on the plane stay below this, so that the square of a distance stays below 2⁶³.
_FARTHEST = 2**29
_BATCH_ROWS = 2**16
_PLACE = (CELL, ZONE, X, Y, REASON)
#: Types that kernels take as they are; what is narrower costs less to write and to read.
_TAKEN = {pa.int64(): np.int64, pa.int32(): np.int32, pa.uint8(): np.uint8}


def columns_of(batch: pa.RecordBatch, names: tuple[str, ...]) -> tuple[Integers, ...]:
    """Return columns of a batch as read-only integers of shape (rows,); one that is not there is 0.

    Rows with a reason may have nulls; what their arrays hold is not defined.

    Raises
    ------
    DataProblem
        If a row without a reason against it has a null.
    """
    there = set(batch.schema.names)
    reason = _array(batch.column(REASON)) if REASON in there else _nothing(batch.num_rows)
    found = []
    for name in names:
        column = batch.column(name) if name in there else None
        if column is not None and column.null_count:
            null = column.is_null().to_numpy(zero_copy_only=False)
            if name == REASON or (null & (reason == 0)).any():
                raise DataProblem(
                    f"a row that no rule of the source rejected has no {name}", todo="report it"
                )
        found.append(_nothing(batch.num_rows) if column is None else _array(column))
    return tuple(found)


def _array(column: pa.Array) -> Integers:
    """Return the values of a column without copying; null ones are whatever the buffer holds."""
    if column.type not in _TAKEN:
        column = column.cast(pa.int64())
    data = column.buffers()[1]
    if data is None:
        return _nothing(len(column))
    array: Integers = np.frombuffer(data, _TAKEN[column.type])[column.offset : column.offset + len(column)]
    array.flags.writeable = False
    return array


@lru_cache(maxsize=4)
def _nothing(rows: int) -> Integers:
    array = np.zeros(rows, np.int64)
    array.flags.writeable = False
    return array


def batches_of(backend: Backend, rows: Table) -> Iterator[pa.RecordBatch]:
    """Yield rows of the embedded database as batches, which are small enough for a processor's cache.

    Raises
    ------
    duckdb.Error
        As of `node.engines.duckdb.streamed`.
    """
    return streamed(backend, rows, _BATCH_ROWS)


@compiled
def _learn(columns: tuple[Integers, ...], zone_of: Words, position_of: Words) -> int:
    """Note zone and position of every accepted row's cell; return how many cells need room, or −1 if one is wrong."""
    cells, zones, x_m, y_m, judged = columns
    for row in range(cells.size):
        if judged[row] != 0:
            continue
        cell, zone, x, y = cells[row], zones[row], x_m[row], y_m[row]
        if (
            not 0 <= cell < 1 << CELL_BITS
            or not 0 <= zone < 1 << ZONE_BITS
            or not -_FARTHEST < x < _FARTHEST
            or not -_FARTHEST < y < _FARTHEST
        ):
            return -1
        if cell >= zone_of.size:
            return int(cell + 1)
        if zone_of[cell] < 0:
            zone_of[cell], position_of[cell, 0], position_of[cell, 1] = zone, x, y
        elif zone_of[cell] != zone or position_of[cell, 0] != x or position_of[cell, 1] != y:
            return -1
    return 0


class Places:
    """Zone and position of every cell.

    Parameters
    ----------
    register
        The day's cells as columns cell, zone, x_m and y_m. Without it the places are learnt from the rows, which then
        need these columns.

    Attributes
    ----------
    zone_of
        int32 of shape (cells,), −1 where a cell is not known.
    position_of
        int32 of shape (cells, 2): x_m and y_m.
    """

    def __init__(self, register: pa.Table | None) -> None:
        self.zone_of, self.position_of = np.empty(0, np.int32), np.empty((0, 2), np.int32)
        self._learns = register is None
        for batch in register.to_batches() if register is not None else ():
            self._take(batch)

    @property
    def zones(self) -> int:
        """One more than the largest zone."""
        return int(self.zone_of.max(initial=-1)) + 1

    def see(self, batch: pa.RecordBatch) -> None:
        """Take what rows say about their cells, if there is no register.

        Raises
        ------
        DataProblem
            If a number is out of range, or a cell has two places.
        """
        if self._learns:
            self._take(batch)

    def _take(self, batch: pa.RecordBatch) -> None:
        columns = columns_of(batch, _PLACE)
        while room := _learn(columns, self.zone_of, self.position_of):
            if room < 0:
                raise DataProblem(
                    "a cell is in two places, or its number, zone or position is out of range: cells are below "
                    f"2^{CELL_BITS}, zones below 2^{ZONE_BITS}, positions within {_FARTHEST:,} m",
                    todo="correct the cell register",
                )
            more = max(room, 2 * self.zone_of.size) - self.zone_of.size
            self.zone_of = np.concatenate([self.zone_of, np.full(more, -1, np.int32)])
            self.position_of = np.concatenate([self.position_of, np.zeros((more, 2), np.int32)])
