"""Made-up operators over real commuting in Belgium, 2011, by district or by municipality, as tables of noisy counts.

By district the table is that of the census. By municipality it is made up: each pair of districts is parted among its
pairs of municipalities by persons, a decline with distance, and chance. Everybody with a phone is in the table, those
who do not commute on the diagonal, and some without a day zone in the last column.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.estimation.ipf import Margin, scaled
from hub.estimation.od_table import Counted
from tests.statistical.scenarios import OWNERS

Values = NDArray[np.float64]
_BELGIUM = Path(__file__).parent.parent.parent / "deploy" / "demo" / "belgium"
#: Part of the subscribers who have no day zone.
_NO_DAY_ZONE = 0.02
#: Of the logarithm of made-up flows between municipalities, around their decline with distance.
_APART = 0.8


@dataclass(frozen=True)
class Land:
    """Zones and where their phone owners are by day.

    Attributes
    ----------
    owners
        Phone owners, whole, float64 of shape (zones,).
    table
        By home and day zone, the last column those without one, float64 of shape (zones, zones + 1).
    distance
        In kilometres, shape (zones, zones).
    """

    owners: Values
    table: Values
    distance: Values


@cache
def municipalities() -> tuple[Values, Values, NDArray[np.int64]]:
    """Return phone owners, places (km, shape (589, 2)) and districts of the municipalities of Belgium."""
    with (_BELGIUM / "population.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    phones = {row["zone"]: sum(float(row[age]) * part for age, part in OWNERS.items()) for row in rows}
    features = json.loads((_BELGIUM / "zones.geojson").read_text(encoding="utf-8"))["features"]
    codes = [feature["properties"]["code"] for feature in features]
    places = np.array([_middle(feature["geometry"]) for feature in features]) * (71.0, 111.2)
    _names, district = np.unique(
        [feature["properties"]["district"] for feature in features], return_inverse=True
    )
    return np.rint(np.array([phones[code] for code in codes])), places, district.astype(np.int64)


def _middle(geometry: dict[str, Any]) -> Values:
    """Return the mean of the corners of a polygon's (or the first of several polygons') ring, in degrees."""
    ring = geometry["coordinates"][0]
    corners = np.array(ring if geometry["type"] == "Polygon" else ring[0], dtype=np.float64)
    return np.asarray(corners.mean(axis=0))


@cache
def _census() -> Values:
    with (_BELGIUM / "commuting.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return np.array([[float(number) for number in row[1:]] for row in rows])


@cache
def land(*, by_municipality: bool = False) -> Land:
    """Return Belgium by its 43 districts, or by its 589 municipalities."""
    owners, places, district = municipalities()
    commuters = _census()
    if by_municipality:
        commuters = _parted(owners, _between(places), district)
    else:
        weighted = np.stack([np.bincount(district, owners * place) for place in places.T], axis=1)
        owners = np.bincount(district, owners).astype(np.float64)
        places = weighted / owners[:, None]
    return _land(owners, commuters, _between(places))


def _between(places: Values) -> Values:
    return np.asarray(np.sqrt(((places[:, None, :] - places[None, :, :]) ** 2).sum(axis=2)))


def _parted(owners: Values, distance: Values, district: NDArray[np.int64]) -> Values:
    """Return whole commuters between municipalities, with about the census' sums between districts."""
    chance = np.random.default_rng(11)
    pull = owners**1.2 * np.exp(chance.normal(0, 0.5, owners.size))
    seed = np.outer(owners, pull) / (distance + 3.0) ** 1.3 * np.exp(chance.normal(0, _APART, distance.shape))
    pairs = district[:, None] * 43 + district
    commuters = scaled(seed, [Margin(pairs, _census().ravel())], 1)
    return np.asarray(chance.poisson(commuters).astype(np.float64))


def _land(owners: Values, commuters: Values, distance: Values) -> Land:
    # No zone has more commuters than three quarters of its phone owners.
    most = np.minimum(0.75 * owners / commuters.sum(axis=1), 1.0)
    whole = np.rint(commuters * most[:, None])
    whole[np.diag_indices(owners.size)] += owners - whole.sum(axis=1)
    table = np.concatenate([whole, np.zeros((owners.size, 1))], axis=1)
    lost = np.rint(table * _NO_DAY_ZONE)
    table -= lost
    table[:, -1] = lost.sum(axis=1)
    return Land(owners, table, distance)


