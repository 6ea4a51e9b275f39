"""Writes a small made-up country for tests: squares on a grid, three districts, one without a province."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

AGE_BANDS = ("a0_9", "a10_14", "a15_24", "a25_44", "a45_64", "a65_79", "a80p")
AGE_SHARES = (0.11, 0.06, 0.12, 0.27, 0.26, 0.12, 0.06)
# District, province, region: district D3 has no province, as Brussels has none.
PARENTS = (("D1", "P1", "R1"), ("D2", "P2", "R1"), ("D3", None, "R2"))
SIDE = 0.1  # degrees
WEST, SOUTH = 4.0, 50.0


def write_small_country(path: Path, zones: int = 12, seed: int = 1, residents: int = 1000) -> Path:
    """Write zones.geojson, population.csv and commuting.csv under `path` and return it.

    Zones are Z001, Z002, …, the same number in each of the districts D1, D2 and D3 as far as possible; the
    last zone is a MultiPolygon. About `residents` people live in each zone; six in ten of working age work,
    mostly inside their district.
    """
    if zones < len(PARENTS):
        raise ValueError("a small country has at least three zones, one in each district")
    path.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    district = [index * len(PARENTS) // zones for index in range(zones)]
    population = rng.poisson(rng.uniform(0.5, 1.5, (zones, 1)) * residents * np.array(AGE_SHARES))
    _write_zones(path / "zones.geojson", district)
    _write_csv(
        path / "population.csv",
        [["zone", *AGE_BANDS], *([zone_code(index), *row] for index, row in enumerate(population.tolist()))],
    )
    workers = [0.6 * population[np.array(district) == d, 2:5].sum() for d in range(len(PARENTS))]
    codes = [parents[0] for parents in PARENTS]
    rows = [[code, *_commuters(d, workers[d])] for d, code in enumerate(codes)]
    _write_csv(path / "commuting.csv", [["district", *codes], *rows])
    return path


def zone_code(index: int) -> str:
    """Code of the zone at a position, from 0."""
    return f"Z{index + 1:03d}"


def _commuters(district: int, workers: float) -> list[int]:
    return [int(workers * (0.7 if goal == district else 0.15)) for goal in range(len(PARENTS))]


def _write_zones(path: Path, district: list[int]) -> None:
    features = [
        _feature(index, PARENTS[of], last=index == len(district) - 1) for index, of in enumerate(district)
    ]
    collection = {"type": "FeatureCollection", "name": "Small", "features": features}
    path.write_text(json.dumps(collection), encoding="utf-8")


def _feature(index: int, parents: tuple[str, str | None, str], *, last: bool) -> dict[str, Any]:
    west, south = WEST + SIDE * (index % 4), SOUTH + SIDE * (index // 4)
    geometry: dict[str, Any] = {"type": "Polygon", "coordinates": _square(west, south)}
    if last:
        island = _square(WEST + 6 * SIDE, SOUTH)
        geometry = {"type": "MultiPolygon", "coordinates": [_square(west, south), island]}
    names = dict(zip(("district", "province", "region"), parents, strict=True))
    properties = {"code": zone_code(index), "name": f"Zone {index + 1}", **names}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def _square(west: float, south: float) -> list[list[list[float]]]:
    east, north = west + SIDE, south + SIDE
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return [[[round(x, 6), round(y, 6)] for x, y in corners]]


def _write_csv(path: Path, rows: list[list[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
