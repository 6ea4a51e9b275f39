"""Moves persons through a day: at home at night, one excursion at most, to work or on a weekend trip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deploy.demo.simulation.calendar import HOUR_MS, MINUTE_MS, LocalDay
from deploy.demo.simulation.persons import NO_WORK, Gravity, Persons
from deploy.demo.simulation.settings import Settings
from deploy.demo.simulation.streams import Purpose, stream

# Clock times of workers on Monday to Friday: mean and standard deviation in minutes since midnight.
LEAVE_MINUTES = (8 * 60, 45)
RETURN_MINUTES = (17 * 60 + 15, 60)
STAYS_AT_HOME = 0.15
TRIP_SHARE = 0.25
TRIP_FROM_AGE = 1  # the age band that begins with 10 years
# Clock hours between which weekend trips start, and how many hours they last: uniform.
TRIP_START_HOURS = (9, 16)
TRIP_HOURS = (1, 7)


@dataclass(frozen=True, eq=False)
class Movement:
    """Where everybody is on one day: in `zone` from `leaves` on and until `returns`, at home otherwise.

    Attributes
    ----------
    day
        The day.
    zone
        Zone of the excursion, the home zone for who has none, int32[person].
    leaves, returns
        Milliseconds elapsed since local midnight, int32[person], both 0 for who stays at home.
    to_work
        Whether excursions of this day lead to work.
    """

    day: LocalDay
    zone: NDArray[np.int32]
    leaves: NDArray[np.int32]
    returns: NDArray[np.int32]
    to_work: bool


def draw_movement(persons: Persons, gravity: Gravity, day: LocalDay, settings: Settings) -> Movement:
    """Draw one day of everybody, with or without a phone. Travel takes no time."""
    rng = stream(settings.seed, Purpose.MOVEMENT, day.date.toordinal())
    draw = _draw_trips if day.is_weekend else _draw_work
    who, goal, leaves, returns = draw(rng, persons, gravity)
    start, end = day.elapsed_ms(leaves), day.elapsed_ms(returns)
    # On a day whose clock is changed in between, a later clock time must not come earlier.
    end = np.minimum(np.maximum(end, start + MINUTE_MS), day.length_ms)
    movement = Movement(
        day,
        zone=persons.home.copy(),
        leaves=np.zeros(persons.size, dtype=np.int32),
        returns=np.zeros(persons.size, dtype=np.int32),
        to_work=not day.is_weekend,
    )
    movement.zone[who], movement.leaves[who], movement.returns[who] = goal, start, end
    return movement


Excursions = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]


def _draw_work(rng: np.random.Generator, persons: Persons, gravity: Gravity) -> Excursions:  # noqa: ARG001 - one shape
    worker = np.flatnonzero(persons.work != NO_WORK)
    who = worker[rng.random(worker.size) >= STAYS_AT_HOME]
    leaves = _clock_ms(rng.normal(*LEAVE_MINUTES, who.size) * MINUTE_MS)
    returns = np.maximum(_clock_ms(rng.normal(*RETURN_MINUTES, who.size) * MINUTE_MS), leaves)
    return who, persons.work[who], leaves, returns


def _draw_trips(rng: np.random.Generator, persons: Persons, gravity: Gravity) -> Excursions:
    who = np.flatnonzero((rng.random(persons.size) < TRIP_SHARE) & (persons.age >= TRIP_FROM_AGE))
    leaves = rng.uniform(*TRIP_START_HOURS, who.size) * HOUR_MS
    lasts = rng.uniform(*TRIP_HOURS, who.size) * HOUR_MS
    goal = gravity.draw_trip_zones(rng, persons.home[who])
    return who, goal, _clock_ms(leaves), _clock_ms(leaves + lasts)


def _clock_ms(milliseconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Keep clock times inside the day."""
    return np.clip(milliseconds, 0, 24 * HOUR_MS - MINUTE_MS).astype(np.int64)
