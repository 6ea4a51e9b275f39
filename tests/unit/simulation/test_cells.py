"""The simulated country: cells lie in their zone."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely

from deploy.demo.country import Country
from deploy.demo.simulation import Simulation
from deploy.demo.simulation.cells import cells_per_zone, draw_points


def test_cells_lie_in_their_zone_and_look_like_cell_identities(country: Country, week: Simulation) -> None:
    for who in week.operator_ids:
        table = pq.read_table(week.cells(who))
        assert [str(field.type) for field in table.schema] == ["int64", "string", "double", "double"]
        ids = table["cell_id"].to_pylist()
        assert len(set(ids)) == len(ids)
        assert 0 <= min(ids) <= max(ids) < 2**28
        for zone, lon, lat in zip(*(table[name].to_pylist() for name in ("zone", "lon", "lat")), strict=True):
            polygon = country.polygons[country.zone_codes.index(zone)]
            assert polygon.contains(shapely.Point(lon, lat))
        assert set(table["zone"].to_pylist()) == set(country.zone_codes)


def test_large_zones_have_more_cells() -> None:
    assert cells_per_zone(np.array([0, 25, 100, 275, 100, 100])).tolist() == [1, 2, 4, 7, 4, 4]
    assert cells_per_zone(np.array([1_000_000] + [1] * 99))[0] == 12


def test_a_sliver_gets_a_point_too() -> None:
    sliver = shapely.Polygon([(0, 0), (1, 1), (1, 1 + 1e-13), (0, 0)])
    lon, lat = draw_points(
        np.random.default_rng(1), np.array([sliver, shapely.box(4, 50, 5, 51)], dtype=object)
    )
    assert lon[0] == pytest.approx(lat[0], abs=1e-9)
    assert shapely.box(4, 50, 5, 51).contains(shapely.Point(lon[1], lat[1]))
