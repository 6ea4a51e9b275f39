"""Where a zstd frame ends, read from its headers (RFC 8878, section 3.1.1), so that nothing can be put beside it."""

from __future__ import annotations

_MAGIC = b"\x28\xb5\x2f\xfd"
_DICTIONARY_BYTES, _SIZE_BYTES = (0, 1, 2, 4), (0, 2, 4, 8)
_RUN = 1  # a block of one byte that is repeated


def is_one_frame(data: bytes) -> bool:
    """Return whether bytes are one frame from the first to the last: none before, behind or skipped."""
    place = _header_end(data)
    while place is not None and place + 3 <= len(data):
        header = int.from_bytes(data[place : place + 3], "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        place += 3 + (1 if kind == _RUN else size)
        if last:
            return place + _checksum_bytes(data) == len(data)
    return False


def _header_end(data: bytes) -> int | None:
    """Return where the first block starts, or None if this is no frame."""
    if data[:4] != _MAGIC or len(data) < 5:
        return None
    descriptor = data[4]
    single_segment, size_flag = descriptor >> 5 & 1, descriptor >> 6
    window = 0 if single_segment else 1
    size = 1 if single_segment and not size_flag else _SIZE_BYTES[size_flag]
    return 5 + window + _DICTIONARY_BYTES[descriptor & 3] + size


def _checksum_bytes(data: bytes) -> int:
    return 4 if data[4] & 4 else 0
