"""Assigns points to zones by the polygons of a GeoJSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.errors import ShapelyError

from privacy.errors import DataProblem
from quorate.contract.canonical import read_bytes

NOWHERE = -1


def read_polygons(
    path: Path, code_property: str, codes: Sequence[str]
) -> tuple[list[int], NDArray[np.object_]]:
    """Return the zone index and the geometry of every feature.

    Parameters
    ----------
    path
        GeoJSON in longitude and latitude (CRS84), a feature for each zone; several features may have one code.
    code_property
        Property with the zone's code.
    codes
        Codes of the zoning, ascending.

    Raises
    ------
    DataProblem
        If it is no such file, or a feature has no polygon, a broken one, or a code that the zoning does not have.
    """
    try:
        features = json.loads(read_bytes(path))["features"]
        found = [str(feature["properties"][code_property]) for feature in features]
        shapes = shapely.from_geojson([json.dumps(feature["geometry"]) for feature in features])
    except (ValueError, KeyError, TypeError, ShapelyError) as error:
        raise DataProblem(
            f"{path} is no GeoJSON whose features have polygons and the property {code_property!r}",
            todo="correct the file, or cells.polygons and cells.zone_property in [source]",
        ) from error
    index = {code: position for position, code in enumerate(codes)}
    for number, (code, shape) in enumerate(zip(found, shapes, strict=True), start=1):
        if code not in index:
            raise DataProblem(
                f"feature {number} of {path} has the code {code}, which the zoning does not have",
                todo="take the polygons of the zoning that the charter names",
            )
        if shapely.get_dimensions(shape) != 2 or not shapely.is_valid(shape):
            raise DataProblem(
                f"feature {number} of {path} ({code}) is no valid polygon: {shapely.is_valid_reason(shape)}",
                todo="repair the geometry",
            )
    return [index[code] for code in found], shapes


def zones_at(
    zones: Sequence[int], shapes: NDArray[np.object_], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the zone index of points, int64 of shape (points,); NOWHERE outside every polygon.

    A point on a border is in all zones that meet there; it goes to the one with the smallest code, so that it does
    not depend on the order of the file.

    Parameters
    ----------
    zones, shapes
        From `read_polygons`.
    lon, lat
        float64 of shape (points,), degrees.
    """
    outside = np.iinfo(np.int64).max
    found = np.full(lon.size, outside, dtype=np.int64)
    point, polygon = shapely.STRtree(shapes).query(shapely.points(lon, lat), predicate="intersects")
    np.minimum.at(found, point, np.asarray(zones, dtype=np.int64)[polygon])
    return np.where(found == outside, NOWHERE, found)
