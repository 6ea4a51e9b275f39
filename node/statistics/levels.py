"""Levels of the zoning: counts of zones added up to every level, or the area of each zone for counting anew.

Adding up is only for statistics whose bounds survive it: a subscriber fills at most one zone (or pair of
zones) at a time, and so at most one area of any level at that time. Of the others every level is counted by
itself.
"""

from __future__ import annotations

import ibis
import numpy as np
from ibis.expr.types import Table
from numpy.typing import NDArray

from node.tables import ZONE
from quorate.contract.keyset import Keyset
from quorate.contract.zoning import Zoning

#: Column of an area's index in its level.
AREA = "area"


def by_level(exact: NDArray[np.int64], zoning: Zoning, keyset: Keyset) -> list[NDArray[np.int64]]:
    """Return the exact counts of each level, int64 of shape (cells of the level,).

    Parameters
    ----------
    exact
        int64 of shape ((zones + special rows)·columns,): zones, then the special rows.
    zoning
        Of the counts.
    keyset
        Whose levels are asked for. A zone without a parent at a level is in no area of it.
    """
    zones = exact.reshape(len(zoning.zones) + len(keyset.specials), -1)
    found = [_level(zones, zoning, level.name) for level in keyset.levels]
    if keyset.by == "area":
        found = [
            _level(rows.T, zoning, level.name).T for rows, level in zip(found, keyset.levels, strict=True)
        ]
    return [level.reshape(-1) for level in found]


def _level(zones: NDArray[np.int64], zoning: Zoning, level: str) -> NDArray[np.int64]:
    members = zoning.members(level).values()
    return np.stack([*(zones[indices].sum(axis=0) for indices in members), *zones[len(zoning.zones) :]])


def areas_of(zoning: Zoning, level: str) -> Table:
    """Return (zone, area): the index of every zone's area at a level, by code ascending.

    A zone without a parent at the level is in the special area, whose index is the number of areas.
    """
    zones = np.arange(len(zoning.zones), dtype=np.int64)
    areas = area_of(zoning, level)
    return ibis.memtable({ZONE: zones, AREA: areas}, schema={ZONE: "int64", AREA: "int64"})


def area_of(zoning: Zoning, level: str) -> NDArray[np.int64]:
    """Return the area of every zone as in `areas_of`, int64 of shape (zones,)."""
    members = zoning.members(level).values()
    areas = np.full(len(zoning.zones), len(members), dtype=np.int64)
    for area, indices in enumerate(members):
        areas[indices] = area
    return areas
