"""The cells of one local day, in the order that numbers them, with their places on a plane."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from node.sources.register import METRES_OF_LAT, METRES_OF_LON, Version, point_of
from node.tables import CELL, ZONE, X, Y

EXPIRED = -1
#: Column of the day's cells with the country codes that a cell reaches into, each between blanks.
BORDER = "border"


@dataclass(frozen=True)
class DayCells:
    """The cells of one local day, for the door.

    Attributes
    ----------
    table
        Columns key_0, key_1 …, cell (index in the day's register, EXPIRED if no version is valid), zone, x_m, y_m,
        border.
    numeric
        Whether the parts of the keys are whole numbers, int64 then, and text otherwise.
    valid
        Number of valid cells.
    """

    table: pa.Table
    numeric: tuple[bool, ...]
    valid: int


def cells_of(versions: Sequence[Version], day: date) -> DayCells:
    """Return the cells of a day: valid versions in order of their keys, then cells that are not valid."""
    valid = [version for version in versions if version.first <= day <= version.last]
    known = {version.key for version in valid}
    expired = list({one.key: one for one in versions if one.key not in known}.values())
    parts = range(len(versions[0].key))
    numeric = tuple(all(_is_number(version.key[part]) for version in versions) for part in parts)

    def key(version: Version) -> tuple[tuple[int, str], ...]:
        return tuple(
            (int(text), "") if number else (0, text)
            for text, number in zip(version.key, numeric, strict=True)
        )

    rows = [*sorted(valid, key=key), *sorted(expired, key=key)]
    x, y = plane(versions, rows)
    table = {
        **{
            f"key_{part}": pa.array([int(one.key[part]) for one in rows], pa.int64())
            if numeric[part]
            else pa.array([one.key[part] for one in rows], pa.string())
            for part in parts
        },
        CELL: pa.array([*range(len(valid)), *[EXPIRED] * len(expired)], pa.int64()),
        ZONE: pa.array([version.zone for version in rows], pa.int64()),
        X: pa.array(x),
        Y: pa.array(y),
        BORDER: pa.array([f" {' '.join(version.border)} " for version in rows], pa.string()),
    }
    return DayCells(pa.table(table), numeric, len(valid))


def _is_number(text: str) -> bool:
    """Whether a text is a number as it is written: 7, and not 007 or 7.0; so that text and number are one key."""
    return bool(re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text))


def plane(
    versions: Sequence[Version], rows: Sequence[Version]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of cells in whole metres on a local plane, int64 of shape (rows,) each.

    Parameters
    ----------
    versions
        The whole register; the plane touches the earth in the middle of its bounding box, at whole degrees.
    rows
        The cells that are asked for. Without coordinates everything is at 0, 0.
    """
    if versions[0].lon is None:
        nothing = np.zeros(len(rows), dtype=np.int64)
        return nothing, nothing
    lons, lats = np.array([point_of(version) for version in versions], dtype=np.float64).T
    lon0, lat0 = np.rint((lons.min() + lons.max()) / 2), np.rint((lats.min() + lats.max()) / 2)
    lon, lat = np.array([point_of(version) for version in rows], dtype=np.float64).T
    x = np.rint((lon - lon0) * np.cos(np.radians(lat0)) * METRES_OF_LON)
    return x.astype(np.int64), np.rint((lat - lat0) * METRES_OF_LAT).astype(np.int64)
