"""The embedded database behind Ibis, and the hash that is equal on every engine."""

from __future__ import annotations

import glob
import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ibis
from ibis.backends.duckdb import Backend
from ibis.expr.types import IntegerScalar, IntegerValue, Table

from node.config import Engine

MASK31 = 2**31 - 1
_C1, _C2, _GOLDEN = 0x7FEB352D, 0x846CA68B, 0x9E3779B1
_ZONE_BITS = 22


@contextmanager
def connect(engine: Engine, scratch: Path) -> Iterator[Backend]:
    """Open a DuckDB in memory that spills to `scratch` and runs in UTC."""
    connection = ibis.duckdb.connect(
        memory_limit=engine.memory_limit, threads=engine.threads, temp_directory=str(scratch)
    )
    try:
        connection.raw_sql("SET TimeZone = 'UTC'")
        connection.raw_sql("SET enable_progress_bar = false")
        yield connection
    finally:
        connection.disconnect()


def read_one(connection: Backend, path: Path) -> Table:
    """Return exactly one Parquet file as a table: its path is no pattern, and adds no columns."""
    return connection.read_parquet(glob.escape(str(path)), hive_partitioning=False)


def hash_key(secret: bytes, purpose: str) -> int:
    """Return a 31-bit key for one purpose and date, from the node's secret (HMAC-SHA-256)."""
    return int.from_bytes(hmac.digest(secret, purpose.encode(), hashlib.sha256)[:4], "big") & MASK31


def keyed_hash(subscriber: IntegerValue, item: IntegerValue, key: int) -> IntegerValue:
    """Return a 31-bit hash of a subscriber and an item that no engine computes differently.

    Two rounds of multiply and xor-shift on 31-bit words, all below 2⁶³, with the constants of lowbias32
    (Wellons 2018); a linear form modulo a prime was measurably biased as a sampling hash.
    """
    start = ((subscriber & MASK31) + item * (_GOLDEN & MASK31) + key) & MASK31
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
