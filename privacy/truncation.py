"""Keep at most L of a subscriber's cells, chosen by a keyed hash of subscriber and cell.

What is kept of one subscriber depends on that subscriber's own cells and on the key alone, never on other
subscribers, so the bound L holds for every data set and adding or removing somebody changes nothing else.
The hash is the portable one that the node's engines compute (`node.engine.keyed_hash`), here in NumPy as the
reference. For one subscriber and key it is a bijection on cells below 2³¹, so that these never tie.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import date

import numpy as np
from numpy.typing import NDArray

from privacy.errors import PrivacyProblem

MASK31 = 2**31 - 1
#: Multipliers of lowbias32 (Wellons 2018), and the golden ratio in 32 bits.
_C1, _C2, _GOLDEN = 0x7FEB352D, 0x846CA68B, 0x9E3779B1

Integers = NDArray[np.int64]


def sampling_key(secret: bytes, statistic: str, day: date) -> int:
    """Return the 31-bit key that samples the cells of one statistic on one local day.

    Parameters
    ----------
    secret
        The node's secret; whoever does not have it cannot tell which cells are kept.
    statistic
        Its name.
    day
        The local day.
    """
    purpose = f"truncation|{statistic}|{day.isoformat()}"
    return int.from_bytes(hmac.digest(secret, purpose.encode(), hashlib.sha256)[:4], "big") & MASK31


def keyed_hash(subscriber: Integers, cell: Integers, key: int) -> Integers:
    """Return 31-bit hashes of pairs of subscriber and cell.

    Every operand is below 2³¹ before it is multiplied by at most 32 bits, so that nothing leaves 63 bits.

    Parameters
    ----------
    subscriber, cell
        Non-negative int64 of shape (rows,).
    key
        Of `sampling_key`.

    Returns
    -------
    ndarray
        int64 of shape (rows,), from 0 to 2³¹ − 1.
    """
    start = ((subscriber & MASK31) + (cell & MASK31) * (_GOLDEN & MASK31) + key) & MASK31
    return _round(_round(start, _C1), _C2)


def _round(word: Integers, factor: int) -> Integers:
    return ((word ^ (word >> 15)) * factor) & MASK31


def kept(subscriber: Integers, cell: Integers, limit: int, key: int) -> NDArray[np.bool_]:
    """Return which rows are kept: of each subscriber the `limit` cells with the smallest hashes.

    Parameters
    ----------
    subscriber, cell
        Non-negative int64 of shape (rows,) in any order; no pair twice.
    limit
        L, the most cells of one subscriber; positive and public.
    key
        Of `sampling_key`.

    Returns
    -------
    ndarray
        bool of shape (rows,), in the order of the rows.

    Raises
    ------
    PrivacyProblem
        If the bound would not hold: a limit or key out of range, columns that do not fit, a pair twice.
    """
    _require(subscriber, cell, limit, key)
    order = np.lexsort((cell, keyed_hash(subscriber, cell, key), subscriber))
    owner, place = subscriber[order], np.arange(order.size)
    again = (owner[1:] == owner[:-1]) & (cell[order][1:] == cell[order][:-1])
    if again.any():
        raise PrivacyProblem(
            "a subscriber has the same cell twice",
            means="the two rows would count as two cells, and the bound on one subscriber would be wrong",
            todo="make the rows distinct before they are sampled",
        )
    begins = np.ones(order.size, dtype=np.bool_)
    begins[1:] = owner[1:] != owner[:-1]
    rank = place - np.maximum.accumulate(np.where(begins, place, 0))
    chosen = np.zeros(order.size, dtype=np.bool_)
    chosen[order] = rank < limit
    return chosen


def _require(subscriber: Integers, cell: Integers, limit: int, key: int) -> None:
    for name, column in (("subscriber", subscriber), ("cell", cell)):
        known = isinstance(column, np.ndarray) and column.dtype == np.int64 and column.ndim == 1
        if not known or column.shape != np.shape(subscriber):
            raise PrivacyProblem(
                f"the {name}s are not one int64 column", todo="pass two columns of the same length"
            )
        if column.size and int(column.min()) < 0:
            raise PrivacyProblem(f"a {name} is negative", todo="use 63-bit pseudonyms and zone indices")
    if not isinstance(limit, int | np.integer) or isinstance(limit, bool) or not 1 <= limit <= MASK31:
        raise PrivacyProblem(
            f"a limit of {limit} cells is not positive", todo="declare a bound of at least 1"
        )
    if not isinstance(key, int | np.integer) or isinstance(key, bool) or not 0 <= key <= MASK31:
        raise PrivacyProblem("the sampling key does not have 31 bits", todo="derive it with sampling_key")
