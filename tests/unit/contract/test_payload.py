"""A contribution as bytes: what comes back, and that anything else is only ever a typed problem."""

from __future__ import annotations

import io
import tracemalloc

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
#: What a count with noise can be at most.
LARGEST = 2**55
COUNTS = st.integers(-LARGEST, LARGEST)
VALUE = pa.field("value", pa.int64(), nullable=False)
VECTOR = np.array([3, -1, 0, LARGEST, -LARGEST, 7], dtype=np.int64)


def stream(*batches: pa.RecordBatch, inside: str | None = None) -> bytes:
    """Return an Arrow IPC stream, its buffers compressed or not; made without the code under test."""
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=inside)
    with pa.ipc.new_stream(sink, batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue()


def compressed(data: bytes, codec: str = "zstd", level: int | None = None) -> bytes:
    return bytes(pa.Codec(codec, level).compress(data, asbytes=True))


def decompressed(data: bytes) -> bytes:
    with pa.input_stream(io.BytesIO(data), compression="zstd") as reader:
        return bytes(reader.read())


def of(values: list[int | None], field: pa.Field = VALUE) -> pa.RecordBatch:
    return pa.record_batch([pa.array(values, field.type)], schema=pa.schema([field]))


def refused(data: bytes, cells: int) -> UsageProblem:
    with pytest.raises(UsageProblem, match="the contribution") as caught:
        decode(data, cells)
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    return caught.value


def accepted_or_refused(data: bytes, cells: int) -> NDArray[np.int64] | None:
    """Decode hostile bytes: a vector of counts of the right shape, or a typed problem, and nothing else."""
    try:
        vector = decode(data, cells)
    except UsageProblem:
        return None
    assert vector.dtype == np.int64
    assert vector.shape == (cells,)
    assert np.abs(vector).max() <= LARGEST
    return vector


@PAYLOADS
@given(values=st.lists(COUNTS, min_size=1, max_size=300))
def test_a_vector_comes_back_as_it_was_sent(values: list[int]) -> None:
    data = encode(np.array(values, dtype=np.int64))
    vector = decode(data, len(values))
    assert vector.dtype == np.int64
    assert vector.tolist() == values
    assert encode(vector) == data


@pytest.mark.parametrize("cells", [1, 2, 7, 8, 9, 63, 64, 65, 1000, 100_003])
def test_a_vector_of_any_length_comes_back(cells: int) -> None:
    values = np.random.default_rng(cells).integers(-LARGEST, LARGEST, cells)
    assert (decode(encode(values), cells) == values).all()


def test_the_bytes_are_one_compressed_arrow_stream_that_anybody_can_read() -> None:
    table = pa.ipc.open_stream(decompressed(encode(VECTOR))).read_all()
    assert table.schema == pa.schema([VALUE])
    assert table["value"].to_pylist() == VECTOR.tolist()


def test_a_stream_that_somebody_else_wrote_and_compressed_otherwise_is_the_same_vector() -> None:
    whole = stream(of(VECTOR.tolist()))
    for level in (1, 19):
        assert decode(compressed(whole, level=level), len(VECTOR)).tolist() == VECTOR.tolist()


@pytest.mark.parametrize("cells", [1, 5, 7, 100])
def test_a_vector_of_another_length_is_refused(cells: int) -> None:
    assert str(cells) in refused(encode(VECTOR), cells).what


@PAYLOADS
@given(length=st.integers(0, len(encode(VECTOR)) - 1))
def test_a_contribution_that_was_cut_off_is_refused(length: int) -> None:
    refused(encode(VECTOR)[:length], len(VECTOR))


@PAYLOADS
@given(length=st.integers(0, len(decompressed(encode(VECTOR))) - 1))
def test_a_stream_that_was_cut_off_before_it_was_compressed_is_refused(length: int) -> None:
    refused(compressed(decompressed(encode(VECTOR))[:length]), len(VECTOR))


@pytest.mark.parametrize("more", [b"\0", b"more", encode(VECTOR)])
def test_a_contribution_with_something_after_it_is_refused(more: bytes) -> None:
    refused(encode(VECTOR) + more, len(VECTOR))
    refused(compressed(decompressed(encode(VECTOR)) + more), len(VECTOR))


@PAYLOADS
@given(data=st.binary(max_size=400), cells=st.integers(1, 50))
def test_bytes_of_any_other_kind_are_refused(data: bytes, cells: int) -> None:
    refused(data, cells)
    refused(compressed(data), cells)


@PAYLOADS
@given(at=st.integers(0, len(encode(VECTOR)) - 1), byte=st.integers(0, 255))
def test_a_changed_byte_gives_a_vector_of_the_same_shape_or_a_problem(at: int, byte: int) -> None:
    data = bytearray(encode(VECTOR))
    data[at] = byte
    accepted_or_refused(bytes(data), len(VECTOR))


@PAYLOADS
@given(at=st.integers(0, len(decompressed(encode(VECTOR))) - 1), mask=st.integers(1, 255))
def test_a_changed_byte_of_the_stream_is_another_value_or_a_problem(at: int, mask: int) -> None:
    data = bytearray(decompressed(encode(VECTOR)))
    data[at] ^= mask
    vector = accepted_or_refused(compressed(bytes(data)), len(VECTOR))
    assert vector is None or (vector != VECTOR).sum() == 1


def test_a_stream_that_claims_more_values_than_it_has_is_refused() -> None:
    """Arrow itself would read past the end of the buffer here, into whatever the hub has in memory."""
    data = bytearray(stream(of([int(value) for value in range(77)])))
    claimed = (77).to_bytes(8, "little")
    places = [at for at in range(len(data)) if data.startswith(claimed, at)]
    for at in places[:2]:
        data[at : at + 8] = (5000).to_bytes(8, "little")
    assert pa.ipc.open_stream(bytes(data)).read_all().num_rows == 5000
    refused(compressed(bytes(data)), 5000)
    refused(compressed(bytes(data)), 77)


def test_a_small_contribution_that_unpacks_to_a_large_one_takes_no_memory() -> None:
    bomb = compressed(bytes(64 * 1024 * 1024))
    assert len(bomb) < 10_000
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    refused(bomb, len(VECTOR))
    assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    assert pa.total_allocated_bytes() - before < 1024 * 1024
    tracemalloc.stop()


@pytest.mark.parametrize("value", [LARGEST + 1, -LARGEST - 1, 2**63 - 1, -(2**63)])
def test_a_value_that_no_count_with_noise_can_have_is_refused(value: int) -> None:
    found = refused(encode(np.array([1, value], dtype=np.int64)), 2)
    assert found.what == "the contribution has a value that no count with noise can have"


@PAYLOADS
@given(values=st.lists(st.none() | COUNTS, min_size=1, max_size=20).filter(lambda values: None in values))
def test_a_null_is_refused(values: list[int | None]) -> None:
    refused(compressed(stream(of(values))), len(values))
    refused(compressed(stream(of(values, VALUE.with_nullable(True)))), len(values))


OTHER_TYPES = [
    pa.int8(), pa.int32(), pa.uint64(), pa.float64(), pa.string(), pa.bool_(), pa.decimal128(18),
    pa.timestamp("us"), pa.duration("us"), pa.time64("us"), pa.date64(),
]  # fmt: skip


@pytest.mark.parametrize("type_", OTHER_TYPES, ids=str)
def test_a_column_of_another_type_is_refused(type_: pa.DataType) -> None:
    field = pa.field("value", type_, nullable=False)
    plain = [False, True] if type_ == pa.bool_() else ["a", "b"] if type_ == pa.string() else [0, 86_400_000]
    batch = pa.record_batch(
        [pa.array(plain if type_ != pa.int8() else [0, 1], type_)], schema=pa.schema([field])
    )
    refused(compressed(stream(batch)), 2)


@pytest.mark.parametrize(
    "fields",
    [
        [pa.field("count", pa.int64(), nullable=False)],
        [VALUE.with_nullable(True)],
        [VALUE.with_metadata({"a": "b"})],
        [VALUE, VALUE.with_name("key")],
        [VALUE, VALUE],
        [],
    ],
    ids=str,
)
def test_columns_of_other_names_or_numbers_are_refused(fields: list[pa.Field]) -> None:
    schema = pa.schema(fields)
    batch = pa.record_batch([pa.array([1, 2], pa.int64()) for _ in fields], schema=schema)
    refused(compressed(stream(batch)), 2)


@pytest.mark.parametrize(
    "data",
    [
        compressed(stream(of([3, -1]), of([0, LARGEST, -LARGEST, 7]))),
        compressed(stream(of(VECTOR.tolist()), of([]))),
        compressed(stream(of(VECTOR.tolist()), inside="zstd")),
        compressed(stream(of(VECTOR.tolist())), codec="lz4"),
        compressed(stream(of(VECTOR.tolist())), codec="gzip"),
        stream(of(VECTOR.tolist())),
        stream(of(VECTOR.tolist()), inside="zstd"),
        VECTOR.tobytes(),
        b"",
    ],
    ids=[
        "two pieces",
        "an empty piece",
        "twice zstd",
        "lz4",
        "gzip",
        "plain",
        "inside",
        "numbers",
        "nothing",
    ],
)
def test_there_is_one_way_to_write_a_vector(data: bytes) -> None:
    refused(data, len(VECTOR))


def test_other_formats_are_refused() -> None:
    table = pa.table([VECTOR], schema=pa.schema([VALUE]))
    parquet, feather = io.BytesIO(), io.BytesIO()
    pq.write_table(table, parquet)
    with pa.ipc.new_file(feather, table.schema) as writer:
        writer.write_table(table)
    for data in (parquet.getvalue(), feather.getvalue(), b"value\n3\n"):
        refused(data, len(VECTOR))
        refused(compressed(data), len(VECTOR))


def test_a_problem_never_quotes_the_values() -> None:
    secret = np.array([4815162342], dtype=np.int64)
    assert "4815162342" not in refused(encode(secret), 2).explain()
