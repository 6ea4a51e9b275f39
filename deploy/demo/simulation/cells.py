"""Puts the radio cells of an operator on the map, and chooses the cells that a subscription mostly uses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from deploy.demo.country import Country
from deploy.demo.simulation.persons import NO_WORK, Persons
from deploy.demo.simulation.phones import Subscriptions
from deploy.demo.simulation.settings import Settings
from deploy.demo.simulation.streams import Purpose, stream, unique_ids

MAX_CELLS = 12
# A zone of average population has this many cells of an operator; four times the population, twice the cells.
CELLS_OF_AVERAGE_ZONE = 4.0
# Cell identifiers look like E-UTRAN cell identities: 28 bits.
CELL_ID_BOUND = 2**28
# For one registered cell there is this share of identifiers that no register knows.
UNKNOWN_CELLS = 0.02
COORDINATE_DECIMALS = 6
TRIES = 200
NO_CELL = -1


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one operator, by zone ascending.

    Attributes
    ----------
    cell_id
        28-bit identifier, distinct within the operator, int64[cell].
    zone
        Zone of the cell, int64[cell].
    lon, lat
        Location inside the zone's polygon, CRS84 degrees, float64[cell].
    first, count
        Position of the first cell of a zone and number of its cells, int64[zone].
    unknown_id
        Identifiers of the same look that are in no register, int64[·], at least one.
    """

    cell_id: NDArray[np.int64]
    zone: NDArray[np.int64]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    first: NDArray[np.int64]
    count: NDArray[np.int64]
    unknown_id: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Favourites:
    """Favourite cells of the subscriptions of one operator, int64[subscription], positions in `Cells`."""

    at_home: NDArray[np.int64]
    at_work: NDArray[np.int64]


def cells_per_zone(population: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many cells an operator has in each zone, 1 to 12, both int64[zone]."""
    relative = population / max(population.mean(), 1)
    cells: NDArray[np.float64] = np.clip(np.rint(CELLS_OF_AVERAGE_ZONE * np.sqrt(relative)), 1, MAX_CELLS)
    return cells.astype(np.int64)


def draw_cells(country: Country, operator: int, settings: Settings) -> Cells:
    """Place the cells of one operator."""
    rng = stream(settings.seed, Purpose.CELLS, operator)
    count = cells_per_zone(country.population.sum(axis=1))
    zone = np.repeat(np.arange(count.size, dtype=np.int64), count)
    lon, lat = draw_points(rng, np.array(country.polygons, dtype=object)[zone])
    unknown = max(1, round(UNKNOWN_CELLS * zone.size))
    ids = unique_ids(rng, zone.size + unknown, CELL_ID_BOUND)
    return Cells(
        ids[: zone.size],
        zone,
        lon,
        lat,
        first=np.cumsum(count) - count,
        count=count,
        unknown_id=ids[zone.size :],
    )


def draw_points(
    rng: np.random.Generator, polygons: NDArray[np.object_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw one uniform point inside each polygon: longitudes and latitudes, float64[polygon].

    Points are drawn in the bounding box until they are inside; where `TRIES` draws are not enough (a sliver),
    the representative point of shapely is taken.
    """
    shapely.prepare(polygons)
    west, south, east, north = shapely.bounds(polygons).T
    inside = shapely.point_on_surface(polygons)
    lon, lat = shapely.get_x(inside), shapely.get_y(inside)
    missing = np.arange(polygons.size)
    for _ in range(TRIES):
        x = np.round(rng.uniform(west[missing], east[missing]), COORDINATE_DECIMALS)
        y = np.round(rng.uniform(south[missing], north[missing]), COORDINATE_DECIMALS)
        hit = shapely.contains_xy(polygons[missing], x, y)
        lon[missing[hit]], lat[missing[hit]] = x[hit], y[hit]
        missing = missing[~hit]
        if not missing.size:
            break
    return lon, lat


def draw_favourites(
    persons: Persons, subscriptions: Subscriptions, cells: Cells, operator: int, settings: Settings
) -> Favourites:
    """Choose a favourite cell at home and, for workers, one at work (`NO_CELL` for the others)."""
    rng = stream(settings.seed, Purpose.FAVOURITES, operator)
    home, work = persons.home[subscriptions.person], persons.work[subscriptions.person]
    at_home = pick_cells(cells, home, rng.random(home.size))
    at_work = pick_cells(cells, np.maximum(work, 0), rng.random(work.size))
    return Favourites(at_home, np.where(work == NO_WORK, NO_CELL, at_work))


def pick_cells(
    cells: Cells, zone: NDArray[np.int32], uniform: NDArray[np.float64] | NDArray[np.float32]
) -> NDArray[np.int64]:
    """Pick one of each zone's cells, `uniform` in [0, 1) says which: position in `Cells`, int64[·]."""
    return cells.first[zone] + (uniform * cells.count[zone]).astype(np.int64)
