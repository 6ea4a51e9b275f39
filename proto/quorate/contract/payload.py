"""A contribution as bytes: an Arrow IPC stream (zstd) of one int64 column without keys or nulls."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from privacy.errors import UsageProblem

_SCHEMA = pa.schema([pa.field("value", pa.int64(), nullable=False)])


def encode(vector: NDArray[np.int64]) -> bytes:
    """Return the bytes of a noised vector, shape (cells,)."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, _SCHEMA, options=options) as writer:
        writer.write_batch(pa.record_batch([pa.array(vector, pa.int64())], schema=_SCHEMA))
    return bytes(sink.getvalue())


def decode(data: bytes, cells: int) -> NDArray[np.int64]:
    """Return the vector of a contribution, shape (cells,).

    Raises
    ------
    UsageProblem
        If the bytes are not exactly one int64 column of that length without nulls.
    """
    try:
        source = pa.BufferReader(data)
        with pa.ipc.open_stream(source) as reader:
            if reader.schema != _SCHEMA:
                raise UsageProblem("the contribution is not one int64 column called value")
            table = reader.read_all()
        if source.tell() != len(data):
            raise UsageProblem("the contribution goes on after its end")
    except (pa.ArrowInvalid, pa.ArrowException, OSError) as error:
        raise UsageProblem("the contribution is not an Arrow stream") from error
    if table.num_rows != cells or table.column(0).null_count:
        raise UsageProblem(f"the contribution does not have exactly {cells} values")
    return np.asarray(table.column(0).to_numpy(), dtype=np.int64)
