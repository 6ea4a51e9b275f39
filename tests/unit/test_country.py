"""Reading a country directory: what is accepted, and every error by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploy.demo.country import AGE_BANDS, BELGIUM, load_country
from privacy.errors import UsageProblem
from tests.small_country import write_small_country

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_small_country(tmp_path / "small")


def change_zones(path: Path, change: Change) -> None:
    file = path / "zones.geojson"
    collection = json.loads(file.read_text(encoding="utf-8"))
    change(collection)
    file.write_text(json.dumps(collection), encoding="utf-8")


def change_row(path: Path, file: str, row: int, text: str | None) -> None:
    """Replace a row, counted from 1; None removes it."""
    lines = (path / file).read_text(encoding="utf-8").splitlines()
    lines[row - 1 : row] = [] if text is None else [text]
    (path / file).write_text("\n".join(lines) + "\n", encoding="utf-8")


def properties(collection: dict[str, Any], zone: int) -> dict[str, Any]:
    found: dict[str, Any] = collection["features"][zone]["properties"]
    return found


def refusal(path: Path) -> str:
    with pytest.raises(UsageProblem) as caught:
        load_country(path)
    assert caught.value.todo == "See docs/country-directory.md for the format."
    return caught.value.what


def test_a_small_country_is_read_with_its_parents_in_order_of_the_codes(small: Path) -> None:
    country = load_country(small)
    assert country.name == "Small"
    assert country.zone_codes == tuple(f"Z{number:03d}" for number in range(1, 13))
    assert country.names[:2] == ("Zone 1", "Zone 2")
    assert country.district == ("D1",) * 4 + ("D2",) * 4 + ("D3",) * 4
    assert country.province == ("P1",) * 4 + ("P2",) * 4 + (None,) * 4
    assert country.region == ("R1",) * 8 + ("R2",) * 4
    assert country.district_codes == ("D1", "D2", "D3")
    assert country.district_index.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert country.population.shape == (12, 7)
    assert country.population.dtype == country.commuting.dtype == np.int64
    assert country.polygons[11].geom_type == "MultiPolygon"


def test_rows_columns_and_features_may_come_in_any_order(small: Path) -> None:
    before = load_country(small)
    change_zones(small, lambda collection: collection["features"].reverse())
    for file in ("population.csv", "commuting.csv"):
        rows = [line.split(",") for line in (small / file).read_text(encoding="utf-8").splitlines()]
        turned = [[row[0], *reversed(row[1:])] for row in [rows[0], *reversed(rows[1:])]]
        text = "\r\n".join(",".join(row) for row in turned) + "\r\n\r\n"
        (small / file).write_bytes(b"\xef\xbb\xbf" + text.encode())
    after = load_country(small)
    assert after.zone_codes == before.zone_codes
    assert after.polygons == before.polygons
    assert np.array_equal(after.population, before.population)
    assert np.array_equal(after.commuting, before.commuting)


def test_whole_number_codes_empty_provinces_and_missing_names_are_understood(small: Path) -> None:
    def change(collection: dict[str, Any]) -> None:
        del collection["name"]
        for feature in collection["features"]:
            feature["properties"]["region"] = {"R1": 1000, "R2": 2000}[feature["properties"]["region"]]
            feature["properties"]["province"] = feature["properties"]["province"] or ""

    change_zones(small, change)
    country = load_country(small)
    assert country.name == "small"
    assert set(country.region) == {"1000", "2000"}
    assert country.province[8:] == (None,) * 4


def test_belgium_is_built_in_with_the_figures_of_its_sources() -> None:
    belgium = load_country()
    assert belgium.name == "Belgium"
    assert len(belgium.zone_codes) == 589
    assert len(belgium.district_codes) == 43
    assert int(belgium.population.sum()) == 10_951_266
    assert int(belgium.commuting.sum()) == 4_304_172
    assert round(np.trace(belgium.commuting) / belgium.commuting.sum(), 2) == 0.63
    antwerp = belgium.zone_codes.index("11002")
    assert belgium.population[antwerp].tolist() == [64012, 25369, 56928, 144808, 115824, 58867, 27740]
    assert belgium.commuting[0, :2].tolist() == [309701, 17352]


def test_brussels_has_no_province_and_hainaut_the_arrondissements_of_its_commuting_table() -> None:
    belgium = load_country(None)
    without = [
        code for code, province in zip(belgium.zone_codes, belgium.province, strict=True) if not province
    ]
    assert without == [f"210{number:02d}" for number in range(1, 20)]
    la_louviere = [
        name for name, district in zip(belgium.names, belgium.district, strict=True) if district == "58000"
    ]
    assert la_louviere == ["La Louvière", "Binche", "Estinnes", "Morlanwelz"]
    of_age = np.zeros(43)
    np.add.at(of_age, belgium.district_index, belgium.population[:, 2:5].sum(axis=1))
    share = belgium.commuting.sum(axis=1) / of_age
    assert share.min() > 0.25
    assert share.max() < 0.75, "a table of other boundaries would have districts with too many workers"


def test_the_built_in_country_is_small_and_names_its_source() -> None:
    assert (BELGIUM / "zones.geojson").stat().st_size < 800_000
    attribution = (BELGIUM / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "Statbel" in attribution
    assert "CC BY 2.0" in attribution


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere") == f"{tmp_path / 'nowhere'} is not a directory"


@pytest.mark.parametrize("file", ["zones.geojson", "population.csv", "commuting.csv"])
def test_a_missing_file_is_named(small: Path, file: str) -> None:
    (small / file).unlink()
    assert refusal(small) == f"{file} is missing in {small}"


@pytest.mark.parametrize("file", ["zones.geojson", "population.csv", "commuting.csv"])
def test_a_file_that_is_not_utf8_is_named_with_the_byte(small: Path, file: str) -> None:
    (small / file).write_bytes(b"ab\xff")
    assert refusal(small) == f"{file} is not UTF-8 text (byte 2)"


def test_a_file_that_cannot_be_read_is_named(small: Path) -> None:
    (small / "population.csv").unlink()
    (small / "population.csv").mkdir()
    assert refusal(small) == "population.csv cannot be read: Is a directory"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"type":\n nonsense}', "zones.geojson, row 2, column 2: not JSON (Expecting value)"),
        ("[]", "zones.geojson is not a FeatureCollection"),
        ('{"type": "Feature"}', "zones.geojson is not a FeatureCollection"),
        ('{"type": "FeatureCollection"}', "zones.geojson has no features"),
        ('{"type": "FeatureCollection", "features": []}', "zones.geojson has no features"),
        ('{"type": "FeatureCollection", "features": [1]}', "zones.geojson, feature 1: not a Feature"),
        (
            '{"type": "FeatureCollection", "features": [{"type": "Feature"}]}',
            "zones.geojson, feature 1: no properties",
        ),
    ],
)
def test_a_file_that_is_no_feature_collection_is_refused(small: Path, text: str, what: str) -> None:
    (small / "zones.geojson").write_text(text, encoding="utf-8")
    assert refusal(small) == what


def lambert(collection: dict[str, Any]) -> None:
    collection["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::31370"}}


def duplicate(collection: dict[str, Any]) -> None:
    collection["features"].append(collection["features"][0])


def ring(collection: dict[str, Any], points: list[list[float]]) -> None:
    collection["features"][0]["geometry"]["coordinates"] = [points]


BOW_TIE = [[4.0, 50.0], [5.0, 51.0], [5.0, 50.0], [4.0, 51.0], [4.0, 50.0]]
METRES = [[150_000.0, 170_000.0], [151_000.0, 170_000.0], [151_000.0, 171_000.0], [150_000.0, 170_000.0]]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambert, "zones.geojson, member crs: 'urn:ogc:def:crs:EPSG::31370' is not CRS84"),
        (lambda c: c.update(crs="here"), "zones.geojson, member crs: 'here' is not CRS84"),
        (lambda c: properties(c, 3).pop("code"), "zones.geojson, feature 4, property code: Field required"),
        (lambda c: properties(c, 3).pop("name"), "zones.geojson, feature 4, property name: Field required"),
        (
            lambda c: properties(c, 3).pop("district"),
            "zones.geojson, feature 4, property district: Field required",
        ),
        (
            lambda c: properties(c, 3).pop("region"),
            "zones.geojson, feature 4, property region: Field required",
        ),
        (lambda c: properties(c, 3).update(region=None), "zones.geojson, feature 4, property region: Input"),
        (
            lambda c: properties(c, 0).update(name="  "),
            "zones.geojson, feature 1, property name: String should",
        ),
        (
            lambda c: properties(c, 0).update(code="a b"),
            "zones.geojson, feature 1, property code: String should",
        ),
        (
            lambda c: properties(c, 0).update(code=1.5),
            "zones.geojson, feature 1, property code: Input should",
        ),
        (
            lambda c: properties(c, 0).update(code=True),
            "zones.geojson, feature 1, property code: Input should",
        ),
        (lambda c: properties(c, 0).update(province="x" * 33), "zones.geojson, feature 1, property province"),
        (duplicate, "zones.geojson, feature 13, property code: the zone Z001 is there twice"),
        (
            lambda c: properties(c, 0).update(code="D3"),
            "zones.geojson, zone Z009, property district: D3 is also the code of a zone",
        ),
        (
            lambda c: properties(c, 0).update(code="Z9", district="Z012"),
            "zones.geojson, zone Z9, property district: Z012 is also the code of a zone",
        ),
        (
            lambda c: [properties(c, zone).update(province="D1") for zone in range(4)],
            "zones.geojson, zone Z001, property province: D1 is also the code of a district",
        ),
        (
            lambda c: [properties(c, zone).update(region="P1") for zone in range(8)],
            "zones.geojson, zone Z001, property region: P1 is also the code of a province",
        ),
        (
            lambda c: properties(c, 1).update(province="P2"),
            "zones.geojson, zone Z002, property province: district D1 lies in P2 here, in P1 elsewhere",
        ),
        (
            lambda c: properties(c, 1).update(province=None),
            "zones.geojson, zone Z002, property province: district D1 lies in None here, in P1 elsewhere",
        ),
        (
            lambda c: properties(c, 9).update(region="R1"),
            "zones.geojson, zone Z010, property region: district D3 lies in R1 here, in R2 elsewhere",
        ),
        (
            lambda c: [properties(c, zone).update(province="P1", region="R2") for zone in range(4, 8)],
            "zones.geojson, zone Z005, property region: province P1 lies in R2 here, in R1 elsewhere",
        ),
        (
            lambda c: c["features"][0].pop("geometry"),
            "zones.geojson, feature 1 (Z001), geometry: None is neither Polygon nor MultiPolygon",
        ),
        (
            lambda c: c["features"][0]["geometry"].update(type="Point", coordinates=[4, 50]),
            "zones.geojson, feature 1 (Z001), geometry: 'Point' is neither Polygon nor MultiPolygon",
        ),
        (
            lambda c: c["features"][0]["geometry"].pop("coordinates"),
            "zones.geojson, feature 1 (Z001), geometry: not a Polygon",
        ),
        (lambda c: ring(c, [[4, 50], [5, 50]]), "zones.geojson, feature 1 (Z001), geometry: not a Polygon"),
        (
            lambda c: c["features"][0]["geometry"].update(coordinates="ab"),
            "zones.geojson, feature 1 (Z001), geometry: not a Polygon",
        ),
        (
            lambda c: c["features"][0]["geometry"].update(coordinates=[]),
            "zones.geojson, feature 1 (Z001), geometry: Valid Geometry, area 0.0",
        ),
        (lambda c: ring(c, BOW_TIE), "zones.geojson, feature 1 (Z001), geometry: Self-intersection"),
        (
            lambda c: ring(c, METRES),
            "zones.geojson, feature 1 (Z001), geometry: coordinates (150000.0, 170000.0, 151000.0,",
        ),
    ],
)
def test_a_rule_of_zones_is_broken(small: Path, change: Change, what: str) -> None:
    change_zones(small, change)
    assert refusal(small).startswith(what)


HEADER = "zone," + ",".join(AGE_BANDS)


@pytest.mark.parametrize(
    ("file", "row", "text", "what"),
    [
        (
            "population.csv",
            1,
            HEADER.replace("zone", "code"),
            "row 1: the first column is 'code', not 'zone'",
        ),
        ("population.csv", 1, HEADER.replace("a80p", "a80"), "row 1: unknown column 'a80'"),
        ("population.csv", 1, HEADER + ",a80p", "row 1: column 'a80p' is there twice"),
        ("population.csv", 1, HEADER.replace(",a80p", ""), "row 1: no column 'a80p'"),
        ("population.csv", 4, "Z003,1,2", "row 4: 3 fields instead of 8"),
        ("population.csv", 4, "Z999,1,2,3,4,5,6,7", "row 4, column zone: 'Z999' is no zone of zones.geojson"),
        ("population.csv", 4, "Z002,1,2,3,4,5,6,7", "row 4, column zone: the zone Z002 is there twice"),
        ("population.csv", 4, None, "column zone: no row for the zone Z003"),
        *(
            (
                "population.csv",
                4,
                f"Z003,1,2,3,{wrong},5,6,7",
                f"row 4 (zone Z003), column a25_44: {wrong!r} is not a whole number of zero or more",
            )
            for wrong in ("-1", "1.5", "", "many", "1e3", " 1", "٣", "9" * 13)
        ),
        ("commuting.csv", 1, "from,D1,D2,D3", "row 1: the first column is 'from', not 'district'"),
        ("commuting.csv", 1, "district,D1,D2,D4", "row 1: unknown column 'D4'"),
        ("commuting.csv", 1, "district,D1,D2", "row 1: no column 'D3'"),
        ("commuting.csv", 1, "district,D1,D2,D3,D3", "row 1: column 'D3' is there twice"),
        ("commuting.csv", 3, "D4,1,2,3", "row 3, column district: 'D4' is no district of zones.geojson"),
        ("commuting.csv", 3, "D1,1,2,3", "row 3, column district: the district D1 is there twice"),
        ("commuting.csv", 3, None, "column district: no row for the district D2"),
        (
            "commuting.csv",
            3,
            "D2,1,x,3",
            "row 3 (district D2), column D2: 'x' is not a whole number of zero or more",
        ),
    ],
)
def test_a_rule_of_a_table_is_broken(small: Path, file: str, row: int, text: str | None, what: str) -> None:
    change_row(small, file, row, text)
    assert refusal(small) == f"{file}, {what}"


def test_an_empty_table_is_refused(small: Path) -> None:
    (small / "commuting.csv").write_text("", encoding="utf-8")
    assert refusal(small) == "commuting.csv, row 1: the first column is '', not 'district'"


def test_a_country_without_people_is_refused(small: Path) -> None:
    rows = [HEADER] + [f"Z{number:03d},0,0,0,0,0,0,0" for number in range(1, 13)]
    (small / "population.csv").write_text("\n".join(rows), encoding="utf-8")
    assert refusal(small) == "population.csv: nobody lives in the country"
