"""Canonical JSON (RFC 8785) at the speed of the standard library, for documents that allow it.

Where numbers are whole and below 2⁵³ and names are plain, the standard library's JSON encoder writes the canonical
form, some six times faster than an encoder in Python. They differ in floating-point numbers, of which RFC 8785 writes
1.0 as 1, in large ones, and in the order of keys with characters beyond the basic plane of Unicode.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import rfc8785

Encoder = Callable[[Any], bytes]
#: In ASCII JSON: a number with a point, an exponent, or 16 digits and more; a character beyond the basic plane.
#: What looks like one inside a text only costs time.
_UNUSUAL = re.compile(r"\d[.eE]|\d{16}|\\ud[89ab]|NaN|Infinity")
_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def encoder_for(free: Any) -> Encoder:
    """Return an encoder that writes the canonical form of a document.

    Parameters
    ----------
    free
        The part of the document that may hold any JSON. All the rest must have whole numbers of at most 2⁵³ and
        keys in ASCII.
    """
    return rfc8785.dumps if _UNUSUAL.search(json.dumps(free)) else _plain


def _plain(value: Any) -> bytes:
    return _ENCODE(value).encode()
