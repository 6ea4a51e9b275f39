"""Inputs of a hostile peer: mutations of valid bytes and documents, the same for the same name and number."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

#: Numbers at which something may break, as varints would carry them.
NUMBERS = (
    0,
    1,
    2,
    127,
    128,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**53,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
#: Text that is none, or is more than it seems.
RAW = (
    b"",
    b"\0",
    b"\xff\xfe\xfd",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xc0\x80",
    "\u202e\u0000\u2028é\U0001f4f1".encode(),
    b"../../etc/passwd",
    b"' OR 1=1 --",
    b"%s%n{0}${x}",
    b"a" * 5000,
    b"\n2026-01-01 INFO forged line",
)
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.0, -0.0, 0.5, 1e308, 2**31, 2**53 - 1, 2**53, 2**63, 2**64, 10**400, -(2**63),
    "", "\0", "\ud800", "é\u202e", "0" * 64, "f" * 64, "a" * 2000, "2026-02-30", "0001-01-01", "9999-12-31",
    [], {}, [[]], [None], {"": None}, {"a": {"a": {}}}, [0] * 500,
)  # fmt: skip


def chance(name: str, number: int) -> random.Random:
    """Return the source of one input."""
    return random.Random(f"{name}:{number}")


def varint(number: int) -> bytes:
    """Return a number as protobuf writes it."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return bytes that were changed in a few places, or cut, doubled or replaced."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        rng.choice(_CHANGES)(found, rng)
    return bytes(found)


def _flip(data: bytearray, rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(data: bytearray, rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _insert(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data) + 1)
    data[place:place] = rng.choice(
        (rng.choice(RAW), varint(rng.choice(NUMBERS)), rng.randbytes(rng.randrange(1, 9)))
    )


def _remove(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data) + 1)
    del data[place : place + rng.randrange(1, 9)]


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _double(data: bytearray, rng: random.Random) -> None:
    first = rng.randrange(len(data) + 1)
    data[first:first] = data[first : first + rng.randrange(1, 65)] * rng.choice((1, 2, 20))


_CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip,
    _set,
    _insert,
    _remove,
    _cut,
    _double,
)


def mutated_document(data: bytes, rng: random.Random) -> bytes:
    """Return a JSON document in which one value is another, one is more or one is gone; in canonical order."""
    value = json.loads(data)
    parent, key = _place(value, rng)
    kind = rng.randrange(4)
    if kind == 0 and isinstance(parent, dict):
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[rng.choice(("newer", "", "é", "__class__", key + " "))] = rng.choice(ODD_VALUES)
    else:
        parent[key] = _other(parent[key], rng)
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=rng.random() < 0.1)
    return text.encode("utf-8", "surrogatepass")


def _other(value: Any, rng: random.Random) -> Any:
    kind = rng.randrange(3)
    if kind == 0 and isinstance(value, str) and value:
        return mutated(value.encode(), rng).decode("utf-8", "replace")
    if kind == 1 and isinstance(value, int):
        return value + rng.choice((-1, 1, 2**31, 2**53, -(2**53)))
    return rng.choice(ODD_VALUES)


def _place(value: Any, rng: random.Random) -> tuple[Any, Any]:
    """Return a container within a value and the key of something in it."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = rng.choice(keys)
        if not isinstance(value[key], dict | list) or not value[key] or rng.random() < 0.3:
            return value, key
        value = value[key]


def nested(rng: random.Random) -> bytes:
    """Return JSON that nests deeper than a document does."""
    depth = rng.choice((50, 150, 198, 199, 200, 201, 1_000, 100_000))
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
    return (opening * depth + "1" + closing * depth).encode()
