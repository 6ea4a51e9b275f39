"""Draws the events of one operator on one day, in the order of time: who, when, in which cell.

Subscriptions share one daily profile, so the process can be drawn the cheap way round without changing it: a
Poisson number of events for each subscription, sorted instants for all of them together, and a shuffle that
says whose is whose.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deploy.demo.simulation.calendar import HOUR_MS, LocalDay
from deploy.demo.simulation.cells import NO_CELL, Cells, pick_cells
from deploy.demo.simulation.movement import Movement
from deploy.demo.simulation.persons import Persons
from deploy.demo.simulation.settings import Settings
from deploy.demo.simulation.streams import Purpose, stream
from deploy.demo.simulation.world import Operator

# Relative rate by local clock hour; periodic location updates keep the night from being silent.
NIGHT_RATE, DAY_RATE = 0.6, 1.2
HOURLY_RATE = (NIGHT_RATE,) * 6 + (DAY_RATE,) * 18
USES_FAVOURITE = 0.7
CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class Events:
    """Some consecutive events of one operator and day, clean, by time.

    Attributes
    ----------
    subscription
        Position in `Subscriptions`, int64[event].
    elapsed_ms
        Milliseconds since local midnight, non-decreasing, int64[event].
    cell
        Position in `Cells`, int64[event].
    """

    subscription: NDArray[np.int64]
    elapsed_ms: NDArray[np.int64]
    cell: NDArray[np.int64]


def draw_events(
    operator: Operator, persons: Persons, movement: Movement, settings: Settings, chunk: int = CHUNK
) -> Iterator[Events]:
    """Draw a day of an operator, `chunk` events at a time."""
    rng = stream(settings.seed, Purpose.EVENTS, operator.index, movement.day.date.toordinal())
    mean = settings.events_per_day * movement.day.hours / 24
    counts = rng.poisson(mean * operator.subscriptions.activity)
    whose = np.repeat(np.arange(counts.size, dtype=np.int32), counts)
    rng.shuffle(whose)
    instants = draw_instants(rng, movement.day, whose.size)
    stays = _Stays.of(operator, persons, movement)
    for begin in range(0, whose.size, chunk):
        part = slice(begin, begin + chunk)
        subscription = whose[part].astype(np.int64)
        elapsed = instants[part]
        yield Events(subscription, elapsed.astype(np.int64), stays.draw_cells(rng, subscription, elapsed))


def draw_instants(rng: np.random.Generator, day: LocalDay, size: int) -> NDArray[np.int32]:
    """Draw sorted instants by the daily profile, milliseconds since local midnight, int32[size]."""
    rates = np.array(HOURLY_RATE)[list(day.clock_hours)]
    per_hour = rng.multinomial(size, rates / rates.sum())
    instants = np.repeat(np.arange(day.hours, dtype=np.int32) * HOUR_MS, per_hour)
    instants += rng.integers(0, HOUR_MS, size, dtype=np.int32)
    instants.sort()
    return instants


@dataclass(frozen=True, eq=False)
class _Stays:
    """Movement and favourites of one day by subscription, int32[subscription]."""

    cells: Cells
    home: NDArray[np.int32]
    away: NDArray[np.int32]
    leaves: NDArray[np.int32]
    returns: NDArray[np.int32]
    favourite_at_home: NDArray[np.int64]
    favourite_away: NDArray[np.int64]

    @classmethod
    def of(cls, operator: Operator, persons: Persons, movement: Movement) -> _Stays:
        person = operator.subscriptions.person
        at_work = operator.favourites.at_work
        return cls(
            operator.cells,
            persons.home[person],
            movement.zone[person],
            movement.leaves[person],
            movement.returns[person],
            operator.favourites.at_home,
            at_work if movement.to_work else np.full_like(at_work, NO_CELL),
        )

    def draw_cells(
        self, rng: np.random.Generator, subscription: NDArray[np.int64], elapsed: NDArray[np.int32]
    ) -> NDArray[np.int64]:
        """Choose the cell of each event: the favourite of the place, or any cell of the zone."""
        away = (elapsed >= self.leaves[subscription]) & (elapsed < self.returns[subscription])
        zone = np.where(away, self.away[subscription], self.home[subscription])
        any_cell = pick_cells(self.cells, zone, rng.random(zone.size, dtype=np.float32))
        favourite = np.where(away, self.favourite_away[subscription], self.favourite_at_home[subscription])
        wanted = (rng.random(zone.size, dtype=np.float32) < USES_FAVOURITE) & (favourite != NO_CELL)
        return np.where(wanted, favourite, any_cell)
