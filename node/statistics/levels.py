"""Exact counts of zones, added up to every level of the zoning that a release measures.

Only for statistics whose bounds survive it: a subscriber fills at most one zone at a time, and so at most one area
of any level at that time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quorate.contract.keyset import Keyset
from quorate.contract.zoning import Zoning


def by_level(exact: NDArray[np.int64], zoning: Zoning, keyset: Keyset) -> list[NDArray[np.int64]]:
    """Return the exact counts of each level, int64 of shape (cells of the level,).

    Parameters
    ----------
    exact
        int64 of shape ((zones + 1)·hours,): zones, then the special area.
    zoning
        Of the counts.
    keyset
        Whose levels are asked for. A zone without a parent at a level is in no area of it.
    """
    zones = exact.reshape(len(zoning.zones) + 1, keyset.hours)
    return [_level(zones, zoning, level.name).reshape(-1) for level in keyset.levels]


def _level(zones: NDArray[np.int64], zoning: Zoning, level: str) -> NDArray[np.int64]:
    members = zoning.members(level).values()
    return np.stack([*(zones[indices].sum(axis=0) for indices in members), zones[-1]])
