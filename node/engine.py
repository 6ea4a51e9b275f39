"""The arithmetic that every engine does alike: a keyed hash, a packed maximum, sums; and the default engine.

Definitions are Ibis expressions in a small vocabulary (`+ - * & ^ >> //`, inner and left joins, group-by with count,
sum, min and max, window functions in a total order). What runs them is in `node.engines`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

import pyarrow as pa
from ibis.backends.duckdb import Backend as Embedded
from ibis.expr.types import IntegerScalar, IntegerValue, Table

from node.engines.duckdb import connect, read_one, streamed
from node.tables import CELL, ORIGIN, REASON, ZONE, X, Y

__all__ = [
    "MASK31",
    "batches",
    "connect",
    "hash_key",
    "keyed_hash",
    "large_sum",
    "narrow",
    "pack",
    "read_one",
    "small_sum",
    "unpack_zone",
    "wide",
]

#: Columns below 2³¹: cells are below 2²⁶, zones below 2²², positions within 2²⁹ metres, origins country codes.
_SMALL = frozenset((CELL, ZONE, X, Y, ORIGIN, REASON))

MASK31 = 2**31 - 1
_C1, _C2, _GOLDEN = 0x7FEB352D, 0x846CA68B, 0x9E3779B1
_ZONE_BITS = 22


def hash_key(secret: bytes, purpose: str) -> int:
    """Return a 31-bit key for one purpose and date, from the node's secret (HMAC-SHA-256)."""
    return int.from_bytes(hmac.digest(secret, purpose.encode(), hashlib.sha256)[:4], "big") & MASK31


def keyed_hash(subscriber: IntegerValue, item: IntegerValue, key: int) -> IntegerValue:
    """Return a 31-bit hash of a subscriber and an item that no engine computes differently.

    Two rounds of multiply and xor-shift on 31-bit words, all below 2⁶³, with the constants of lowbias32
    (Wellons 2018); a linear form modulo a prime was measurably biased as a sampling hash. The same as
    `privacy.truncation.keyed_hash`.
    """
    start = ((subscriber & MASK31) + (item & MASK31) * (_GOLDEN & MASK31) + key) & MASK31
    return _round(_round(start, _C1), _C2)


def _round(word: IntegerValue, factor: int) -> IntegerValue:
    return ((word ^ (word >> 15)) * factor) & MASK31


def pack(amount: IntegerValue, tie: IntegerValue, zone: IntegerValue) -> IntegerValue:
    """Pack (amount < 4096, tie-breaking hash, zone) into one integer, so that its maximum is the argmax."""
    return amount * 2**51 + (tie >> 2) * 2**_ZONE_BITS + zone


def unpack_zone(packed: IntegerValue) -> IntegerValue:
    """Return the zone of a packed maximum."""
    return packed & (2**_ZONE_BITS - 1)


def small_sum(values: IntegerValue) -> IntegerScalar:
    """Return a sum that is known to stay below 2³¹, as int64.

    DuckDB sums int64 into 128 bits, which Ibis takes for int64 already, so that a plain cast is left out and
    Parquet gets floating-point numbers.
    """
    return values.sum().cast("int32").cast("int64")


def narrow(rows: Table) -> Table:
    """Return rows with the columns whose numbers fit into 32 bits as such: what is sorted or on a disk is smaller."""
    small = {name: rows[name].cast("int32") for name in rows.columns if name in _SMALL}
    return rows.mutate(**small) if small else rows


def wide(rows: Table) -> Table:
    """Return rows with every integer as int64."""
    found = {name: rows[name].cast("int64") for name, type_ in rows.schema().items() if type_.is_integer()}
    return rows.mutate(**found)


def large_sum(values: IntegerValue) -> IntegerScalar:
    """Return a sum that is known to stay within ±2⁵³, as int64: every engine rounds no such number."""
    return values.sum().cast("float64").cast("int64")


def batches(rows: Table, by: str, most: int) -> Iterator[pa.RecordBatch]:
    """Yield rows in the order of a column, at most so many at a time.

    The embedded database stores them until the last is out, because what is streamed may read no table of Python's
    memory. Errors are those of the engine; their texts may quote data.
    """
    backend = rows.get_backend()
    if not isinstance(backend, Embedded):
        yield from rows.order_by(by).to_pyarrow_batches(chunk_size=most)
        return
    with rows.cache() as stored:
        yield from streamed(backend, stored.order_by(by), most)
