"""Digests of numbers are those of the standard library, and so of the door."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.presence.digests import digests_of_numbers
from node.sources.pseudonyms import Mapper
from privacy.errors import UsageProblem
from tests.unit.node.worlds import WORLDS


def by_library(key: bytes, number: int) -> int:
    return int.from_bytes(hmac.new(key, str(number).encode(), hashlib.sha256).digest()[:8], "big") >> 1


@given(key=st.binary(max_size=64), numbers=st.lists(st.integers(0, 2**63 - 1), max_size=40))
@WORLDS
def test_digests_are_those_of_the_standard_library(key: bytes, numbers: list[int]) -> None:
    found = digests_of_numbers(key)(np.array(numbers, dtype=np.int64))
    assert found.tolist() == [by_library(key, number) for number in numbers]


def test_every_number_of_digits_fits() -> None:
    numbers = [
        0,
        *(10**digits - 1 for digits in range(1, 19)),
        *(10**digits for digits in range(19)),
        2**63 - 1,
    ]
    found = digests_of_numbers(b"k" * 32)(np.array(numbers, dtype=np.int64))
    assert found.tolist() == [by_library(b"k" * 32, number) for number in numbers]


def test_digests_are_the_pseudonyms_of_the_door() -> None:
    secret, numbers = bytes(range(32)), [7, 206_010_000_000_123, 2**63 - 1]
    period = hmac.digest(secret, b"quorate.pseudonym.v1|subscriber|2026-10", "sha256")
    door = Mapper(secret, "subscriber", "2026-10")(numbers)
    assert digests_of_numbers(period)(np.array(numbers)).tolist() == door.tolist()


def test_a_key_of_more_than_a_block_is_refused() -> None:
    with pytest.raises(UsageProblem, match="65 bytes"):
        digests_of_numbers(b"k" * 65)
