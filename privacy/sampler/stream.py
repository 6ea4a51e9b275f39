"""Uniform random words from AES-256 in counter mode under a fresh key of the operating system."""

from __future__ import annotations

import os

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

_BLOCK = 16
#: Words of one stream that may be drawn; streams of one key start this far apart.
STREAM_WORDS = 1 << 40


def fresh_key() -> bytes:
    """Return 256 bits of the operating system's generator; one for each release, and never stored."""
    return os.urandom(32)


class WordStream:
    """One of many non-overlapping streams of 64-bit words under one key.

    Parameters
    ----------
    key
        32 bytes.
    number
        Which stream; different numbers never share a block of the cipher.
    """

    def __init__(self, key: bytes, number: int) -> None:
        start = number * (STREAM_WORDS * 8 // _BLOCK)
        self._encryptor = Cipher(AES256(key), CTR(start.to_bytes(_BLOCK, "big"))).encryptor()
        self._left = STREAM_WORDS
        self._zeros = b""

    def __call__(self, count: int) -> NDArray[np.uint64]:
        """Return the next `count` words, uint64 of shape (count,)."""
        if count > self._left:
            raise OverflowError("the stream is used up")
        self._left -= count
        size = count * 8
        if len(self._zeros) < size:
            self._zeros = bytes(size)
        words = np.empty(count, dtype=np.uint64)
        self._encryptor.update_into(memoryview(self._zeros)[:size], words.data.cast("B"))
        return words
