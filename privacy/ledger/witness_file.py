"""The file of the witness: one JSON object a line, read from either end, appended to, or replaced as a whole.

The first line may be an anchor; every other one is an entry with the head after it. A last line without its end was
being written when the machine stopped: nothing of its release was sent, so it does not count.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from privacy.errors import ResourceProblem
from privacy.ledger import problems
from privacy.ledger.anchor import SignedAnchor
from privacy.ledger.files import require_path

_BLOCK = 1 << 16
#: Largest sequence of an entry.
_LAST = 2**53
#: Device, inode and length of the file of a witness.
State = tuple[int, int, int]


@dataclass(frozen=True)
class Line:
    """An entry as it was hashed, the head after it, and the signature of that head."""

    entry: bytes
    head: str
    signature: bytes

    def link(self) -> tuple[int, str]:
        """Return the entry's own word of its sequence and of the head before it (ValueError if it has none)."""
        try:
            found = json.loads(self.entry)
            sequence, previous = found["sequence"], found["previous"]
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError("no entry") from error
        if type(sequence) is not int or not 1 <= sequence <= _LAST or type(previous) is not str:
            raise ValueError("no place in a chain")
        return sequence, previous


Item = Line | SignedAnchor
#: Items with the number of their line, from 1.
Numbered = Iterator[tuple[int, Item]]


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """Turn what the file system says of a witness into what an operator can act upon."""
    require_path(path)
    try:
        yield
    except OSError as error:
        raise ResourceProblem(
            f"the ledger's witness {path} cannot be used now: {error.strerror}",
            means="nothing is sent before the witness has it",
            todo="make room on its disk, or correct its permissions or `witness` in node.toml; then try again",
        ) from error


@contextmanager
def reading(path: Path) -> Iterator[Numbered]:
    """Read the lines that are finished now, one after the other; none if there is no file.

    Raises
    ------
    LedgerProblem
        While reading, if a line is damaged.
    """
    with usable(path):
        if not path.exists():
            yield iter(())
            return
        with path.open("rb") as file:
            yield _items(file, _finished(file))


def _items(file: BinaryIO, end: int) -> Numbered:
    file.seek(0)
    number = 0
    while file.tell() < end:
        number += 1
        yield number, _item(file.readline(), number)


def first_anchor(path: Path) -> SignedAnchor | None:
    """Return the anchor that a witness begins with, if there is one."""
    with reading(path) as items:
        for _number, item in items:
            return item if isinstance(item, SignedAnchor) else None
    return None


def last(path: Path) -> Item | None:
    """Return the last line that is finished, read from the end of the file; None if there is none.

    Raises
    ------
    LedgerProblem
        If it is damaged.
    """
    with usable(path):
        if not path.exists():
            return None
        with path.open("rb") as file:
            end = _finished(file)
            if not end:
                return None
            start = _after_newline(file, end - 1)
            file.seek(start)
            return _item(file.read(end - start), "the last line")


def start(path: Path) -> None:
    """Make an empty witness, which says that nothing was released yet."""
    replace(path, None, ())


def is_torn(path: Path) -> bool:
    """Return whether a witness has no finished line, and yet is not empty."""
    with usable(path), path.open("rb") as file:
        return not _finished(file) and file.seek(0, os.SEEK_END) > 0


def state_of(handle: int) -> State:
    """Return which file a handle is of, and how long it is."""
    found = os.fstat(handle)
    return found.st_dev, found.st_ino, found.st_size


def append(path: Path, lines: Iterable[Line], expected: State | None = None) -> int:
    """Append lines and make them durable; an unfinished last line is overwritten. Return how many.

    If it fails, nothing of the lines stays, as far as the disk lets itself be told so. The file must be there: only
    `start` makes one.

    Raises
    ------
    LedgerProblem
        If the file is not there, or not in the state that is expected; nothing is written.
    """
    with usable(path):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            raise problems.witness_changed(path) from None
        with os.fdopen(handle, "r+b", buffering=0) as file:
            if expected is not None and state_of(handle) != expected:
                raise problems.witness_changed(path)
            end = _finished(file)
            file.truncate(end)
            file.seek(end)
            try:
                count = _write(handle, lines)
                os.fsync(handle)
            except OSError:
                with suppress(OSError):
                    file.truncate(end)
                raise
    return count


def replace(path: Path, anchor: SignedAnchor | None, lines: Iterable[Line]) -> None:
    """Put a whole new witness in the place of the old one, at once: a crash leaves the one or the other."""
    # The real path, so that a link to the witness stays one.
    real = Path(os.path.realpath(path))
    beside = real.with_name(f"{real.name}.new")
    with usable(path):
        handle = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write(handle, ([] if anchor is None else [anchor]))
            _write(handle, lines)
            os.fsync(handle)
        finally:
            os.close(handle)
        beside.replace(real)
        _make_durable(real.parent)


def set_aside(path: Path) -> Path:
    """Rename a witness that does not hold, so that it stays as evidence; return its new path."""
    real = Path(os.path.realpath(path))
    number, aside = 1, real.with_name(f"{real.name}.damaged")
    while aside.exists():
        number += 1
        aside = real.with_name(f"{real.name}.damaged.{number}")
    with usable(path):
        real.rename(aside)
        _make_durable(real.parent)
    return aside


def _make_durable(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(handle: int, items: Iterable[Item]) -> int:
    """Write items in blocks, so that any number of them needs little memory; return how many."""
    count, text = 0, bytearray()
    for item in items:
        count += 1
        text += _text(item)
        if len(text) >= _BLOCK:
            _write_all(handle, text)
            text.clear()
    _write_all(handle, text)
    return count


def _write_all(handle: int, text: bytearray) -> None:
    done = 0
    while done < len(text):
        done += os.write(handle, text[done:])


def _finished(file: BinaryIO) -> int:
    """Return where the last finished line ends; nearly always that is the end of the file."""
    return _after_newline(file, file.seek(0, os.SEEK_END))


def _after_newline(file: BinaryIO, end: int) -> int:
    """Return the place after the last line feed before `end`, or 0."""
    while end:
        start = max(0, end - _BLOCK)
        file.seek(start)
        place = file.read(end - start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0


def _text(item: Item) -> bytes:
    if isinstance(item, SignedAnchor):
        fields = {"anchor": item.anchor.decode(), "signature": item.signature.hex()}
    else:
        fields = {"entry": item.entry.decode(), "head": item.head, "signature": item.signature.hex()}
    return json.dumps(fields).encode() + b"\n"


def _item(raw: bytes, place: int | str) -> Item:
    try:
        found = json.loads(raw)
        signature = bytes.fromhex(found["signature"])
        if "anchor" in found:
            return SignedAnchor(found["anchor"].encode(), signature)
        return Line(found["entry"].encode(), str(found["head"]), signature)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise problems.damaged(place) from None
