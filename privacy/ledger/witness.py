"""The witness: a file of signed heads that the operator keeps apart from the ledger.

Every committed entry is appended, with the head after it signed by the operator's own key, before anything of the
release is sent. So whatever left the node is in the witness, and a ledger that was restored from a backup shows as
one that ends before its witness does. Such a ledger is not opened; `restore` adds the charges that it lacks.
Charges can only be added this way, never removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from privacy.errors import LedgerProblem
from privacy.ledger.entry import GENESIS, Entry, head_after

_BLOCK = 1 << 16


@dataclass(frozen=True)
class Keeper:
    """What keeps a ledger honest: the operator's signing key, and the file of the witness."""

    key: Ed25519PrivateKey
    witness: Path

    def sign(self, identity: str, sequence: int, head: str) -> bytes:
        """Return the signature (Ed25519) over a head of this operator's ledger."""
        return self.key.sign(statement(identity, sequence, head))


@dataclass(frozen=True)
class Line:
    """One line of the witness: an entry as it was hashed, the head after it, and its signature."""

    entry: bytes
    head: str
    signature: bytes


def statement(identity: str, sequence: int, head: str) -> bytes:
    """Return the bytes that are signed for a head."""
    return b"\0".join([b"quorate.ledger.head.v1", identity.encode(), str(sequence).encode(), head.encode()])


def read(path: Path) -> list[Line]:
    """Return the lines of a witness; none if there is no file yet.

    A last line without its end was being written when the machine stopped: nothing of its release was sent, so it
    does not count.

    Raises
    ------
    LedgerProblem
        If a line is damaged.
    """
    if not path.exists():
        return []
    *lines, _unfinished = path.read_bytes().split(b"\n")
    return [_line(line, number) for number, line in enumerate(lines, start=1)]


def append(path: Path, lines: Sequence[Line]) -> None:
    """Append lines and make them durable; an unfinished last line is overwritten."""
    text = b"".join(
        json.dumps(
            {"entry": line.entry.decode(), "head": line.head, "signature": line.signature.hex()}
        ).encode()
        + b"\n"
        for line in lines
    )
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(handle, "r+b") as file:
        file.seek(_finished(file))
        file.write(text)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _finished(file: BinaryIO) -> int:
    """Return where the last finished line ends; nearly always that is the end of the file."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _BLOCK)
        file.seek(start)
        place = file.read(end - start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0


def require_chain(lines: Sequence[Line], identity: str, key: Ed25519PublicKey) -> None:
    """Refuse a witness that is not one chain of this operator's signed heads.

    Raises
    ------
    LedgerProblem
        Names the first line that does not hold.
    """
    head = GENESIS
    for number, line in enumerate(lines, start=1):
        try:
            entry = Entry.model_validate_json(line.entry)
            key.verify(line.signature, statement(identity, number, line.head))
        except (ValueError, InvalidSignature):
            raise _damaged(number) from None
        if (entry.sequence, entry.previous) != (number, head) or head_after(line.entry) != line.head:
            raise _damaged(number)
        head = line.head


def missing(held: Sequence[Line], witnessed: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """Return (lines that the witness lacks, lines that the ledger lacks).

    Raises
    ------
    LedgerProblem
        If the two disagree: one of them is not of this ledger, or has been changed.
    """
    for number, (ours, theirs) in enumerate(zip(held, witnessed, strict=False), start=1):
        if ours.head != theirs.head:
            raise LedgerProblem(
                f"the ledger and its witness disagree at entry {number}",
                means="one of them was changed, or they have gone on separately; nothing can be released",
                todo="stop the node, keep both files as evidence, and find out which one is true",
            )
    return list(held[len(witnessed) :]), list(witnessed[len(held) :])


def behind(count: int) -> LedgerProblem:
    """Return the error of a ledger that ends before its witness."""
    return LedgerProblem(
        f"the ledger lacks {count} release(s) that its witness has",
        means="it was restored from a backup; budgets that are spent would be spent again, so it is frozen",
        todo="run quorate-node ledger restore, which adds the missing charges",
    )


def _line(raw: bytes, number: int) -> Line:
    try:
        found = json.loads(raw)
        return Line(found["entry"].encode(), str(found["head"]), bytes.fromhex(found["signature"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(number) from None


def _damaged(number: int) -> LedgerProblem:
    return LedgerProblem(
        f"line {number} of the ledger's witness does not hold",
        means="it cannot be told whether the ledger has every charge, so it is not opened",
        todo="restore the witness from its own copy",
    )
