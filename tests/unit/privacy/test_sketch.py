"""Bins of persons: HMAC-SHA-256 as others compute it, all of its bits modulo the bins, every bin as likely."""

from __future__ import annotations

import hashlib
import hmac
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import PrivacyProblem
from privacy.sketch import AT_ONCE, LARGEST_BINS, bins_of

KEY = bytes(range(32))


def by_hand(person: int, key: bytes, bins: int) -> int:
    return int(hmac.new(key, person.to_bytes(8, "big"), hashlib.sha256).hexdigest(), 16) % bins


@pytest.mark.parametrize(("bins", "expected"), [(4, [3, 3, 0]), (5, [1, 4, 0])])
def test_bins_are_those_that_openssl_and_bc_compute(bins: int, expected: list[int]) -> None:
    """`printf %016x 1001 | xxd -r -p | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f`, then `% 4` in bc.

    1001 → 055f3f45207741c2a289bad5301cc6028629848eb1e2f48ad9d0d652407062ab, 1002 → eb2fb1f2…, 1003 → 206581a3….
    """
    assert bins_of(np.array([1001, 1002, 1003]), KEY, bins).tolist() == expected


@given(
    persons=st.lists(st.integers(0, 2**63 - 1), max_size=20),
    key=st.binary(min_size=32, max_size=32),
    bins=st.integers(2, LARGEST_BINS) | st.sampled_from((2, 3, 2**26, LARGEST_BINS - 1, LARGEST_BINS)),
)
def test_a_bin_is_the_whole_hmac_modulo_the_bins(persons: list[int], key: bytes, bins: int) -> None:
    found = bins_of(np.array(persons, np.int64), key, bins)
    assert found.dtype == np.int64
    assert found.tolist() == [by_hand(person, key, bins) for person in persons]


def test_persons_beyond_what_is_hashed_at_once_get_their_bins_too() -> None:
    persons = np.arange(AT_ONCE + 3, dtype=np.int64)
    found = bins_of(persons, KEY, 1009)
    for person in (0, AT_ONCE - 1, AT_ONCE, AT_ONCE + 2):
        assert found[person] == by_hand(person, KEY, 1009)


def test_persons_spread_evenly_over_bins_that_are_no_power_of_two() -> None:
    """Chi-square of 97 bins has mean 96 and deviation √192; the key is fixed, and so is the result."""
    counts = np.bincount(bins_of(np.arange(100_000), KEY, 97), minlength=97)
    expected = 100_000 / 97
    assert abs(((counts - expected) ** 2 / expected).sum() - 96) < 4 * np.sqrt(192)


def test_another_key_gives_other_bins_and_the_same_gives_the_same() -> None:
    persons = np.arange(1000)
    first, again = (bins_of(persons, KEY, 10**6) for _ in range(2))
    assert (first == again).all()
    assert np.count_nonzero(bins_of(persons, bytes(32), 10**6) == first) < 5


@pytest.mark.parametrize(
    ("persons", "key", "bins"),
    [
        ([1], bytes(31), 5),
        ([1], bytes(33), 5),
        ([1], KEY, 1),
        ([1], KEY, LARGEST_BINS + 1),
        ([1], KEY, True),
        ([-1], KEY, 5),
    ],
)
def test_what_is_no_key_no_sketch_or_no_pseudonym_is_refused(
    persons: list[int], key: bytes, bins: int
) -> None:
    with pytest.raises(PrivacyProblem) as caught:
        bins_of(np.array(persons, np.int64), key, bins)
    assert KEY.hex() not in caught.value.explain()


def test_columns_of_another_type_are_refused() -> None:
    for persons in (np.zeros(3), np.zeros((3, 1), np.int64), np.zeros(3, np.int32)):
        with pytest.raises(PrivacyProblem, match="not one column of pseudonyms"):
            bins_of(persons, KEY, 5)  # type: ignore[arg-type]


@pytest.mark.full
def test_a_person_costs_less_than_two_microseconds_beyond_two_hashes() -> None:
    """The least that HMAC costs here is two copies of a prepared state, two updates and two digests."""
    persons = np.arange(1_000_000)
    inner = hashlib.sha256(KEY)
    begin = time.process_time()
    for _ in range(persons.size):
        for _ in range(2):
            state = inner.copy()
            state.update(b"12345678")
            state.digest()
    hashing = time.process_time() - begin
    begin = time.process_time()
    bins_of(persons, KEY, 40_000_003)
    assert time.process_time() - begin - hashing < 2.0
