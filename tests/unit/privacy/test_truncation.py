"""Truncation keeps at most L cells of a subscriber, chosen uniformly and by nothing but the key."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend
from numpy.typing import NDArray
from scipy import stats

from node.config import Engine
from node.engine import connect
from node.engine import keyed_hash as engine_hash
from privacy.errors import PrivacyProblem
from privacy.truncation import MASK31, kept, keyed_hash, sampling_key

LARGEST = 2**63 - 1
subscribers = st.integers(0, LARGEST)
cells = st.integers(0, 2**22 - 1)
keys = st.integers(0, MASK31)
Pairs = list[tuple[int, int]]
distinct = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), unique=True, max_size=80)


def columns(pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def by_hand(subscriber: int, cell: int, key: int) -> int:
    """The hash in whole numbers of any length."""
    word = ((subscriber & MASK31) + cell * (0x9E3779B1 & MASK31) + key) & MASK31
    for factor in (0x7FEB352D, 0x846CA68B):
        word = ((word ^ (word >> 15)) * factor) & MASK31
    return word


def kept_by_hand(pairs: Pairs, limit: int, key: int) -> set[tuple[int, int]]:
    owned = defaultdict(list)
    for subscriber, cell in pairs:
        owned[subscriber].append((by_hand(subscriber, cell, key), cell))
    return {(who, cell) for who, ranked in owned.items() for _hash, cell in sorted(ranked)[:limit]}


def kept_pairs(pairs: Pairs, limit: int, key: int) -> set[tuple[int, int]]:
    return {
        pair for pair, keep in zip(pairs, kept(*columns(pairs), limit, key).tolist(), strict=True) if keep
    }


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with connect(Engine(memory_limit="500MB", threads=1), Path(tmp_path_factory.mktemp("db"))) as backend:
        yield backend


# --- the hash ---------------------------------------------------------------------------------------------


@given(pairs=st.lists(st.tuples(subscribers, subscribers), max_size=60), key=keys)
@example(pairs=[(LARGEST, LARGEST), (0, 0), (LARGEST, 2**22 - 2), (2**31, 2**31 - 1)], key=MASK31)
def test_the_hash_is_that_of_whole_numbers_without_a_size(pairs: Pairs, key: int) -> None:
    hashes = keyed_hash(*columns(pairs), key)
    assert hashes.dtype == np.int64
    assert hashes.tolist() == [by_hand(subscriber, cell, key) for subscriber, cell in pairs]


def test_the_hash_is_that_of_the_engine(db: Backend) -> None:
    generator = np.random.default_rng(1)
    edges = [(who, cell) for who in (0, 2**31 - 1, 2**31, LARGEST) for cell in (0, 1, 2**22 - 1)]
    subscriber = np.concatenate([generator.integers(0, LARGEST, 5000, endpoint=True), columns(edges)[0]])
    cell = np.concatenate([generator.integers(0, 2**22, 5000), columns(edges)[1]])
    table = pa.table({"subscriber": subscriber, "cell": cell})
    rows = db.create_table("pairs", table, temp=True, overwrite=True)
    for key in (0, 77, MASK31):
        found = rows.select(hash=engine_hash(rows.subscriber, rows.cell, key)).to_pyarrow()
        assert found["hash"].to_pylist() == keyed_hash(subscriber, cell, key).tolist()


def test_two_cells_of_one_subscriber_never_have_the_same_hash() -> None:
    cell = np.arange(2**18, dtype=np.int64)
    hashes = keyed_hash(np.full_like(cell, LARGEST - 5), cell, 123_456_789)
    assert np.unique(hashes).size == cell.size


def test_a_key_is_the_start_of_an_hmac_of_statistic_and_day() -> None:
    digest = hmac.new(b"s" * 32, b"truncation|presence-by-day|2026-10-25", hashlib.sha256).digest()
    expected = int.from_bytes(digest[:4], "big") % 2**31
    assert sampling_key(b"s" * 32, "presence-by-day", date(2026, 10, 25)) == expected


def test_every_secret_statistic_and_day_has_a_key_of_its_own() -> None:
    days = [date(2026, 10, day) for day in range(1, 32)]
    found = {
        sampling_key(secret, statistic, day)
        for secret in (b"a" * 32, b"b" * 32)
        for statistic in ("flows", "presence-by-day")
        for day in days
    }
    assert len(found) == 4 * len(days)


# --- what is kept -----------------------------------------------------------------------------------------


@given(pairs=distinct, limit=st.integers(1, 12), key=keys)
def test_every_subscriber_keeps_the_smallest_hashes_and_no_more_than_the_limit(
    pairs: Pairs, limit: int, key: int
) -> None:
    assert kept_pairs(pairs, limit, key) == kept_by_hand(pairs, limit, key)


@given(pairs=distinct, limit=st.integers(1, 12), key=keys)
def test_every_subscriber_keeps_as_many_cells_as_it_may(pairs: Pairs, limit: int, key: int) -> None:
    has = Counter(subscriber for subscriber, _cell in pairs)
    keeps = Counter(subscriber for subscriber, _cell in kept_pairs(pairs, limit, key))
    assert keeps == {subscriber: min(count, limit) for subscriber, count in has.items()}


@given(pairs=distinct, limit=st.integers(1, 12), key=keys, who=st.integers(0, 9), order=st.randoms())
def test_adding_or_removing_another_subscriber_changes_nothing_and_nor_does_the_order(
    pairs: Pairs, limit: int, key: int, who: int, order: object
) -> None:
    without = [pair for pair in pairs if pair[0] != who]
    order.shuffle(without)  # type: ignore[attr-defined]
    whole = kept_pairs(pairs, limit, key)
    assert kept_pairs(without, limit, key) == {pair for pair in whole if pair[0] != who}


@given(pairs=distinct, key=keys)
def test_a_larger_limit_keeps_what_a_smaller_one_kept(pairs: Pairs, key: int) -> None:
    assert kept_pairs(pairs, 3, key) <= kept_pairs(pairs, 4, key) <= set(pairs)


def test_cells_beyond_31_bits_that_tie_are_kept_by_cell() -> None:
    twins = [(5, 7 + 2**31), (5, 7), (5, 7 + 2**33)]
    assert kept_pairs(twins, 1, 9) == {(5, 7)}
    assert kept_pairs(twins, 2, 9) == {(5, 7), (5, 7 + 2**31)}


@pytest.mark.parametrize("limit", [1, 3, 8, 15])
def test_over_many_keys_and_subscribers_every_cell_is_kept_equally_often(limit: int) -> None:
    generator = np.random.default_rng(limit)
    subscriber, count = generator.integers(0, LARGEST, 4000), 16
    chosen = generator.choice(500, size=count, replace=False).astype(np.int64)
    rows, cell = np.repeat(subscriber, count), np.tile(chosen, subscriber.size)
    included = np.zeros(count)
    for day in range(1, 29):
        key = sampling_key(b"k" * 32, "flows", date(2026, 2, day))
        included += kept(rows, cell, limit, key).reshape(-1, count).sum(axis=0)
    trials, share = subscriber.size * 28, limit / count
    # Draws without replacement: the variance of each count, and −1/(n − 1) between two of them.
    chi_squared = (
        ((included - trials * share) ** 2).sum() / (trials * share * (1 - share)) * (count - 1) / count
    )
    assert included.sum() == trials * limit
    assert 1e-4 < stats.chi2.sf(chi_squared, count - 1) < 1 - 1e-4


def test_over_many_keys_every_pair_of_cells_of_one_subscriber_is_kept_equally_often() -> None:
    count, keys_drawn = 6, 20_000
    cell = np.arange(100, 100 + count, dtype=np.int64)
    drawn = np.random.default_rng(5).integers(0, MASK31, keys_drawn)
    hashes = np.stack([keyed_hash(np.full_like(cell, LARGEST), cell, int(key)) for key in drawn])
    first_two = np.sort(np.argsort(hashes, axis=1)[:, :2], axis=1)
    pairs = np.bincount(first_two[:, 0] * count + first_two[:, 1])
    assert 1e-4 < stats.chisquare(pairs[pairs > 0]).pvalue < 1 - 1e-4
    assert (pairs > 0).sum() == count * (count - 1) // 2


def test_no_rows_keep_none() -> None:
    assert kept_pairs([], 3, 5) == set()


# --- what is refused --------------------------------------------------------------------------------------


def test_the_same_cell_twice_is_refused_even_beyond_the_limit() -> None:
    with pytest.raises(PrivacyProblem, match="same cell twice"):
        kept(*columns([(1, 2), (1, 3), (1, 2)]), 1, 5)
    assert kept(*columns([(1, 2), (2, 2)]), 1, 5).all()


@pytest.mark.parametrize("limit", [0, -1, 2**31])
def test_a_limit_that_bounds_nothing_is_refused(limit: int) -> None:
    with pytest.raises(PrivacyProblem, match="limit"):
        kept(*columns([(1, 2)]), limit, 5)


@pytest.mark.parametrize("key", [-1, 2**31])
def test_a_key_of_another_length_is_refused(key: int) -> None:
    with pytest.raises(PrivacyProblem, match="31 bits"):
        kept(*columns([(1, 2)]), 1, key)


def test_columns_that_do_not_fit_are_refused() -> None:
    good = np.array([1, 2], dtype=np.int64)
    for bad in (good.astype(np.int32), good.astype(np.float64), good[:1], good.reshape(1, 2)):
        with pytest.raises(PrivacyProblem, match="one int64 column"):
            kept(good, bad, 1, 5)  # type: ignore[arg-type]
    with pytest.raises(PrivacyProblem, match="one int64 column"):
        kept(good.reshape(1, 2), good.reshape(1, 2), 1, 5)


@pytest.mark.parametrize("name", ["subscriber", "cell"])
def test_a_negative_number_is_refused(name: str) -> None:
    good, bad = np.array([1, 2], dtype=np.int64), np.array([1, -2], dtype=np.int64)
    pair = (bad, good) if name == "subscriber" else (good, bad)
    with pytest.raises(PrivacyProblem, match=f"a {name} is negative"):
        kept(*pair, 1, 5)


@settings(max_examples=20)
@given(who=st.integers(2**62, LARGEST), key=keys)
def test_the_largest_pseudonyms_are_sampled_without_a_warning(who: int, key: int) -> None:
    pairs = [(who, cell) for cell in range(2**22 - 20, 2**22)]
    with np.errstate(all="raise"):
        assert len(kept_pairs(pairs, 7, key)) == 7
