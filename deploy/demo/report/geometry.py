"""The country as a drawing: an equal-area plane, light shapes, dissolved districts and hatching.

Coordinates are projected here and written as small integers, once for all maps of the page, so that the
browser needs no projection of its own. Zones need not fit: gaps between them are closed in the districts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
import shapely.geometry
from numpy.typing import NDArray

EARTH_KM = 6371.007
#: Longest side of a drawing in its integer units; several of them make one pixel.
GRID = 4000
#: Shares of the longest side: what may be simplified away, gaps that are closed, distance between hatches.
SIMPLIFIED, CLOSED, HATCHED = 1 / 1500, 1 / 700, 1 / 85

Floats = NDArray[np.float64]
Shapes = NDArray[np.object_]


def project(shapes: Shapes) -> Shapes:
    """Project shapes of CRS84 degrees to kilometres around their middle, keeping areas.

    Lambert azimuthal equal-area projection of the sphere that has the Earth's surface; Snyder 1987, Map
    Projections: A Working Manual, equations 22-4, 22-5 and 24-2. On the ellipsoid, areas are off by up to
    half a per cent.

    Parameters
    ----------
    shapes
        Shapely polygons, object[n].
    """
    middle = _middle(shapely.get_coordinates(shapes))
    projected: Shapes = shapely.transform(shapes, lambda degrees: _plane(degrees, *middle))
    return projected


def _middle(degrees: Floats) -> tuple[float, float]:
    """Return longitude and latitude, in radians, of the mean direction; also across the antimeridian."""
    longitude, latitude = np.radians(degrees).T
    x, y = np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude)
    mean = np.array([x.mean(), y.mean(), np.sin(latitude).mean()])
    return float(np.arctan2(mean[1], mean[0])), float(np.arctan2(mean[2], np.hypot(mean[0], mean[1])))


def _plane(degrees: Floats, longitude: float, latitude: float) -> Floats:
    east, north = np.radians(degrees[:, 0]) - longitude, np.radians(degrees[:, 1])
    sine, cosine = np.sin(latitude), np.cos(latitude)
    towards = sine * np.sin(north) + cosine * np.cos(north) * np.cos(east)
    scale = EARTH_KM * np.sqrt(2.0 / np.maximum(1.0 + towards, 1e-9))
    x = scale * np.cos(north) * np.sin(east)
    y = scale * (cosine * np.sin(north) - sine * np.cos(north) * np.cos(east))
    return np.column_stack((x, y))


@dataclass(frozen=True, eq=False)
class Drawing:
    """Shapes of a country in the plane, ready to be written.

    Attributes
    ----------
    zones, districts
        Shapely polygons in kilometres, object[zone] and object[district].
    area
        Of each zone in km², of the shape before it was simplified, float64[zone].
    """

    zones: Shapes
    districts: Shapes
    area: Floats

    @cached_property
    def _frame(self) -> tuple[Floats, float]:
        west, south, east, north = shapely.total_bounds(self.zones)
        return np.array([west, south]), GRID / max(east - west, north - south)

    @property
    def ratio(self) -> float:
        """Height of the country divided by its width."""
        west, south, east, north = shapely.total_bounds(self.zones)
        return float((north - south) / (east - west))

    def geometry(self, shape: shapely.Geometry) -> dict[str, Any]:
        """Return a shape as GeoJSON geometry in integer units, x to the east and y to the north."""
        corner, factor = self._frame
        placed = shapely.transform(shape, lambda km: (km - corner) * factor)
        found: dict[str, Any] = shapely.geometry.mapping(placed)
        return {"type": found["type"], "coordinates": _whole(found["coordinates"])}

    def inside(self, shape: shapely.Geometry) -> tuple[int, int]:
        """Return a point inside a shape, for a label, in the same units."""
        corner, factor = self._frame
        x, y = (shapely.get_coordinates(shapely.point_on_surface(shape))[0] - corner) * factor
        return round(x), round(y)

    def hatching(self, shapes: Sequence[shapely.Geometry]) -> dict[str, Any] | None:
        """Return parallel lines that fill shapes, as a MultiLineString, or None if there are no shapes."""
        if not len(shapes):
            return None
        west, south, east, north = shapely.total_bounds(self.zones)
        step = HATCHED * max(east - west, north - south) * np.sqrt(2.0)
        starts = np.arange(south - (east - west), north, step)
        lines = shapely.multilinestrings([[(west, y), (east, y + east - west)] for y in starts])
        parts = shapely.get_parts(shapely.intersection(lines, shapely.union_all(shapes)))
        kept = parts[shapely.get_type_id(parts) == shapely.GeometryType.LINESTRING.value]
        return self.geometry(shapely.multilinestrings(list(kept))) if len(kept) else None


def draw(polygons: Sequence[shapely.Geometry], districts: NDArray[np.int64]) -> Drawing:
    """Make a drawing of a country.

    Parameters
    ----------
    polygons
        One per zone, in CRS84 degrees.
    districts
        Position of each zone's district, int64[zone], every position from 0 used.
    """
    shapes = project(np.array(polygons, dtype=object))
    west, south, east, north = shapely.total_bounds(shapes)
    side = max(east - west, north - south)
    light = shapely.coverage_simplify(shapes, SIMPLIFIED * side)
    # Shapes that overlap are no coverage, and may come out crossing themselves.
    light = shapely.orient_polygons(np.where(shapely.is_valid(light), light, shapely.buffer(shapes, 0.0)))
    dissolved = [_dissolve(light[districts == one], CLOSED * side) for one in range(districts.max() + 1)]
    return Drawing(light, np.array(dissolved, dtype=object), shapely.area(shapes))


def _dissolve(zones: Shapes, gap: float) -> shapely.Geometry:
    """Unite zones and close the gaps between them that are narrower than twice `gap`."""
    wide = shapely.buffer(shapely.union_all(zones), gap, join_style="mitre", mitre_limit=2.0)
    return shapely.orient_polygons(shapely.buffer(wide, -gap, join_style="mitre", mitre_limit=2.0))


def _whole(coordinates: Any) -> Any:
    """Round nested coordinates to whole numbers and leave out points that fall on the one before."""
    if isinstance(coordinates[0][0], int | float):
        points = [[round(x), round(y)] for x, y in coordinates]
        return [
            point for number, point in enumerate(points) if number in {0, 1} or point != points[number - 1]
        ]
    return [_whole(part) for part in coordinates]


def feature(geometry: Mapping[str, Any], **properties: object) -> dict[str, Any]:
    """Return a GeoJSON feature with its properties at the top, where the charts read them."""
    return {"type": "Feature", "geometry": geometry, **properties}
