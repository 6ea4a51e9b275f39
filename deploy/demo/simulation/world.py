"""Draws everything of a simulated country that does not change from day to day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deploy.demo.country import Country
from deploy.demo.simulation.cells import Cells, Favourites, draw_cells, draw_favourites
from deploy.demo.simulation.persons import Gravity, Persons, draw_persons, draw_population, draw_register
from deploy.demo.simulation.phones import (
    Phones,
    Subscriptions,
    draw_phones,
    draw_shares,
    draw_subscriptions,
)
from deploy.demo.simulation.settings import Settings


@dataclass(frozen=True, eq=False)
class Operator:
    """All that is fixed about one operator: its subscriptions, cells and favourite cells."""

    index: int
    id: str
    subscriptions: Subscriptions
    cells: Cells
    favourites: Favourites


@dataclass(frozen=True, eq=False)
class World:
    """A country with its people and operators; `register` is int64[zone, age band] at t₀."""

    country: Country
    settings: Settings
    gravity: Gravity
    register: NDArray[np.int64]
    persons: Persons
    phones: Phones
    operators: tuple[Operator, ...]


def draw_world(country: Country, settings: Settings) -> World:
    """Draw register, persons, phones and operators; writes nothing.

    Raises
    ------
    UsageProblem
        Nobody lives in the country at this scale.
    """
    register = draw_register(country, settings)
    gravity = Gravity.of(country)
    persons = draw_persons(country, gravity, draw_population(register, settings), settings)
    phones = draw_phones(persons, draw_shares(country, settings), settings)
    operators = tuple(
        _draw_operator(country, settings, persons, phones, index) for index in range(settings.operators)
    )
    return World(country, settings, gravity, register, persons, phones, operators)


def _draw_operator(
    country: Country, settings: Settings, persons: Persons, phones: Phones, index: int
) -> Operator:
    subscriptions = draw_subscriptions(phones, index, settings)
    cells = draw_cells(country, index, settings)
    favourites = draw_favourites(persons, subscriptions, cells, index, settings)
    return Operator(index, settings.operator_ids[index], subscriptions, cells, favourites)
