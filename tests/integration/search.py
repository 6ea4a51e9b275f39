"""Search captured bytes for what must never leave a node: subscribers, event rows, exact counts."""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hub.config import Home
from hub.objects import Objects
from quorate.v1 import federation_pb2 as pb

#: This many consecutive exact counts, most of them not zero, are a part of an exact vector.
RUN, NONZERO = 8, 6
#: No run is shorter than this in any form.
HEAD = 8


@dataclass(frozen=True)
class Secrets:
    """What to look for.

    Attributes
    ----------
    numbers
        Subscribers and event times in order, as unsigned 64-bit integers: large enough that chance finds none.
    vectors
        Exact vectors.
    """

    numbers: NDArray[np.uint64]
    vectors: Sequence[NDArray[np.int64]]


def secrets_of(
    event_files: Iterable[Path], presence_files: Iterable[Path], vectors: Sequence[NDArray[np.int64]]
) -> Secrets:
    """Return the subscribers and times of all events, their pseudonyms in presence, and exact vectors."""
    numbers: set[int] = set()
    for path in presence_files:
        numbers |= set(pq.ParquetFile(path).read(["subscriber"])["subscriber"].to_pylist())
    for path in event_files:
        table = pq.read_table(path, columns=["subscriber_id", "timestamp_ms"])
        for column in table.columns:
            numbers |= {value for value in column.drop_null().to_pylist() if value > 10**11}
    return Secrets(np.array(sorted(numbers), dtype=np.uint64), vectors)


def findings(pieces: Iterable[bytes], secrets: Secrets) -> list[str]:
    """Return what was found in any of the pieces: as integers of any width and order, varints, or digits."""
    runs = _heads_of(secrets.vectors)
    heads = np.array(sorted(runs), dtype="<u8")
    found: list[str] = []
    for piece in pieces:
        found += [
            f"number as {form}" for form, values in _numbers(piece) if _among(values, secrets.numbers).any()
        ]
        windows = _windows(piece)
        for head in np.unique(windows[_among(windows, heads)]):
            found += [f"counts of {told}" for told, pattern in runs[int(head)] if pattern in piece]
    return found


def _numbers(piece: bytes) -> Iterator[tuple[str, NDArray[np.uint64]]]:
    for order in "<>":
        for shift in range(min(8, max(0, len(piece) - 7))):
            count = (len(piece) - shift) // 8
            yield f"64-bit {order}", np.frombuffer(piece, f"{order}u8", count, shift).astype(np.uint64)
    digits = [int(text) for text in re.findall(rb"[0-9]{12,19}", piece)]
    yield "digits", np.array(digits, dtype=np.uint64)
    hexadecimal = [int(text, 16) for text in re.findall(rb"(?<![0-9a-f])[0-9a-f]{11,16}(?![0-9a-f])", piece)]
    yield "hexadecimal", np.array(hexadecimal, dtype=np.uint64)
    yield "varint", np.array(list(_varints(piece)), dtype=np.uint64)


def _varints(piece: bytes) -> Iterator[int]:
    for match in re.finditer(rb"(?=([\x80-\xff]{4,9}[\x00-\x7f]))", piece):
        value = sum((byte & 0x7F) << (7 * position) for position, byte in enumerate(match[1]))
        if value < 2**64:
            yield value


def _among(values: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Say which values are among those that are known, which are in order: a piece is small, and they are many."""
    places = np.minimum(np.searchsorted(known, values), known.size - 1)
    return known[places] == values if known.size else np.zeros(values.size, dtype=bool)


def _windows(piece: bytes) -> NDArray[np.uint64]:
    """Return every eight consecutive bytes as one number."""
    shifts = range(min(HEAD, max(0, len(piece) - HEAD + 1)))
    parts = [np.frombuffer(piece, "<u8", (len(piece) - shift) // HEAD, shift) for shift in shifts]
    return np.concatenate(parts) if parts else np.array([], dtype="<u8")


def _heads_of(vectors: Sequence[NDArray[np.int64]]) -> dict[int, list[tuple[str, bytes]]]:
    """Return every pattern to look for and what it is, by its first bytes: a piece without them is soon done with."""
    found: dict[int, list[tuple[str, bytes]]] = defaultdict(list)
    for number, vector in enumerate(vectors):
        for form, pattern in _forms_of(vector):
            found[int.from_bytes(pattern[:HEAD], "little")].append((f"vector {number} as {form}", pattern))
    return found


def _forms_of(vector: NDArray[np.int64]) -> Iterator[tuple[str, bytes]]:
    """Yield every run of a vector in every form; none is shorter than its head."""
    for start in range(max(0, len(vector) - RUN + 1)):
        run = vector[start : start + RUN]
        if np.count_nonzero(run) < NONZERO:
            continue
        for kind in ("<i8", ">i8", "<i4", ">i4", "<i2", ">i2", "<f8"):
            yield kind, run.astype(kind).tobytes()
        text = [str(value).encode() for value in run]
        for mark in (",", ", ", " ", "\n", ";"):
            yield f"text {mark!r}", mark.encode().join(text)


def decoded(messages: Iterable[bytes]) -> Iterator[bytes]:
    """Yield every message, and the numbers inside those that carry a part of an Arrow stream."""
    chunks: dict[bytes, bytearray] = {}
    for message in messages:
        yield message
        try:
            chunk = pb.PutChunkRequest.FromString(message)
        except Exception:  # noqa: BLE001, S112 - protobuf's error has no public type; the raw bytes are searched
            continue
        if len(chunk.sha256) == 32 and len(chunk.order_digest) == 32:
            whole = chunks.setdefault(chunk.order_digest, bytearray())
            whole[chunk.offset : chunk.offset + len(chunk.data)] = chunk.data
    for whole in chunks.values():
        yield arrow_numbers(bytes(whole))


def arrow_numbers(data: bytes) -> bytes:
    """Return the int64 values of an Arrow stream as bytes, decompressed."""
    plain = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
    with pa.ipc.open_stream(plain) as reader:
        return np.asarray(reader.read_all().column(0).to_numpy(), dtype="<i8").tobytes()


def files_below(root: Path) -> Iterator[bytes]:
    """Yield the bytes of every file below a directory."""
    yield from (path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())


def contributions_in(home: Home) -> Iterator[bytes]:
    """Yield the numbers of every contribution that a hub holds, and each of its blobs."""
    files = Objects(home.objects)
    with sqlite3.connect(home.database) as db:
        for digest, entry, receipt in db.execute("SELECT result_sha256, entry, receipt FROM contribution"):
            data = files.get(digest)
            yield arrow_numbers(data)
            yield from (data, entry, receipt)
