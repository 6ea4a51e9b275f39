"""Ranges of identifying numbers (IMSI, TAC): a beginning such as `20601`, or first and last such as `1000-1999`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import AfterValidator

from privacy.errors import UsageProblem
from quorate.contract.canonical import read_bytes

_RANGE = re.compile(r"^([0-9]{1,16})(?:-([0-9]{1,16}))?$")


def _checked(text: str) -> str:
    found = _RANGE.match(text)
    if not found or (found[2] and (len(found[2]) != len(found[1]) or found[2] < found[1])):
        raise ValueError("it is not a number of at most 16 digits, or two of equal length as first-last")
    return text


NumberRange = Annotated[str, AfterValidator(_checked)]


@dataclass(frozen=True)
class Ranges:
    """Ranges by their number of digits, ready to be looked up.

    Attributes
    ----------
    by_digits
        Number of digits → first and last numbers, int64 each, ordered by the first and not overlapping.
    """

    by_digits: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Ranges:
        """Return the ranges of texts that were checked."""
        collected: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for text in texts:
            first, _, last = text.partition("-")
            collected[len(first)].append((int(first), int(last or first)))
        return cls({digits: _merged(pairs) for digits, pairs in collected.items()})

    def have(self, numbers: pa.Array) -> NDArray[np.bool_]:
        """Return which numbers begin with one of the ranges, bool of shape (numbers,).

        Parameters
        ----------
        numbers
            Text; what is null, shorter, or has no digits is in no range.
        """
        found = np.zeros(len(numbers), dtype=np.bool_)
        for digits, (first, last) in self.by_digits.items():
            beginnings = pc.utf8_slice_codeunits(numbers, 0, digits)
            # Only ASCII digits: Unicode has others, which are no numbers here.
            usable = pc.fill_null(pc.match_substring_regex(beginnings, f"^[0-9]{{{digits}}}$"), False)
            values = pc.cast(
                pc.if_else(usable, beginnings, pa.scalar("0", pa.string())), pa.int64()
            ).to_numpy(zero_copy_only=False)
            place = np.searchsorted(first, values, side="right") - 1
            inside = (place >= 0) & (values <= last[np.maximum(place, 0)])
            found |= inside & usable.to_numpy(zero_copy_only=False)
        return found


def _merged(pairs: Sequence[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    merged: list[list[int]] = []
    for first, last in sorted(pairs):
        if merged and first <= merged[-1][1] + 1:
            merged[-1][1] = max(merged[-1][1], last)
        else:
            merged.append([first, last])
    table = np.array(merged, dtype=np.int64)
    return table[:, 0], table[:, 1]


def listed(path: Path) -> list[str]:
    """Return the ranges of a file, one a line; empty lines and what follows a # are skipped.

    Raises
    ------
    UsageProblem
        If it cannot be read, or a line is no range; names the line.
    """
    texts = []
    for number, line in enumerate(read_bytes(path).decode("utf-8", "replace").splitlines(), start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            texts.append(_checked(text))
        except ValueError as error:
            raise UsageProblem(f"{path}, line {number}: {error}", todo="correct the list") from error
    return texts
