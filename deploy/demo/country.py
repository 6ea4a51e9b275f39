"""Reads a country directory: zones with their polygons, residents by age band, commuters between districts.

The format is in docs/country-directory.md. Every rule is checked here; an error names file, row and column.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, StringConstraints, ValidationError
from shapely.errors import ShapelyError
from shapely.geometry import shape

from privacy.errors import UsageProblem

BELGIUM = Path(__file__).parent / "belgium"
AGE_BANDS = ("a0_9", "a10_14", "a15_24", "a25_44", "a45_64", "a65_79", "a80p")
CRS84_NAMES = frozenset({"urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84", "OGC:CRS84"})
SEE = "See docs/country-directory.md for the format."
COUNT = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, eq=False)
class Country:
    """A country that can be simulated; zones are int64 indices, the position of their code in `zone_codes`.

    Attributes
    ----------
    name
        What the country calls itself: `name` of zones.geojson, else the name of the directory.
    zone_codes, names, district, province, region
        One entry per zone, zone codes ascending as strings; codes of the parents, a missing province is None.
    polygons
        One shapely Polygon or MultiPolygon per zone, in CRS84 degrees.
    population
        Residents, int64[zone, age band], age bands in the order of `AGE_BANDS`.
    district_codes
        Ascending as strings.
    commuting
        Working residents, int64[district of residence, district of workplace].
    """

    name: str
    zone_codes: tuple[str, ...]
    names: tuple[str, ...]
    district: tuple[str, ...]
    province: tuple[str | None, ...]
    region: tuple[str, ...]
    polygons: tuple[shapely.Polygon | shapely.MultiPolygon, ...]
    population: NDArray[np.int64]
    district_codes: tuple[str, ...]
    commuting: NDArray[np.int64]

    @property
    def district_index(self) -> NDArray[np.int64]:
        """Position in `district_codes` of each zone's district, int64[zone]."""
        position = {code: index for index, code in enumerate(self.district_codes)}
        return np.array([position[code] for code in self.district], dtype=np.int64)


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


Code = Annotated[str, BeforeValidator(_as_text), StringConstraints(pattern=r"^[A-Za-z0-9_@$-]{1,32}$")]


class Place(BaseModel, frozen=True):
    """The properties of one feature of zones.geojson."""

    code: Code
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    district: Code
    province: Annotated[Code | None, BeforeValidator(_none_if_empty)] = None
    region: Code


@dataclass(frozen=True)
class _Zone:
    place: Place
    polygon: shapely.Polygon | shapely.MultiPolygon


def load_country(path: Path | None = None) -> Country:
    """Read and check a country directory.

    Parameters
    ----------
    path
        Directory with zones.geojson, population.csv and commuting.csv; None means the built-in Belgium.

    Raises
    ------
    UsageProblem
        A file is missing or breaks a rule of the format; the message names file, row and column.
    """
    directory = BELGIUM if path is None else Path(path)
    if not directory.is_dir():
        raise _problem(f"{directory} is not a directory", means="There is no country to simulate.")
    collection = _read_collection(directory / "zones.geojson")
    zones = _read_zones(collection)
    places = [zone.place for zone in zones]
    _check_levels(places)
    zone_codes = tuple(place.code for place in places)
    district_codes = tuple(sorted({place.district for place in places}))
    return Country(
        name=str(collection.get("name") or directory.resolve().name),
        zone_codes=zone_codes,
        names=tuple(place.name for place in places),
        district=tuple(place.district for place in places),
        province=tuple(place.province for place in places),
        region=tuple(place.region for place in places),
        polygons=tuple(zone.polygon for zone in zones),
        population=_read_population(directory / "population.csv", zone_codes),
        district_codes=district_codes,
        commuting=_read_table(directory / "commuting.csv", "district", district_codes, district_codes),
    )


