"""Counts what is true: residents, presence by elapsed hour, moves, and who is with which operators.

Everybody counts, with or without a phone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deploy.demo.simulation.calendar import HOUR_MS
from deploy.demo.simulation.movement import Movement
from deploy.demo.simulation.persons import Persons
from deploy.demo.simulation.phones import NO_OPERATOR, OWNERSHIP, Phones


def phone_owners_expected(register: NDArray[np.int64]) -> NDArray[np.float64]:
    """Phone owners that a survey would expect in each zone of the register, float64[zone]."""
    return np.asarray(register @ np.array(OWNERSHIP), dtype=np.float64)


def presence(persons: Persons, movement: Movement, zones: int) -> NDArray[np.int64]:
    """Persons by zone and elapsed hour, int64[zone, hour].

    A person is where most of the hour is spent; with half an hour at home and half an hour away, where the
    hour began.
    """
    home_count = np.bincount(persons.home, minlength=zones)
    counts = np.repeat(home_count[:, None], movement.day.hours, axis=1).astype(np.int64)
    who = np.flatnonzero(movement.zone != persons.home)
    home, zone = persons.home[who], movement.zone[who]
    leaves, returns = movement.leaves[who], movement.returns[who]
    for hour in range(movement.day.hours):
        start = hour * HOUR_MS
        twice = 2 * (np.minimum(returns, start + HOUR_MS) - np.maximum(leaves, start))
        away = (twice > HOUR_MS) | ((twice == HOUR_MS) & (leaves <= start))
        counts[:, hour] += np.bincount(zone[away], minlength=zones) - np.bincount(home[away], minlength=zones)
    return counts


def moves(persons: Persons, movement: Movement, zones: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Moves between two zones, there and back: pairs origin·zones + destination, ascending, and counts."""
    who = np.flatnonzero(movement.zone != persons.home)
    home, zone = persons.home[who].astype(np.int64), movement.zone[who].astype(np.int64)
    # Everybody is back before the day ends, except where the excursion fills it to the last millisecond.
    back = movement.returns[who] < movement.day.length_ms
    pairs = np.concatenate((home * zones + zone, (zone * zones + home)[back]))
    pair, count = np.unique(pairs, return_counts=True)
    return pair, count.astype(np.int64)


def overlap(phones: Phones, operator_ids: tuple[str, ...]) -> dict[str, int]:
    """Persons by the exact set of their operators: `mno1`, …, `mno1+mno2`, …, and `none`, zeros included."""
    first, second = phones.first.astype(np.int64), phones.second.astype(np.int64)
    second = np.where(second == NO_OPERATOR, first, second)
    low, high = np.minimum(first, second), np.maximum(first, second)
    number = len(operator_ids)
    owner = first != NO_OPERATOR
    table = np.bincount(low[owner] * number + high[owner], minlength=number**2).reshape(number, number)
    sets = {name: int(table[i, i]) for i, name in enumerate(operator_ids)}
    for i, name in enumerate(operator_ids):
        sets |= {f"{name}+{operator_ids[j]}": int(table[i, j]) for j in range(i + 1, number)}
    return sets | {"none": int(np.count_nonzero(~owner))}


def with_districts(
    values: NDArray[np.int64], district: NDArray[np.int64], districts: int
) -> NDArray[np.int64]:
    """Put the sums by district below the values by zone, int64[zone + district, …]."""
    sums = np.zeros((districts, *values.shape[1:]), dtype=np.int64)
    np.add.at(sums, district, values)
    return np.concatenate((values, sums))
