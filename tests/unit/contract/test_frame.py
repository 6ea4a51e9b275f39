"""A contribution is one zstd frame from the first byte to the last."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import UsageProblem
from quorate.contract import payload
from quorate.contract.frame import is_one_frame
from quorate.contract.payload import decode, encode

VECTOR = np.arange(-500, 500, dtype=np.int64)
GOOD = encode(VECTOR)
#: RFC 8878, section 3.1.2: any of sixteen magic numbers, four bytes of length, and whatever the sender likes.
SKIPPED = b"\x50\x2a\x4d\x18" + (6).to_bytes(4, "little") + b"hidden"
EMPTY = bytes(pa.Codec("zstd").compress(b"", asbytes=True))


@given(st.binary(max_size=3000), st.integers(1, 200), st.integers(-5, 19))
def test_what_the_codec_writes_is_one_frame(data: bytes, times: int, level: int) -> None:
    written = bytes(pa.Codec("zstd", compression_level=level).compress(data * times, asbytes=True))
    assert is_one_frame(written)
    assert not is_one_frame(written[:-1])
    assert not is_one_frame(written + b"\0")
    assert not is_one_frame(written + written)


def test_incompressible_blocks_of_several_sizes_are_one_frame() -> None:
    for size in (0, 1, 255, 256, 65_791, 65_792, 1 << 17, (1 << 17) + 1, 1 << 20):
        written = bytes(pa.Codec("zstd").compress(np.random.default_rng(1).bytes(size), asbytes=True))
        assert is_one_frame(written), size


@given(st.binary(max_size=60))
def test_other_bytes_are_told_without_an_error(data: bytes) -> None:
    is_one_frame(data)
    is_one_frame(GOOD[:4] + data)
    assert not is_one_frame(b"\x50" + data)


@pytest.mark.parametrize(
    "data",
    [GOOD + SKIPPED, SKIPPED + GOOD, GOOD + EMPTY, EMPTY + GOOD, GOOD + SKIPPED * 1000],
    ids=["skipped behind", "skipped before", "empty behind", "empty before", "many"],
)
def test_a_contribution_with_anything_beside_its_frame_is_refused(data: bytes) -> None:
    # The codec itself would take every one of these for the same contribution.
    room = payload._frame(len(VECTOR))[1]
    same = pa.Codec("zstd").decompress(data, decompressed_size=room, asbytes=True)
    assert same == pa.Codec("zstd").decompress(GOOD, decompressed_size=room, asbytes=True)
    with pytest.raises(UsageProblem, match="not an Arrow stream of 1000 values, compressed"):
        decode(data, len(VECTOR))
    assert decode(GOOD, len(VECTOR)).tolist() == VECTOR.tolist()
