"""Sums over the operators that answered."""

from __future__ import annotations

import numpy as np
import pytest

from hub.estimation.present import added
from hub.estimation.reconcile import reconcile
from hub.estimation.tree import Tree

#: Two operators, a nation of two zones, two hours.
ANSWERS = np.array(
    [[[30.0, 31.0], [10.0, 11.0], [20.0, 18.0]], [[7.0, np.nan], [3.0, np.nan], [5.0, np.nan]]]
)
VARIANCE = np.array([[[4.0], [1.0], [2.0]], [[9.0], [3.0], [5.0]]])
PRESENT = np.array([[True, True], [True, False]])


def test_those_that_are_there_are_added_and_so_are_their_variances() -> None:
    total, variance = added(ANSWERS, VARIANCE, PRESENT)
    assert total.tolist() == [[37, 31], [13, 11], [25, 18]]
    assert variance.tolist() == [[13, 4], [4, 1], [7, 2]]


def test_an_hour_for_which_nobody_answered_is_not_measured_and_reconciles_to_nothing() -> None:
    total, variance = added(ANSWERS, VARIANCE, np.array([[True, False], [False, False]]))
    assert np.isnan(total[:, 1]).all()
    assert np.isinf(variance[:, 1]).all()
    found = reconcile(Tree(np.array([-1, 0, 0], dtype=np.int64)), total, variance)
    assert np.isfinite(found.value[:, 0]).all()
    assert np.isnan(found.value[:, 1]).all()


def test_a_node_that_one_operator_did_not_measure_is_not_measured() -> None:
    spread = VARIANCE.copy()
    spread[1, 0] = np.inf
    _total, variance = added(ANSWERS, spread, PRESENT)
    assert variance[0].tolist() == [np.inf, 4]


def test_presence_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="presence"):
        added(ANSWERS, VARIANCE, np.ones((2, 3), np.bool_))
    with pytest.raises(ValueError, match="variances"):
        added(ANSWERS, VARIANCE[:, :2], PRESENT)
