"""A contribution as bytes: an Arrow IPC stream of one int64 column without keys or nulls, compressed with zstd.

The uncompressed stream of so many cells is the same to the last byte whatever the values are, except for the
values. So a contribution from outside is never parsed: it is decompressed into exactly the room that it may need,
held against the frame of a stream of zeros, and its values are read from between.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from privacy.errors import UsageProblem
from quorate.contract.frame import is_one_frame

_SCHEMA = pa.schema([pa.field("value", pa.int64(), nullable=False)])
_CODEC = pa.Codec("zstd")
#: End-of-stream mark of Arrow's format: a continuation marker and the length zero.
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
#: A count beyond this could overflow the sum of several operators in 64 bits.
LARGEST = 2**55


def encode(vector: NDArray[np.int64]) -> bytes:
    """Return the bytes of a noised vector, shape (cells,)."""
    return bytes(_CODEC.compress(_stream(vector), asbytes=True))


def decode(data: bytes, cells: int) -> NDArray[np.int64]:
    """Return the vector of a contribution, shape (cells,).

    Raises
    ------
    UsageProblem
        If the bytes are not exactly one int64 column of that length without nulls.
    """
    head, size = _frame(cells)
    problem = f"the contribution is not an Arrow stream of {cells} values, compressed"
    if not is_one_frame(data):
        raise UsageProblem(problem)
    try:
        stream = _CODEC.decompress(data, decompressed_size=size, asbytes=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UsageProblem(problem) from error
    if len(stream) != size or stream[: len(head)] != head or stream[-len(_END) :] != _END:
        raise UsageProblem(f"the contribution is not one column of exactly {cells} 64-bit integers")
    # A view: the bytes live as long as it does. Only a machine of the other byte order copies.
    values = np.frombuffer(stream, dtype="<i8", count=cells, offset=len(head)).astype(np.int64, copy=False)
    if values.min() < -LARGEST or values.max() > LARGEST:
        raise UsageProblem("the contribution has a value that no count with noise can have")
    return values


@lru_cache(maxsize=64)
def _frame(cells: int) -> tuple[bytes, int]:
    """Return what stands before the values in a stream of so many cells, and the length of the stream."""
    stream = _stream(np.zeros(cells, dtype=np.int64))
    start = len(stream) - len(_END) - 8 * cells
    return stream[:start], len(stream)


def _stream(vector: NDArray[np.int64]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _SCHEMA) as writer:
        writer.write_batch(pa.record_batch([pa.array(vector, pa.int64())], schema=_SCHEMA))
    return bytes(sink.getvalue())
