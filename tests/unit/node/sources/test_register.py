"""The cell register: what is wrong is told by row and column; polygons; the cells of a day; the plane."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from node.sources.daycells import EXPIRED, cells_of
from node.sources.inputs import Cells
from node.sources.polygons import NOWHERE, read_polygons, zones_at
from node.sources.register import Flaw, point_of, read_register, require_flawless
from privacy.errors import DataProblem, ExitCode
from tests.unit.node.sources.support import CODES, register, source_of

DAY = date(2026, 10, 20)
PLACED = {"lon": "lon", "lat": "lat"}


def cells(columns: dict[str, Any] | None = None, **more: Any) -> Cells:
    return Cells.model_validate({"path": "c.parquet", "columns": columns or {}} | more)


def flaws(rows: list[dict[str, Any]], mapping: Cells | None = None, root: Path = Path()) -> list[Flaw]:
    return read_register(rows, mapping or cells(), CODES, root)[1]


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ({"cell.0": None, "zone": "Z001"}, "cell.0", "nothing is no cell"),
        ({"cell.0": 1, "zone": "Z009"}, "zone", "'Z009' is no zone of the zoning"),
        ({"cell.0": 1, "zone": "z001"}, "zone", "'z001'"),
        ({"cell.0": 1, "zone": None}, "zone", "nothing is no zone"),
        ({"cell.0": 1, "zone": "Z001", "valid_from": "20/10/2026"}, "valid_from", "is no date"),
        (
            {"cell.0": 1, "zone": "Z001", "valid_from": "2026-10-20", "valid_to": "2026-10-19"},
            "valid_to",
            "2026-10-19 is before 2026-10-20",
        ),
    ],
)
def test_what_is_wrong_with_a_row_is_said_with_its_number_and_column(
    row: dict[str, Any], column: str, says: str
) -> None:
    (found,) = flaws([{"cell.0": 8, "zone": "Z002"}, row])
    assert (found.row, found.column) == (2, column)
    assert says in found.what


@pytest.mark.parametrize("value", ["180.1", "-181", "x", "nan", None])
def test_coordinates_are_degrees(value: str | None) -> None:
    (found,) = flaws([{"cell.0": 1, "zone": "Z001", "lon": value, "lat": 50.0}], cells(PLACED))
    assert (found.row, found.column) == (1, "lon")


def test_two_versions_of_a_cell_cannot_hold_on_one_day() -> None:
    rows = [
        {"cell.0": 1, "zone": "Z001", "valid_to": "2026-10-20"},
        {"cell.0": 2, "zone": "Z001"},
        {"cell.0": 1, "zone": "Z002", "valid_from": "2026-10-20"},
    ]
    assert [(flaw.row, flaw.what) for flaw in flaws(rows)] == [
        (3, "the same cell as in row 1 on the same day")
    ]
    assert not flaws([*rows[:2], rows[2] | {"valid_from": "2026-10-21"}])


def test_a_register_without_rows_or_with_flaws_is_refused() -> None:
    with pytest.raises(DataProblem, match="is empty"):
        require_flawless([], 0, "the cell register")
    with pytest.raises(DataProblem, match=r"2 problem\(s\); row 3, zone: bad") as caught:
        require_flawless([Flaw(3, "zone", "bad"), Flaw(4, "zone", "bad")], 9, "the cell register")
    assert caught.value.exit_code == ExitCode.DATA_UNUSABLE
    require_flawless([], 1, "the cell register")


def square(west: float, south: float, size: float = 1.0) -> dict[str, Any]:
    east, north = west + size, south + size
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def geojson(root: Path, *zones: tuple[str, dict[str, Any]]) -> Path:
    features = [{"type": "Feature", "properties": {"code": code}, "geometry": shape} for code, shape in zones]
    path = root / "zones.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


#: Three squares in a row; Z003 comes first in the file, and Z001 has a second piece far away.
SQUARES = (("Z003", square(6, 50)), ("Z001", square(4, 50)), ("Z002", square(5, 50)), ("Z001", square(0, 0)))


def test_a_point_is_in_the_zone_whose_polygon_has_it(tmp_path: Path) -> None:
    zones, shapes = read_polygons(geojson(tmp_path, *SQUARES), "code", CODES)
    points = np.array([[4.5, 50.5], [5.5, 50.5], [6.5, 50.5], [0.5, 0.5], [9.0, 50.5]])
    assert zones_at(zones, shapes, *points.T).tolist() == [0, 1, 2, 0, NOWHERE]


@pytest.mark.parametrize("order", [SQUARES, SQUARES[::-1]])
def test_a_point_on_a_border_goes_to_the_smallest_code(tmp_path: Path, order: Any) -> None:
    zones, shapes = read_polygons(geojson(tmp_path, *order), "code", CODES)
    points = np.array([[5.0, 50.5], [6.0, 50.0], [6.0, 51.0], [4.0, 50.0], [7.0, 50.5]])
    assert zones_at(zones, shapes, *points.T).tolist() == [0, 1, 1, 0, 2]


def test_a_cell_outside_every_polygon_is_told_or_has_no_zone(tmp_path: Path) -> None:
    geojson(tmp_path, *SQUARES)
    rows = [{"cell.0": 1, "lon": 4.5, "lat": 50.5}, {"cell.0": 2, "lon": 9, "lat": 50.5}]
    strict = cells(PLACED, polygons="zones.geojson")
    (found,) = flaws(rows, strict, tmp_path)
    assert (found.row, found.what) == (2, "(9.000000, 50.500000) is in no polygon")
    lenient = cells(PLACED, polygons="zones.geojson", outside="reject")
    versions, wrong = read_register(rows, lenient, CODES, tmp_path)
    assert not wrong
    assert [version.zone for version in versions] == [0, NOWHERE]


@pytest.mark.parametrize(
    ("zones", "says"),
    [
        ([("Z009", square(4, 50))], "which the zoning does not have"),
        ([("Z001", {"type": "Point", "coordinates": [4, 50]})], "no valid polygon"),
        (
            [("Z001", {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]})],
            "Self-intersection",
        ),
    ],
)
def test_polygons_that_cannot_be_used_are_named(tmp_path: Path, zones: Any, says: str) -> None:
    with pytest.raises(DataProblem, match=says):
        read_polygons(geojson(tmp_path, *zones), "code", CODES)


@pytest.mark.parametrize("text", ["", "{}", '{"features": [{}]}', "[1"])
def test_what_is_no_geojson_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "zones.geojson"
    path.write_text(text)
    with pytest.raises(DataProblem, match="no GeoJSON"):
        read_polygons(path, "code", CODES)


def test_a_sector_is_half_its_range_from_the_antenna(tmp_path: Path) -> None:
    geojson(tmp_path, *SQUARES)
    columns = PLACED | {"azimuth": "a", "range": "r"}
    rows = [
        {"cell.0": 1, "lon": 4.999, "lat": 50.5, "azimuth": 90, "range": 2000},
        {"cell.0": 2, "lon": 4.999, "lat": 50.5, "azimuth": 270, "range": 2000},
        {"cell.0": 3, "lon": 4.999, "lat": 50.5},
    ]
    mapping = cells(columns, polygons="zones.geojson", point="sector")
    versions, wrong = read_register(rows, mapping, CODES, tmp_path)
    assert not wrong
    assert [version.zone for version in versions] == [1, 0, 0]
    lon, lat = point_of(versions[0])
    assert lat == pytest.approx(50.5)
    assert (lon - 4.999) * 111_320 * np.cos(np.radians(50.5)) == pytest.approx(1000)


def test_cells_of_a_day_are_numbered_by_their_keys() -> None:
    rows = [{"cell.0": number, "zone": "Z001"} for number in (10, 9, 100)]
    rows += [{"cell.0": 5, "zone": "Z002", "valid_to": "2026-10-19"}]
    found = cells_of(register(rows), DAY)
    assert found.table.select(["key_0", "cell"]).to_pydict() == {
        "key_0": [9, 10, 100, 5],
        "cell": [0, 1, 2, EXPIRED],
    }
    assert (found.valid, found.numeric) == (3, (True,))
    texts = cells_of(register([{"cell.0": text, "zone": "Z001"} for text in ("10", "9", "009")]), DAY)
    assert texts.table["key_0"].to_pylist() == ["009", "10", "9"]
    assert texts.numeric == (False,)


def test_the_plane_is_in_whole_metres_around_whole_degrees() -> None:
    mapping = source_of(cells={"path": "c", "columns": PLACED})
    rows = [
        {"cell.0": 1, "zone": "Z001", "lon": 4.35, "lat": 50.85},
        {"cell.0": 2, "zone": "Z001", "lon": 4.40, "lat": 50.95},
        {"cell.0": 3, "zone": "Z001", "lon": 3.5, "lat": 51.2, "valid_to": "2020-01-01"},
    ]
    found = cells_of(register(rows, mapping), DAY).table
    # The middle of the box, (3.95, 51.025), is (4, 51) in whole degrees.
    x = [round((lon - 4) * np.cos(np.radians(51)) * 111_320) for lon in (4.35, 4.40)]
    assert found["x_m"].to_pylist()[:2] == x
    assert found["y_m"].to_pylist()[:2] == [round(-0.15 * 110_540), round(-0.05 * 110_540)]
    assert cells_of(register([{"cell.0": 1, "zone": "Z001"}]), DAY).table["x_m"].to_pylist() == [0]
