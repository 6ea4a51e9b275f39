"""Hypothesis strategies from descriptors: bytes that look like a message, with every kind of field gone wrong."""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st

from tests.fuzz.mutation import NUMBERS, RAW, varint

_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_NUMBER = st.one_of(st.sampled_from(NUMBERS), st.integers(0, 2**64 - 1))
_TEXT = st.one_of(
    st.sampled_from(RAW),
    st.binary(max_size=64),
    st.binary(min_size=32, max_size=32),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from((b"presence", b"2026-05-04", b"presence-2026-05-04-2026-05-04-r0")),
)


def messages(message: Descriptor, depth: int = 3) -> st.SearchStrategy[bytes]:
    """Return bytes of a message: valid fields, fields of another wire type, unknown ones, and too many."""
    fields = [st.just(b""), _unknown(), _deep()]
    for field in message.fields:
        fields += [_good(field, depth)] * 4 + [
            _wrong_type(field.number),
            _good(field, depth).map(lambda f: f * 200),
        ]
    return st.lists(st.one_of(fields), max_size=6).map(b"".join)


def _good(field: FieldDescriptor, depth: int) -> st.SearchStrategy[bytes]:
    if field.message_type is not None:
        inner = messages(field.message_type, depth - 1) if depth else st.just(b"")
        return inner.map(lambda data: _lengthy(field.number, data))
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _TEXT.map(lambda data: _lengthy(field.number, data))
    return _NUMBER.map(lambda number: varint(field.number << 3 | _VARINT) + varint(number))


def _lengthy(number: int, data: bytes) -> bytes:
    return varint(number << 3 | _LENGTH) + varint(len(data)) + data


def _wrong_type(number: int) -> st.SearchStrategy[bytes]:
    """Return a field of another wire type, also of the two that end and begin groups and the two that are none."""
    return st.tuples(st.integers(0, 7), st.binary(max_size=12)).map(
        lambda found: varint(number << 3 | found[0]) + found[1]
    )


def _unknown() -> st.SearchStrategy[bytes]:
    return st.tuples(st.integers(0, 2**29), st.binary(max_size=12)).map(lambda f: _lengthy(*f))


def _deep() -> st.SearchStrategy[bytes]:
    """Return a field that holds itself, or a group in a group, far deeper than any message."""
    return st.tuples(st.integers(1, 20), st.sampled_from((10, 99, 100, 101, 3000))).map(
        lambda found: varint(found[0] << 3 | 3) * found[1]
    )
