"""The cell register: versions of radio cells with their validity, place and zone, and what is wrong with them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from node.sources.inputs import Cells
from node.sources.polygons import NOWHERE, read_polygons, zones_at
from privacy.errors import DataProblem

METRES_OF_LON, METRES_OF_LAT = 111_320, 110_540
Key = tuple[str, ...]


@dataclass(frozen=True)
class Version:
    """One row of the register.

    Attributes
    ----------
    row
        Its number, from 1.
    key
        Parts of the cell's identifier, as text.
    zone
        Index, NOWHERE if it has none.
    lon, lat
        Degrees, None where the register has no coordinates.
    azimuth, reach
        Direction in degrees and range in metres of the sector, where it has one.
    first, last
        Local days of validity.
    border
        Country codes.
    """

    row: int
    key: Key
    zone: int
    lon: float | None
    lat: float | None
    azimuth: float | None
    reach: float | None
    first: date
    last: date
    border: tuple[str, ...]


@dataclass(frozen=True)
class Flaw:
    """What is wrong with a row of the register, said with its value: only for the operator's own terminal."""

    row: int
    column: str
    what: str


def read_register(
    rows: Sequence[Mapping[str, Any]], cells: Cells, codes: Sequence[str], root: Path
) -> tuple[list[Version], list[Flaw]]:
    """Return the versions of a register and everything that is wrong with it.

    Parameters
    ----------
    rows
        Values by the name of the expression, as text or integer; None where there is nothing.
    cells
        The mapping.
    codes
        Codes of the zoning, by index.
    root
        What the path of the polygons starts at.
    """
    index, flaws = {code: position for position, code in enumerate(codes)}, list[Flaw]()
    read = _Row(cells, index, flaws)
    versions = [version for number, row in enumerate(rows, start=1) if (version := read(number, row))]
    if cells.polygons and versions:
        versions = _in_polygons(versions, cells, codes, root)
        if cells.outside == "refuse":
            flaws += [_lost(version) for version in versions if version.zone == NOWHERE]
    flaws += _overlaps(versions)
    return versions, sorted(flaws, key=lambda flaw: flaw.row)


class _Row:
    """Reads one row after the other and notes what is wrong."""

    def __init__(self, cells: Cells, index: Mapping[str, int], flaws: list[Flaw]) -> None:
        self._cells, self._index, self._flaws = cells, index, flaws
        self._parts = [f"cell.{part}" for part in range(len(cells.columns.cell))]

    def __call__(self, number: int, row: Mapping[str, Any]) -> Version | None:
        before = len(self._flaws)

        def value(name: str, read: Callable[[str], Any], what: str, needed: bool = False) -> Any:
            text = row.get(name)
            try:
                return None if text is None and not needed else read("" if text is None else str(text))
            except ValueError:
                self._flaws.append(
                    Flaw(number, name, f"{'nothing' if text is None else repr(text)} is no {what}")
                )
                return None

        placed, sector = self._cells.columns.lon is not None, self._cells.point == "sector"
        found = Version(
            number,
            tuple(value(part, _some, "cell", True) or "" for part in self._parts),
            NOWHERE if self._cells.polygons else value("zone", self._index_of, "zone of the zoning", True),
            value("lon", _within(180), "longitude in degrees", placed),
            value("lat", _within(90), "latitude in degrees", placed),
            value("azimuth", _within(360), "direction in degrees") if sector else None,
            value("range", _within(200_000), "range in metres") if sector else None,
            value("valid_from", _day, "date") or date.min,
            value("valid_to", _day, "date") or date.max,
            tuple(re.findall(r"\d{3}", str(row.get("border") or ""))),
        )
        if found.last < found.first:
            self._flaws.append(Flaw(number, "valid_to", f"{found.last} is before {found.first}"))
        return found if len(self._flaws) == before else None

    def _index_of(self, code: str) -> int:
        if code not in self._index:
            raise ValueError
        return self._index[code]


def _some(text: str) -> str:
    if not text:
        raise ValueError
    return text


def _within(most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        number = float(text)
        if not abs(number) <= most:
            raise ValueError
        return number

    return read


def _day(text: str) -> date:
    """An ISO date; a time of day after it is left out."""
    if text[10:11] not in {"", " ", "T"}:
        raise ValueError
    return date.fromisoformat(text[:10])


def _in_polygons(
    versions: Sequence[Version], cells: Cells, codes: Sequence[str], root: Path
) -> list[Version]:
    zones, shapes = read_polygons(root / cells.polygons, cells.zone_property, codes)
    lon, lat = np.array([point_of(version) for version in versions], dtype=np.float64).T
    found = zones_at(zones, shapes, lon, lat).tolist()
    return [replace(version, zone=zone) for version, zone in zip(versions, found, strict=True)]


def point_of(version: Version) -> tuple[float, float]:
    """Return where a cell is: half its range from the antenna where it has a sector, else at the antenna."""
    lon, lat = version.lon or 0.0, version.lat or 0.0
    if version.azimuth is None or version.reach is None:
        return lon, lat
    turn, half = math.radians(version.azimuth), version.reach / 2
    east = half * math.sin(turn) / (METRES_OF_LON * max(math.cos(math.radians(lat)), 1e-6))
    return lon + east, lat + half * math.cos(turn) / METRES_OF_LAT


def _lost(version: Version) -> Flaw:
    lon, lat = point_of(version)
    return Flaw(version.row, "lon", f"({lon:.6f}, {lat:.6f}) is in no polygon")


def _overlaps(versions: Sequence[Version]) -> list[Flaw]:
    flaws, ordered = [], sorted(versions, key=lambda one: (one.key, one.first, one.row))
    for before, after in pairwise(ordered):
        if before.key == after.key and after.first <= before.last:
            flaws.append(Flaw(after.row, "cell.0", f"the same cell as in row {before.row} on the same day"))
    return flaws


def require_flawless(flaws: Sequence[Flaw], rows: int, what: str) -> None:
    """Refuse a register without rows or with flaws (DataProblem); names the first."""
    if not rows:
        raise DataProblem(f"{what} is empty", todo="deliver the cell register")
    if flaws:
        first = flaws[0]
        raise DataProblem(
            f"{what} has {len(flaws)} problem(s); row {first.row}, {first.column}: {first.what}",
            todo="correct the register; quorate-node source check lists every problem",
        )
