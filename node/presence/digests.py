"""Pseudonyms of whole numbers, many at a time: those of `node.sources.pseudonyms` in an eighth of its time.

The message is the decimal text of the number, so that it fits into one block of SHA-256 (FIPS 180-4) and an HMAC
(RFC 2104) takes two compressions after those of the key. Sixteen numbers are worked on side by side, one in each lane
of the arrays, which the compiler turns into vector instructions. Nothing here depends on the numbers in time or
memory access but the number of their digits.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, islice
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from node.presence.compiled import compiled
from privacy.errors import UsageProblem

Integers = NDArray[np.int64]
Lanes = NDArray[np.uint32]

_LANES, _ROUNDS, _BLOCK = 16, 64, 64
_U = np.uint32
_INNER, _OUTER = 0x36, 0x5C


def _primes() -> list[int]:
    return list(islice((n for n in count(2) if all(n % d for d in range(2, isqrt(n) + 1))), _ROUNDS))


def _cube_root(number: int) -> int:
    root = 1 << -(-number.bit_length() // 3)
    while root**3 > number:
        root = (2 * root + number // root**2) // 3
    return root


#: The first 32 bits of the fractional parts of roots of primes (FIPS 180-4, 4.2.2 and 5.3.3).
_CONSTANTS = np.array([_cube_root(prime << 96) % 2**32 for prime in _primes()], np.uint32)
_START = np.array([isqrt(prime << 64) % 2**32 for prime in _primes()[:8]], np.uint32)


@compiled
def _compress(state: Lanes, words: Lanes, work: Lanes) -> None:
    """Add the block in the first 16 words of every lane to its state; shapes (8, lanes), (64, lanes), (8, lanes)."""
    for t in range(16, _ROUNDS):
        for lane in range(_LANES):
            early, late = words[t - 15, lane], words[t - 2, lane]
            small = (
                ((early >> _U(7)) | (early << _U(25)))
                ^ ((early >> _U(18)) | (early << _U(14)))
                ^ (early >> _U(3))
            )
            large = (
                ((late >> _U(17)) | (late << _U(15)))
                ^ ((late >> _U(19)) | (late << _U(13)))
                ^ (late >> _U(10))
            )
            words[t, lane] = words[t - 16, lane] + small + words[t - 7, lane] + large
    for row in range(8):
        for lane in range(_LANES):
            work[row, lane] = state[row, lane]
    for t in range(_ROUNDS):
        # Instead of moving eight variables by one place each round, their places move.
        a, b, c, d = (-t) % 8, (1 - t) % 8, (2 - t) % 8, (3 - t) % 8
        e, f, g, h = (4 - t) % 8, (5 - t) % 8, (6 - t) % 8, (7 - t) % 8
        constant = _CONSTANTS[t]
        for lane in range(_LANES):
            x, y = work[e, lane], work[a, lane]
            large = (
                ((x >> _U(6)) | (x << _U(26)))
                ^ ((x >> _U(11)) | (x << _U(21)))
                ^ ((x >> _U(25)) | (x << _U(7)))
            )
            choice = (x & work[f, lane]) ^ (~x & work[g, lane])
            first = work[h, lane] + large + choice + constant + words[t, lane]
            small = (
                ((y >> _U(2)) | (y << _U(30)))
                ^ ((y >> _U(13)) | (y << _U(19)))
                ^ ((y >> _U(22)) | (y << _U(10)))
            )
            majority = (y & work[b, lane]) ^ (y & work[c, lane]) ^ (work[b, lane] & work[c, lane])
            work[d, lane] = work[d, lane] + first
            work[h, lane] = first + small + majority
    for row in range(8):
        for lane in range(_LANES):
            state[row, lane] = state[row, lane] + work[row, lane]


@compiled
def _write_text(number: int, words: Lanes, lane: int) -> None:
    """Write the decimal text of a number as the padded block of a lane, which follows one block of key."""
    length, rest = 1, number // 10
    while rest > 0:
        length, rest = length + 1, rest // 10
    for row in range(16):
        words[row, lane] = _U(0)
    for place in range(length - 1, -1, -1):
        words[place >> 2, lane] |= _U(48 + number % 10) << _U(24 - 8 * (place & 3))
        number //= 10
    words[length >> 2, lane] |= _U(0x80) << _U(24 - 8 * (length & 3))
    words[15, lane] = _U(8 * (_BLOCK + length))


@compiled
def _write_digest(state: Lanes, words: Lanes) -> None:
    """Write the inner digest of every lane as its padded block, after one block of key."""
    for row in range(8):
        words[row] = state[row]
    for row in range(9, 15):
        words[row] = _U(0)
    words[8] = _U(0x80000000)
    words[15] = _U(8 * (_BLOCK + 32))


@compiled
def _digests(numbers: Integers, inner: Lanes, outer: Lanes) -> Integers:
    found = np.empty(numbers.size, np.int64)
    words, work = np.zeros((_ROUNDS, _LANES), np.uint32), np.zeros((8, _LANES), np.uint32)
    for begin in range(0, numbers.size, _LANES):
        lanes = min(_LANES, numbers.size - begin)
        for lane in range(lanes):
            _write_text(numbers[begin + lane], words, lane)
        state = inner.copy()
        _compress(state, words, work)
        _write_digest(state, words)
        state = outer.copy()
        _compress(state, words, work)
        for lane in range(lanes):
            # The first 63 bits.
            found[begin + lane] = (np.int64(state[0, lane]) << 31) | np.int64(state[1, lane] >> _U(1))
    return found


def _after(key: bytes, pad: int) -> Lanes:
    """Return the state after the padded key, in every lane."""
    block = bytes(byte ^ pad for byte in key.ljust(_BLOCK, b"\0"))
    words = np.zeros((_ROUNDS, _LANES), np.uint32)
    words[:16] = np.frombuffer(block, ">u4").astype(np.uint32)[:, np.newaxis]
    state = np.repeat(_START[:, np.newaxis], _LANES, axis=1)
    _compress(state, words, np.zeros((8, _LANES), np.uint32))
    return state


def digests_of_numbers(key: bytes) -> Callable[[Integers], Integers]:
    """Return the function that maps numbers to the first 63 bits of the HMAC-SHA-256 of their decimal text.

    Parameters
    ----------
    key
        At most 64 bytes, as the key of a period is.

    Returns
    -------
    Callable
        From int64 of shape (n,), not negative, to int64 of shape (n,).

    Raises
    ------
    UsageProblem
        If the key is longer than a block of SHA-256.
    """
    if len(key) > _BLOCK:
        raise UsageProblem(f"a key of {len(key)} bytes is longer than {_BLOCK}", todo="derive a shorter one")
    inner, outer = _after(key, _INNER), _after(key, _OUTER)
    return lambda numbers: _digests(numbers, inner, outer)