def _problem(what: str, *, means: str = "") -> UsageProblem:
    return UsageProblem(what, means=means or "The country directory cannot be used.", todo=SEE)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise _problem(f"{path.name} is missing in {path.parent}") from None
    except UnicodeDecodeError as error:
        raise _problem(f"{path.name} is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise _problem(f"{path.name} cannot be read: {error.strerror}") from None


def _read_collection(path: Path) -> dict[str, Any]:
    try:
        collection = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise _problem(
            f"zones.geojson, row {error.lineno}, column {error.colno}: not JSON ({error.msg})"
        ) from None
    if not isinstance(collection, dict) or collection.get("type") != "FeatureCollection":
        raise _problem("zones.geojson is not a FeatureCollection")
    if not isinstance(collection.get("features"), list) or not collection["features"]:
        raise _problem("zones.geojson has no features")
    crs = collection.get("crs")
    if crs is not None and _crs_name(crs) not in CRS84_NAMES:
        raise _problem(
            f"zones.geojson, member crs: {_crs_name(crs)!r} is not CRS84 (longitude, latitude in degrees)"
        )
    return collection


def _crs_name(crs: object) -> object:
    properties = crs.get("properties") if isinstance(crs, Mapping) else None
    return properties.get("name") if isinstance(properties, Mapping) else crs


def _read_zones(collection: Mapping[str, Any]) -> list[_Zone]:
    zones: dict[str, _Zone] = {}
    for number, feature in enumerate(collection["features"], start=1):
        where = f"zones.geojson, feature {number}"
        if not isinstance(feature, Mapping) or feature.get("type") != "Feature":
            raise _problem(f"{where}: not a Feature")
        place = _read_place(feature.get("properties"), where)
        if place.code in zones:
            raise _problem(f"{where}, property code: the zone {place.code} is there twice")
        zones[place.code] = _Zone(place, _read_polygon(feature.get("geometry"), f"{where} ({place.code})"))
    return [zones[code] for code in sorted(zones)]


def _read_place(properties: object, where: str) -> Place:
    if not isinstance(properties, Mapping):
        raise _problem(f"{where}: no properties")
    try:
        return Place.model_validate(dict(properties))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _problem(
            f"{where}, property {first['loc'][0]}: {first['msg']}, got {first['input']!r:.80}"
        ) from None


def _read_polygon(geometry: object, where: str) -> shapely.Polygon | shapely.MultiPolygon:
    kind = geometry.get("type") if isinstance(geometry, Mapping) else None
    if kind not in {"Polygon", "MultiPolygon"}:
        raise _problem(f"{where}, geometry: {kind!r} is neither Polygon nor MultiPolygon")
    try:
        polygon = shape(geometry)
    except (ShapelyError, ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        raise _problem(f"{where}, geometry: not a {kind} ({error})") from None
    if polygon.is_empty or not polygon.is_valid or polygon.area <= 0:
        raise _problem(f"{where}, geometry: {shapely.is_valid_reason(polygon)}, area {polygon.area}")
    west, south, east, north = polygon.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise _problem(
            f"{where}, geometry: coordinates {polygon.bounds} are not longitudes and latitudes in degrees"
        )
    return polygon


def _check_levels(places: Iterable[Place]) -> None:
    """Check that a code names one thing only, and that each district and province has one parent."""
    level_of: dict[str, str] = {}
    parent_of: dict[tuple[str, str], str | None] = {}
    for place in places:
        levels = {
            "zone": place.code,
            "district": place.district,
            "province": place.province,
            "region": place.region,
        }
        for level, code in levels.items():
            if code is not None and level_of.setdefault(code, level) != level:
                raise _problem(
                    f"zones.geojson, zone {place.code}, property {'code' if level == 'zone' else level}: "
                    f"{code} is also the code of a {level_of[code]}"
                )
        for child, parent in (("district", "province"), ("district", "region"), ("province", "region")):
            key = (f"{child} {levels[child]}", parent)
            if levels[child] is not None and parent_of.setdefault(key, levels[parent]) != levels[parent]:
                raise _problem(
                    f"zones.geojson, zone {place.code}, property {parent}: {key[0]} lies in "
                    f"{levels[parent]} here, in {parent_of[key]} elsewhere"
                )


def _read_population(path: Path, zone_codes: tuple[str, ...]) -> NDArray[np.int64]:
    population = _read_table(path, "zone", zone_codes, AGE_BANDS)
    if population.sum() == 0:
        raise _problem(f"{path.name}: nobody lives in the country")
    return population


def _read_table(path: Path, key: str, rows: tuple[str, ...], columns: tuple[str, ...]) -> NDArray[np.int64]:
    """Read counts, int64[row, column], in the order asked for; the file may have them in any order."""
    reader = csv.reader(_read_text(path).splitlines())
    header = next(reader, [])
    where_of = _positions(path.name, header, key, columns)
    found: dict[str, list[int]] = {}
    for fields in reader:
        if not fields:
            continue
        where = f"{path.name}, row {reader.line_num}"
        if len(fields) != len(header):
            raise _problem(f"{where}: {len(fields)} fields instead of {len(header)}")
        _check_row_key(fields[0], key, where, rows, found)
        found[fields[0]] = _read_counts(fields, header, f"{where} ({key} {fields[0]})")
    for code in rows:
        if code not in found:
            raise _problem(f"{path.name}, column {key}: no row for the {key} {code}")
    return np.array([[found[row][where_of(column)] for column in columns] for row in rows], dtype=np.int64)


def _positions(file: str, header: list[str], key: str, columns: tuple[str, ...]) -> Callable[[str], int]:
    if not header or header[0] != key:
        raise _problem(f"{file}, row 1: the first column is {header[0] if header else ''!r}, not {key!r}")
    names = header[1:]
    for name in names:
        if name not in columns:
            raise _problem(f"{file}, row 1: unknown column {name!r}")
        if names.count(name) > 1:
            raise _problem(f"{file}, row 1: column {name!r} is there twice")
    for column in columns:
        if column not in names:
            raise _problem(f"{file}, row 1: no column {column!r}")
    return names.index


def _check_row_key(
    code: str, key: str, where: str, rows: tuple[str, ...], found: Mapping[str, object]
) -> None:
    if code not in rows:
        raise _problem(f"{where}, column {key}: {code!r} is no {key} of zones.geojson")
    if code in found:
        raise _problem(f"{where}, column {key}: the {key} {code} is there twice")


def _read_counts(fields: list[str], header: list[str], where: str) -> list[int]:
    for name, field in zip(header[1:], fields[1:], strict=True):
        if not COUNT.fullmatch(field):
            raise _problem(f"{where}, column {name}: {field!r} is not a whole number of zero or more")
    return [int(field) for field in fields[1:]]
