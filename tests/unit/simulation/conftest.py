"""One week of a small country (about 12,000 persons), simulated once for all tests of it. It ends on the long day."""

from __future__ import annotations

import pytest

from deploy.demo.country import Country, load_country
from deploy.demo.simulation import Simulation, simulate
from deploy.demo.simulation.world import World, draw_world
from tests.small_country import write_small_country
from tests.unit.simulation.files import WEEK


@pytest.fixture(scope="session")
def country(tmp_path_factory: pytest.TempPathFactory) -> Country:
    return load_country(write_small_country(tmp_path_factory.mktemp("country") / "small"))


@pytest.fixture(scope="session")
def week(country: Country, tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return simulate(country, WEEK, tmp_path_factory.mktemp("week") / "out")


@pytest.fixture(scope="session")
def world(country: Country) -> World:
    return draw_world(country, WEEK)
