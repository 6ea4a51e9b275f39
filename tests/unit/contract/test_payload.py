"""A contribution as bytes: what comes back, and that anything else is only ever a typed problem."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from privacy.errors import ExitCode, UsageProblem
from quorate.contract.payload import decode, encode

PAYLOADS = settings(max_examples=150, deadline=None, derandomize=True, database=None)
INT64 = st.integers(-(2**63), 2**63 - 1)
VALUE = pa.field("value", pa.int64(), nullable=False)
VECTOR = np.array([3, -1, 0, 2**53, -(2**53), 7], dtype=np.int64)


def stream(*batches: pa.RecordBatch, compression: str | None = "zstd") -> bytes:
    """Return an Arrow IPC stream, made without the code under test."""
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue()


def of(values: list[int | None], field: pa.Field = VALUE) -> pa.RecordBatch:
    return pa.record_batch([pa.array(values, field.type)], schema=pa.schema([field]))


def refused(data: bytes, cells: int) -> UsageProblem:
    with pytest.raises(UsageProblem) as caught:
        decode(data, cells)
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    return caught.value


def accepted_or_refused(data: bytes, cells: int) -> NDArray[np.int64] | None:
    """Decode hostile bytes: a vector of the right shape, or a typed problem, and nothing else."""
    try:
        vector = decode(data, cells)
    except UsageProblem:
        return None
    assert vector.dtype == np.int64
    assert vector.shape == (cells,)
    return vector


@PAYLOADS
@given(values=st.lists(INT64, min_size=1, max_size=300))
def test_a_vector_comes_back_as_it_was_sent(values: list[int]) -> None:
    data = encode(np.array(values, dtype=np.int64))
    vector = decode(data, len(values))
    assert vector.dtype == np.int64
    assert vector.tolist() == values
    assert encode(vector) == data


def test_the_bytes_are_one_arrow_stream_of_one_column_that_anybody_can_read() -> None:
    table = pa.ipc.open_stream(encode(VECTOR)).read_all()
    assert table.schema == pa.schema([VALUE])
    assert table["value"].to_pylist() == VECTOR.tolist()


@pytest.mark.parametrize("compression", ["zstd", "lz4", None])
def test_a_vector_may_come_in_several_pieces_and_compressed_otherwise(compression: str | None) -> None:
    pieces = of([3, -1]), of([]), of([0, 2**53, -(2**53), 7])
    assert decode(stream(*pieces, compression=compression), 6).tolist() == VECTOR.tolist()


@pytest.mark.parametrize("cells", [0, 1, 5, 7, 100])
def test_a_vector_of_another_length_is_refused(cells: int) -> None:
    assert refused(encode(VECTOR), cells).what == f"the contribution does not have exactly {cells} values"


@PAYLOADS
@given(length=st.integers(0, len(encode(VECTOR)) - 1))
def test_a_contribution_that_was_cut_off_gives_the_whole_vector_or_a_problem(length: int) -> None:
    """The last bytes only say that the stream ends; everything before them is needed."""
    vector = accepted_or_refused(encode(VECTOR)[:length], len(VECTOR))
    assert vector is None or vector.tolist() == VECTOR.tolist()
    if length < len(encode(VECTOR)) - 8:
        assert vector is None


@PAYLOADS
@given(data=st.binary(max_size=400), cells=st.integers(0, 50))
def test_bytes_of_any_other_kind_are_a_problem(data: bytes, cells: int) -> None:
    assert accepted_or_refused(data, cells) is None


@PAYLOADS
@given(at=st.integers(0, len(encode(VECTOR)) - 1), byte=st.integers(0, 255))
def test_a_changed_byte_gives_a_vector_of_the_same_shape_or_a_problem(at: int, byte: int) -> None:
    data = bytearray(encode(VECTOR))
    data[at] = byte
    accepted_or_refused(bytes(data), len(VECTOR))


@PAYLOADS
@given(values=st.lists(st.none() | INT64, min_size=1, max_size=20).filter(lambda values: None in values))
def test_a_null_is_refused(values: list[int | None]) -> None:
    refused(stream(of(values)), len(values))
    refused(stream(of(values, VALUE.with_nullable(True))), len(values))


OTHER_TYPES = [
    pa.int8(), pa.int32(), pa.uint64(), pa.float64(), pa.string(), pa.bool_(), pa.decimal128(18),
    pa.timestamp("us"), pa.dictionary(pa.int8(), pa.int64()), pa.list_(pa.int64()), pa.null(),
]  # fmt: skip


@pytest.mark.parametrize("type_", OTHER_TYPES, ids=str)
def test_a_column_of_another_type_is_refused(type_: pa.DataType) -> None:
    array = pa.nulls(2, type_) if type_ == pa.null() else pa.array([], type_)
    batch = pa.record_batch([array], schema=pa.schema([pa.field("value", type_)]))
    for cells in (0, 2):
        assert refused(stream(batch), cells).what == "the contribution is not one int64 column called value"


@pytest.mark.parametrize(
    "fields",
    [
        [pa.field("count", pa.int64(), nullable=False)],
        [VALUE.with_nullable(True)],
        [VALUE, VALUE.with_name("key")],
        [VALUE, VALUE],
        [],
    ],
    ids=str,
)
def test_columns_of_other_names_or_numbers_are_refused(fields: list[pa.Field]) -> None:
    schema = pa.schema(fields)
    batch = pa.record_batch([pa.array([1, 2], pa.int64()) for _ in fields], schema=schema)
    assert refused(stream(batch), 2).what == "the contribution is not one int64 column called value"


def test_other_formats_are_refused() -> None:
    table = pa.table([VECTOR], schema=pa.schema([VALUE]))
    parquet, feather = io.BytesIO(), io.BytesIO()
    pq.write_table(table, parquet)
    with pa.ipc.new_file(feather, table.schema) as writer:
        writer.write_table(table)
    others = parquet.getvalue(), feather.getvalue(), b"value\n3\n", VECTOR.tobytes(), b""
    for data in others:
        assert refused(data, len(VECTOR)).what == "the contribution is not an Arrow stream"


def test_a_problem_never_quotes_the_values() -> None:
    secret = np.array([4815162342], dtype=np.int64)
    assert "4815162342" not in refused(encode(secret), 2).explain()
