"""The model of a table: what it finds without noise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hub.estimation.od_model import at_least, expected, rated
from hub.estimation.od_table import Counted

Values = NDArray[np.float64]
PERSONS = np.array([1000.0, 2000.0, 3000.0, 4000.0])


def table(between: Values) -> Counted:
    """Return counts of which a tenth of the persons leaves, half stays, and a twentieth has no destination."""
    cells = np.concatenate([between, 0.05 * PERSONS[:, None]], axis=1)
    cells[np.arange(4), np.arange(4)] = 0.5 * PERSONS
    return Counted(cells, 0.0)


def scaled(between: Values) -> Values:
    off = between * (1 - np.eye(4))
    return np.asarray(off * (0.1 * PERSONS / off.sum(axis=1))[:, None])


def test_counts_without_a_pattern_of_pairs_are_found_again() -> None:
    # Whoever leaves goes to another zone by its attraction alone: quasi-independence.
    counted = table(scaled(np.tile([5.0, 1.0, 2.0, 4.0], (4, 1))))
    assert expected(counted, PERSONS).mean == pytest.approx(counted.cells, rel=1e-6)


def test_with_distances_a_decline_is_found_again() -> None:
    distance = np.array([[0.0, 1, 9, 9], [1, 0, 9, 9], [9, 9, 0, 1], [9, 9, 1, 0]])
    between = np.outer(np.ones(4), [5.0, 1.0, 2.0, 4.0]) * np.where(distance > 5, 0.2, 1.0)
    counted = table(scaled(between))
    assert expected(counted, PERSONS, distance).mean == pytest.approx(counted.cells, rel=1e-3)
    plain = expected(counted, PERSONS).mean
    assert np.abs(plain - counted.cells).max() > 20


def test_known_arrivals_take_the_place_of_counted_ones() -> None:
    counted = table(scaled(np.tile([5.0, 1.0, 2.0, 4.0], (4, 1))))
    found = expected(counted, PERSONS, arriving=np.array([np.nan, 600.0, np.nan, np.nan]))
    assert found.mean[[0, 2, 3], 1].sum() > 2 * counted.cells[[0, 2, 3], 1].sum()


def test_a_zone_in_which_nobody_lives_can_draw_others() -> None:
    persons = np.array([1000.0, 0.0, 3000.0])
    cells = np.array([[500.0, 80.0, 20.0, 0.0], [0.0] * 4, [30.0, 240.0, 1500.0, 0.0]])
    found = expected(Counted(cells, 0.0), persons).mean
    assert found[0, 1] > 50
    assert not found[1].any()


def test_a_sum_within_its_noise_is_not_taken_for_nothing() -> None:
    assert at_least(-50.0, 400.0) == (20.0, 1.0)
    assert at_least(200.0, 400.0) == (200.0, 0.01)
    assert at_least(0.0, 0.0) == (0.0, 0.0)


def test_sums_of_small_zones_lean_on_the_rate_and_those_of_large_ones_stand() -> None:
    persons = np.append(np.full(40, 100.0), 1e6)
    chance = np.random.default_rng(1)
    sums = 0.2 * persons + chance.normal(0, 200, 41)
    found, error = rated(sums, 200.0**2, persons)
    assert np.abs(found[:40] - 20).max() < np.abs(sums[:40] - 20).max() / 5
    assert found[40] == pytest.approx(sums[40], rel=0.01)
    assert error[40] < 1e-4
    assert np.all(found > 0)
