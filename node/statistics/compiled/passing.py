"""Take the compiled pass of a statistic where its files fit; it is an accelerator, never a second definition."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from node.statistics.asking import Asked
from node.statistics.levels import by_level

#: What is said of a file that cannot be read; the expressions then say what is wrong with it.
_UNREADABLE = (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError)


#: Of smaller days the expressions are done before compiled code is loaded.
FEWEST_ROWS = 500_000


class Unfit(Exception):
    """The files are not what the pass can count: no order of subscribers, nulls, or too much of one subscriber."""


def vectors(name: str, asked: Asked[Any], additive: bool) -> Sequence[NDArray[np.int64]] | None:
    """Return the exact counts of each level in the order of the keyset, None if the expressions must count them.

    Parameters
    ----------
    name
        Of the module with the pass; only now it is loaded, because compiled code takes a second for that.
    asked
        With the files of its days.
    additive
        Whether larger areas are sums of zones: the module has `at_zones` then, and otherwise `at_levels`.

    Raises
    ------
    UsageProblem, PrivacyProblem
        As the expressions; and of every own row in a zone that the zoning does not have.
    """
    try:
        if _rows(asked) < FEWEST_ROWS:
            return None
        module = import_module(f"{__package__}.{name}")
        if additive:
            return by_level(module.at_zones(asked), asked.inputs.zoning, asked.keyset)
        found: Sequence[NDArray[np.int64]] = module.at_levels(asked)
    except (Unfit, *_UNREADABLE):
        return None
    return found


def _rows(asked: Asked[Any]) -> int:
    """Return the number of rows of presence, by the files' footers."""
    files = asked.inputs.files
    return sum(pq.read_metadata(path).num_rows for path in files.presence) if files else 0
