"""Pseudonyms: the first 63 bits of AES-256 of an identifier under the key of a period.

An identifier of 15 bytes or fewer is padded to a block (ISO/IEC 9797-1, method 2); a longer one is a block by keyed
BLAKE2b (RFC 7693). The key of a period is an HMAC-SHA-256 of the operator's key, so that pseudonyms of two periods
cannot be linked without it. Identifiers and keys are values only: never part of a statement, a log or an error.
"""

from __future__ import annotations

import hashlib
import hmac
import subprocess
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from node.private import read_secret
from node.sources.rules import Pseudonyms
from privacy.errors import UsageProblem

_LEAST = 32
_BLOCK, _PADDING = 16, b"\x80" + bytes(15)
#: Numbers below it have 15 digits or fewer.
_SHORT = 10**15
_SECONDS = 60
Purpose = Literal["subscriber", "national"]


def period_of(day: date, period: str) -> str:
    """Return the period that a local day is in: 2026, 2026-10 or 2026-10-25."""
    return day.isoformat()[: {"year": 4, "month": 7, "day": 10}[period]]


def one_period(pseudonyms: Pseudonyms, first: date, last: date) -> bool:
    """Whether subscribers have one pseudonym in all days of a period, so that a statistic can read it."""
    if pseudonyms.given:
        return True
    return period_of(first, pseudonyms.period) == period_of(last, pseudonyms.period)


class Mapper:
    """Maps identifiers to pseudonyms of one day.

    Parameters
    ----------
    key
        The operator's key, 32 bytes or more.
    purpose
        Whose identifiers.
    period
        Name of the period.
    """

    def __init__(self, key: bytes, purpose: Purpose, period: str) -> None:
        block_key, long_key = (
            hmac.digest(key, f"quorate.pseudonym.v2|{purpose}|{period}|{what}".encode(), hashlib.sha256)
            for what in ("block", "long")
        )
        # One block of each identifier: a function of it that looks random, not a mode of encryption.
        self._cipher = Cipher(algorithms.AES(block_key), modes.ECB())  # noqa: S305
        self._long = hashlib.blake2b(digest_size=_BLOCK, key=long_key)

    def __call__(self, identifiers: Iterable[str | int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the pseudonyms of identifiers, int64 of shape (identifiers,); a number is as its decimal text."""
        encrypted = self._cipher.encryptor().update(self._blocks(identifiers))
        words: NDArray[np.uint64] = np.frombuffer(encrypted, dtype=">u8")[::2].astype(np.uint64)
        return (words >> np.uint64(1)).astype(np.int64)

    def _blocks(self, identifiers: Iterable[str | int] | NDArray[np.int64]) -> bytes:
        if isinstance(identifiers, np.ndarray):
            if not identifiers.size or 0 <= identifiers.min() <= identifiers.max() < _SHORT:
                return _blocks_of_numbers(identifiers)
            identifiers = identifiers.tolist()
        texts = [str(identifier).encode() for identifier in identifiers]
        return b"".join(
            [(text + _PADDING)[:_BLOCK] if len(text) < _BLOCK else self._hashed(text) for text in texts]
        )

    def _hashed(self, text: bytes) -> bytes:
        state = self._long.copy()
        state.update(text)
        return state.digest()


def _blocks_of_numbers(numbers: NDArray[np.int64]) -> bytes:
    """Return the padded decimal texts of numbers below `_SHORT`, all at once: four times faster than one by one."""
    blocks = numbers.astype(f"S{_BLOCK}").view(np.uint8).reshape(-1, _BLOCK)
    blocks[np.arange(numbers.size), np.count_nonzero(blocks, axis=1)] = _PADDING[0]
    return blocks.tobytes()


def subscriber_key(pseudonyms: Pseudonyms, root: Path, secret: bytes) -> bytes:
    """Return the key of subscribers' pseudonyms (UsageProblem if it cannot be had).

    Parameters
    ----------
    pseudonyms
        Where the key is.
    root
        What a relative path starts at.
    secret
        The node's own secret, which is the key if no other is declared.
    """
    if pseudonyms.key_file:
        return _from_file(root / pseudonyms.key_file)
    return _from_command(pseudonyms.key_command, root) if pseudonyms.key_command else secret


def national_key(pseudonyms: Pseudonyms, root: Path) -> bytes | None:
    """Return the key of national identifiers, None if none is declared."""
    if pseudonyms.national_key_file:
        return _from_file(root / pseudonyms.national_key_file)
    command = pseudonyms.national_key_command
    return _from_command(command, root) if command else None


def _from_file(path: Path) -> bytes:
    risk = "whoever reads it can find out the subscriber behind a pseudonym"
    return _long_enough(read_secret(path, risk), str(path))


def _from_command(command: tuple[str, ...], root: Path) -> bytes:
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        # What it printed may be the key.
        raise UsageProblem(
            f"the key command {command[0]} failed ({type(error).__name__})",
            todo="run it by hand; it must print the key and end with code 0",
        ) from None
    return _long_enough(done.stdout, f"the output of {command[0]}")


def _long_enough(data: bytes, what: str) -> bytes:
    text = data.removesuffix(b"\n").removesuffix(b"\r") if len(data) > _LEAST else data
    try:
        key = bytes.fromhex(text.decode("ascii")) if len(text) >= 2 * _LEAST else text
    except ValueError:
        key = text
    if len(key) < _LEAST:
        raise UsageProblem(
            f"{what} is not a key of {_LEAST} bytes or more",
            todo=f"make one, for example with: openssl rand -hex {_LEAST}",
        )
    return key
