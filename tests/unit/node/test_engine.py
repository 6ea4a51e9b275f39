"""The hash that every engine computes alike, the packed maximum, and how the engine is opened."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend

from node.config import Engine
from node.engine import MASK31, connect, hash_key, keyed_hash, pack, small_sum, unpack_zone
from tests.reference.days import key_of, largest, tie
from tests.unit.node.worlds import WORLDS, loaded

LARGEST_ZONE = 2**22 - 2
subscribers = st.integers(0, 2**63 - 1)
zones = st.integers(0, LARGEST_ZONE)
words = st.integers(0, MASK31)


@WORLDS
@given(pairs=st.lists(st.tuples(subscribers, zones), min_size=1, max_size=200), key=words)
@example(pairs=[(2**63 - 1, LARGEST_ZONE), (0, 0), (2**31 - 1, 1), (2**31, 1)], key=MASK31)
def test_the_hash_of_the_engine_is_the_hash_of_plain_python(
    db: Backend, pairs: list[tuple[int, int]], key: int
) -> None:
    rows = loaded(
        db, "numbers", {"subscriber": [pair[0] for pair in pairs], "item": [pair[1] for pair in pairs]}
    )
    hashed = rows.select(h=keyed_hash(rows.subscriber, rows.item, key)).to_pyarrow()
    assert hashed["h"].to_pylist() == [tie(subscriber, item, key) for subscriber, item in pairs]


def test_the_hash_orders_two_zones_either_way_for_half_of_the_subscribers(db: Backend) -> None:
    rows = loaded(db, "numbers", {"subscriber": range(4000), "left": [5] * 4000, "right": [6] * 4000})
    left, right = (keyed_hash(rows.subscriber, zone, 77) for zone in (rows.left, rows.right))
    first_wins = rows.filter(left > right).count().to_pyarrow().as_py()
    assert abs(first_wins - 2000) < 5 * (4000 / 4) ** 0.5  # five standard deviations of a fair coin


@given(secret=st.binary(max_size=64), purpose=st.text(max_size=40))
@WORLDS
def test_a_key_is_the_start_of_an_hmac_and_fits_31_bits(secret: bytes, purpose: str) -> None:
    assert hash_key(secret, purpose) == key_of(secret, purpose)
    assert 0 <= hash_key(secret, purpose) <= MASK31


def test_every_purpose_and_every_secret_has_a_key_of_its_own() -> None:
    purposes = {hash_key(b"s" * 32, f"presence|2026-10-{day:02d}") for day in range(1, 32)}
    secrets = {hash_key(bytes([byte]) * 32, "presence|2026-10-19") for byte in range(31)}
    assert len(purposes | secrets) == 62


@given(
    amounts=st.dictionaries(zones, st.integers(1, 4095), min_size=1, max_size=30),
    subscriber=subscribers,
    key=words,
)
@example(amounts={LARGEST_ZONE: 4095, 0: 4095}, subscriber=2**63 - 1, key=MASK31)
@WORLDS
def test_the_largest_packed_number_is_the_zone_with_the_largest_amount(
    db: Backend, amounts: dict[int, int], subscriber: int, key: int
) -> None:
    columns = {"zone": [*amounts], "amount": [*amounts.values()], "subscriber": [subscriber] * len(amounts)}
    rows = loaded(db, "numbers", columns)
    packed = pack(rows.amount, keyed_hash(rows.subscriber, rows.zone, key), rows.zone)
    best = rows.aggregate(best=packed.max())
    assert best.select(zone=unpack_zone(best.best)).to_pyarrow()["zone"].to_pylist() == [
        largest(amounts, subscriber, key)
    ]


def test_a_packed_number_gives_its_zone_back_and_stays_positive(db: Backend) -> None:
    rows = loaded(db, "numbers", {"amount": [0, 4095], "tie": [0, MASK31], "zone": [0, LARGEST_ZONE]})
    packed = rows.select("zone", packed=pack(rows.amount, rows.tie, rows.zone))
    found = packed.select("packed", zone=unpack_zone(packed.packed)).to_pyarrow()
    assert found["zone"].to_pylist() == [0, LARGEST_ZONE]
    assert found["packed"].to_pylist() == [0, 4095 * 2**51 + (MASK31 // 4) * 2**22 + LARGEST_ZONE]
    assert max(found["packed"].to_pylist()) < 2**63


def test_a_small_sum_is_an_int64_in_arrow_and_in_parquet(db: Backend, tmp_path: Path) -> None:
    rows = loaded(db, "numbers", {"group": [1, 1, 2], "amount": [2**30, 2**30 - 1, 0]})
    sums = rows.group_by("group").aggregate(total=small_sum(rows.amount))
    sums.to_parquet(str(tmp_path / "sums.parquet"))
    for found in (sums.to_pyarrow(), pq.read_table(tmp_path / "sums.parquet")):
        assert found.schema.field("total").type == pa.int64()
        pairs = zip(found["group"].to_pylist(), found["total"].to_pylist(), strict=True)
        assert Counter(dict(pairs)) == Counter({1: 2**31 - 1, 2: 0})


def test_the_engine_runs_in_utc_within_its_limits_and_closes(tmp_path: Path) -> None:
    with connect(Engine(memory_limit="100MB", threads=1), tmp_path / "spill") as backend:
        settings = backend.raw_sql(
            "SELECT current_setting('TimeZone'), current_setting('memory_limit'), "
            "current_setting('threads'), current_setting('temp_directory')"
        ).fetchone()
    assert settings == ("UTC", "95.3 MiB", 1, str(tmp_path / "spill"))
    with pytest.raises(Exception, match=r"(?i)closed"):
        backend.raw_sql("SELECT 1")
