"""Alternating projections end where one system would, and with inequalities at the nearest point."""

from __future__ import annotations

import numpy as np
import pytest

from hub.estimation.constraints import Spread, adjust, sums_by
from hub.estimation.projection import nearest, onto_positive, onto_sums


def test_flows_between_zones_and_between_districts_with_margins_are_least_squares_of_all_three() -> None:
    # Crossed levels: 9 zones in 3 districts; margins by zone, flows by pair of districts.
    rng, zones = np.random.default_rng(11), 9
    origin, goal = np.divmod(np.arange(zones**2), zones)
    pair = 3 * (origin // 3) + goal // 3
    labels = [origin, goal, pair]
    truth, variance = rng.uniform(0, 100, zones**2), rng.uniform(1, 9, zones**2)
    flows = truth + rng.normal(0, 3, truth.size)
    totals = [np.bincount(label, truth).astype(np.float64) for label in labels]
    sets = [onto_sums(label, total, variance) for label, total in zip(labels, totals, strict=True)]
    found = nearest(flows, sets, 1e-12)
    other = adjust(flows, Spread.independent(variance), sums_by(labels), np.concatenate(totals))
    assert found == pytest.approx(other.value, rel=1e-9, abs=1e-9)


def test_with_an_inequality_the_end_is_the_nearest_point_and_not_any_common_one() -> None:
    # Nearest to (−3, 1, 1) with the sum 3 and nothing negative: (0, 3/2, 3/2), though (0, 1, 2) is common too.
    sets = [onto_sums(np.zeros(3, np.int64), np.array([3.0]), np.ones(3)), onto_positive]
    assert nearest(np.array([-3.0, 1.0, 1.0]), sets, 1e-13) == pytest.approx([0, 1.5, 1.5], abs=1e-10)
    # With variances 1, 1 and 3 the last one moves three times as far: 1 + 1/4 and 1 + 3/4.
    sets[0] = onto_sums(np.zeros(3, np.int64), np.array([3.0]), np.array([1.0, 1.0, 3.0]))
    assert nearest(np.array([-3.0, 1.0, 1.0]), sets, 1e-13) == pytest.approx([0, 1.25, 1.75], abs=1e-10)


def test_sets_without_a_common_point_have_no_end() -> None:
    zeros = np.zeros(2, np.int64)
    sets = [onto_sums(zeros, np.array([-1.0]), np.ones(2)), onto_positive]
    with pytest.raises(ValueError, match="contradict"):
        nearest(np.zeros(2), sets, 1e-9, rounds=200)


def test_a_class_that_cannot_move_is_refused() -> None:
    with pytest.raises(ValueError, match="no cell that may change"):
        onto_sums(np.array([0, 0]), np.array([1.0, 2.0]), np.ones(2))