@dataclass(frozen=True)
class World:
    """How operators see the country.

    Attributes
    ----------
    sigma
        Of the noise of each cell of each operator.
    present
        Which operators answer.
    coverage_sd
        Of the logarithm of an operator's share by home zone.
    lean
        How much more often than others an operator's customers go to other zones.
    homes_counted
        Whether the homes of the same subscribers were counted by another product.
    by_municipality
        589 zones instead of 43.
    smooth, near, destinations
        Whether small cells lean on the model, distances are known, sums by day zone are known.
    homes_error
        With which phone owners by home zone are known, as a part.
    declared
        Standard deviation of `lean` that the estimator is told.
    """

    name: str
    sigma: float = 100.0
    present: tuple[bool, bool, bool] = (True, True, True)
    market: tuple[float, float, float] = (0.40, 0.35, 0.25)
    coverage_sd: float = 0.22
    lean: tuple[float, float, float] = (1.0, 1.0, 1.0)
    homes_counted: bool = True
    by_municipality: bool = False
    smooth: bool = True
    near: bool = True
    destinations: bool = False
    homes_error: float = 0.0
    declared: float = 0.0


_WITHOUT = (True, True, False)
_LEANING = (1.05, 0.97, 1.0)
WORLDS = (
    World("43 zones, σ = 20", sigma=20.0),
    World("43 zones, σ = 100"),
    World("43 zones, σ = 400", sigma=400.0),
    World("43 zones, σ = 100, third operator missing", present=_WITHOUT),
    World("43 zones, σ = 400, third operator missing", sigma=400.0, present=_WITHOUT),
    World("43 zones, σ = 100, first operator alone", present=(True, False, False)),
    World("43 zones, σ = 100, no distances", near=False),
    World("43 zones, σ = 100, not smoothed", smooth=False),
    World("43 zones, σ = 100, homes not counted apart", homes_counted=False),
    World("43 zones, σ = 100, homes known to 2 %", homes_error=0.02),
    World("43 zones, σ = 100, sums by day zone known", destinations=True),
    World("43 zones, σ = 400, sums by day zone known", sigma=400.0, destinations=True),
    World(
        "43 zones, σ = 100, customers commute more, declared", present=_WITHOUT, lean=_LEANING, declared=0.02
    ),
    World("43 zones, σ = 100, customers commute more, not declared", present=_WITHOUT, lean=_LEANING),
    World("589 zones, σ = 20", sigma=20.0, by_municipality=True),
    World("589 zones, σ = 100", by_municipality=True),
    World("589 zones, σ = 400", sigma=400.0, by_municipality=True),
    World("589 zones, σ = 100, third operator missing", by_municipality=True, present=_WITHOUT),
    World("589 zones, σ = 100, homes not counted apart", by_municipality=True, homes_counted=False),
)


def seen(world: World, country: Land, chance: np.random.Generator) -> Counted:
    """Return what the operators that are there counted."""
    cells, totals = np.zeros_like(country.table), np.zeros_like(country.owners)
    noise = world.sigma**2 * sum(world.present)
    people = country.table.astype(np.int64)
    for market, there, lean in zip(world.market, world.present, world.lean, strict=True):
        share = market * np.exp(chance.normal(0, world.coverage_sd, country.owners.size))
        if there:
            leaning = np.where(np.eye(*people.shape, dtype=np.bool_), 1.0, lean)
            counted = chance.binomial(people, np.minimum(share[:, None] * leaning, 1.0))
            cells += counted
            totals += counted.sum(axis=1)
    cells += np.rint(chance.normal(0, np.sqrt(noise), cells.shape))
    if not world.homes_counted:
        return Counted(cells, noise)
    return Counted(cells, noise, totals + np.rint(chance.normal(0, np.sqrt(noise), totals.shape)), noise)
