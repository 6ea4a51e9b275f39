"""Bins of persons in a union sketch: HMAC-SHA-256 of a person's pseudonym under the key of a period, modulo m.

Two operators who know the same key K put the same person into the same bin; who does not know K cannot tell which.
With the pseudonym p as 8 bytes, big-endian, HMAC (RFC 2104) is

    SHA-256((K ⊕ opad) ‖ SHA-256((K ⊕ ipad) ‖ p)),

and the two first blocks are the same for everybody, so that they are hashed once. The bin is the whole of the 256
bits modulo m: every bin then has the probability 1/m but for less than 2⁻²⁵⁶, which is no bias that anything could
see. (Of a word of 64 bits it would be up to m/2⁶⁴ of 1/m; with 256 nobody has to argue about it.) The remainder is
taken 32 bits at a time, r ← (2³²·r + word) mod m, which stays below 2⁶³ for every m up to 2³¹.

Counts of bins over operators tell how many persons they share (sums of products of deviations from the mean).
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from privacy.errors import PrivacyProblem

Integers = NDArray[np.int64]

#: Bytes of a period key, and of a pseudonym.
KEY_BYTES, PSEUDONYM_BYTES = 32, 8
#: Largest number of bins for which the arithmetic is exact.
LARGEST_BINS = 2**31
#: Persons that are hashed at a time: their digests are 2 MiB.
AT_ONCE = 2**16
_SHA256_BLOCK = 64


def bins_of(persons: Integers, key: bytes, bins: int) -> Integers:
    """Return the bin of each person.

    Parameters
    ----------
    persons
        Pseudonyms, non-negative int64 of shape (persons,).
    key
        K, 32 bytes; secret.
    bins
        m, from 2 to 2³¹; public.

    Returns
    -------
    ndarray
        int64 of shape (persons,), from 0 to m − 1.

    Raises
    ------
    PrivacyProblem
        If the key does not have 32 bytes, the bins are out of range, or a pseudonym is negative. Says no value.
    """
    require_sketch(key, bins)
    if persons.dtype != np.int64 or persons.ndim != 1 or (persons.size and int(persons.min()) < 0):
        raise PrivacyProblem("the persons are not one column of pseudonyms of 63 bits")
    found = np.empty(persons.size, np.int64)
    for start in range(0, persons.size, AT_ONCE):
        some = slice(start, start + AT_ONCE)
        found[some] = _remainders(_digests(persons[some], key), bins)
    return found


def require_sketch(key: bytes, bins: int) -> None:
    """Refuse a key that does not have 32 bytes, and numbers of bins out of range (PrivacyProblem)."""
    if len(key) != KEY_BYTES:
        raise PrivacyProblem(f"the period key does not have {KEY_BYTES} bytes")
    if type(bins) is not int or not 2 <= bins <= LARGEST_BINS:
        raise PrivacyProblem(f"a sketch has from 2 to {LARGEST_BINS} bins")


def _digests(persons: Integers, key: bytes) -> bytes:
    """Return the HMACs of pseudonyms, one after another."""
    padded = key.ljust(_SHA256_BLOCK, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded)).copy
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded)).copy
    data, digests = persons.astype(">i8").tobytes(), []
    for start in range(0, len(data), PSEUDONYM_BYTES):
        first, second = inner(), outer()
        first.update(data[start : start + PSEUDONYM_BYTES])
        second.update(first.digest())
        digests.append(second.digest())
    return b"".join(digests)


def _remainders(digests: bytes, bins: int) -> Integers:
    """Return numbers of 256 bits, big-endian, modulo the number of bins."""
    words = np.frombuffer(digests, dtype=">u4").reshape(-1, KEY_BYTES // 4).astype(np.uint64)
    rest, most = np.zeros(words.shape[0], np.uint64), np.uint64(bins)
    for word in words.T:
        rest = ((rest << np.uint64(32)) | word) % most
    return rest.astype(np.int64)
