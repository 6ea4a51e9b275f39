"""Any linear constraints: by hand, and against the formula written with whole matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.estimation.constraints import Spread, adjust, sums_by
from hub.estimation.reconcile import reconcile
from hub.estimation.tree import Tree
from tests.unit.hub.estimation.trees import design, trees

Values = NDArray[np.float64]
SUM = np.ones((1, 2))


def test_what_two_cells_lack_of_a_known_total_is_shared_by_their_variances() -> None:
    found = adjust(np.array([10.0, 20.0]), Spread.independent(np.array([1.0, 2.0])), SUM, np.array([33.0]))
    assert found.value == pytest.approx([11, 22], rel=1e-14)
    assert found.variance == pytest.approx([2 / 3, 2 / 3], rel=1e-14)
    assert found.covariance(np.eye(2), SUM) == pytest.approx(np.zeros((2, 1)), abs=1e-14)


def test_a_total_with_an_error_of_its_own_is_met_half_way() -> None:
    # M = 1 + 2 + 3: half of what is lacking is believed.
    found = adjust(
        np.array([10.0, 20.0]),
        Spread.independent(np.array([1.0, 2.0])),
        SUM,
        np.array([36.0]),
        np.array([3.0]),
    )
    assert found.value == pytest.approx([11, 22], rel=1e-14)
    assert found.variance == pytest.approx([1 - 1 / 6, 2 - 4 / 6], rel=1e-14)


def test_a_term_that_cells_share_takes_part_in_the_adjustment() -> None:
    # Σ = I + uu' with u = (1, 3): ((2, 3), (3, 10)). ΣA' = (5, 13), M = 18; 18 are lacking.
    spread = Spread(np.ones(2), np.array([[1.0], [3.0]]))
    found = adjust(np.array([10.0, 20.0]), spread, SUM, np.array([48.0]))
    assert found.value == pytest.approx([15, 33], rel=1e-14)
    assert found.variance == pytest.approx([2 - 25 / 18, 10 - 169 / 18], rel=1e-13)
    assert found.covariance(np.eye(2), np.eye(2)) == pytest.approx(
        np.array([[11, -11], [-11, 11]]) / 18, rel=1e-13
    )


def test_hours_and_zones_meet_the_national_sum_of_each_hour_and_the_daily_sum_of_each_zone() -> None:
    # Two zones × two hours of variance 1. Zones lack 4 and 0, hours 2 and 2: cells get half of what their zone lacks
    # beyond the mean, 1 and −1, and a quarter of what all lack, 1.
    counts = np.array([[10.0, 20.0], [30.0, 40.0]])
    zone, hour = np.divmod(np.arange(4), 2)
    found = adjust(
        counts.ravel(),
        Spread.independent(np.ones(4)),
        sums_by([zone, hour]),
        np.array([34.0, 70.0, 42.0, 62.0]),
    )
    assert found.value == pytest.approx([12, 22, 30, 40], rel=1e-13)
    # Margins tell all of the table but one of its four parts, which has a quarter of each cell's variance.
    assert found.variance == pytest.approx(np.full(4, 1 / 4), rel=1e-13)


def test_a_total_that_is_not_known_says_nothing() -> None:
    zone = np.array([0, 0, 1, 1])
    value, spread = np.arange(4.0), Spread.independent(np.ones(4))
    with_it = adjust(value, spread, sums_by([zone]), np.array([3.0, np.nan]), np.array([0.0, np.inf]))
    assert with_it.value == pytest.approx([1, 2, 2, 3], rel=1e-14)
    assert with_it.variance.tolist() == pytest.approx([0.5, 0.5, 1, 1])
    nothing = adjust(value, spread, sums_by([zone]), np.full(2, np.nan), np.full(2, np.inf))
    assert nothing.value.tolist() == value.tolist()
    assert nothing.variance.tolist() == [1, 1, 1, 1]


def test_cells_of_no_class_stay_as_they_are() -> None:
    found = adjust(
        np.arange(3.0), Spread.independent(np.ones(3)), sums_by([np.array([0, -1, 0])]), np.array([4.0])
    )
    assert found.value == pytest.approx([1, 1, 3], rel=1e-14)
    assert found.variance == pytest.approx([0.5, 1, 0.5], rel=1e-14)


def test_exact_totals_that_contradict_each_other_are_refused() -> None:
    zone, hour = np.divmod(np.arange(4), 2)
    matrix, spread = sums_by([zone, hour]), Spread.independent(np.ones(4))
    with pytest.raises(ValueError, match="contradict"):
        adjust(np.zeros(4), spread, matrix, np.array([1.0, 2.0, 3.0, 1.0]))
    # With an error in each of them they only disagree.
    found = adjust(np.zeros(4), spread, matrix, np.array([1.0, 2.0, 3.0, 1.0]), np.ones(4))
    assert np.isfinite(found.value).all()


def test_a_total_of_cells_that_are_all_exact_is_held_against_them() -> None:
    spread = Spread.independent(np.zeros(2))
    assert adjust(np.array([1.0, 2.0]), spread, SUM, np.array([3.0])).value.tolist() == [1, 2]
    with pytest.raises(ValueError, match="contradict"):
        adjust(np.array([1.0, 2.0]), spread, SUM, np.array([4.0]))


@pytest.mark.parametrize(
    ("value", "own", "total", "noise", "said"),
    [
        ([1, 2, 3], [1, 1], [1], [0], "cells"),
        ([1, 2], [1, 1], [1, 1], [0], "totals"),
        ([1, np.nan], [1, 1], [1], [0], "not finite"),
        ([1, 2], [1, np.inf], [1], [0], "not finite"),
        ([1, 2], [1, 1], [np.nan], [0], "not finite"),
        ([1, 2], [1, -1], [1], [0], "negative"),
        ([1, 2], [1, 1], [1], [-1], "negative"),
        ([1, 2], [1, 1], [1], [np.nan], "no number"),
    ],
)
def test_what_cannot_be_adjusted_is_refused(
    value: object, own: object, total: object, noise: object, said: str
) -> None:
    arrays = [np.array(entries, dtype=np.float64) for entries in (value, own, total, noise)]
    with pytest.raises(ValueError, match=said):
        adjust(arrays[0], Spread.independent(arrays[1]), SUM, arrays[2], arrays[3])


@settings(deadline=None, max_examples=120)
@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    seed=st.integers(0, 2**32 - 1),
    terms=st.integers(0, 2),
    chances=st.sampled_from([(1.0, 0.0, 0.0), (0.4, 0.3, 0.3), (0.0, 1.0, 0.0)]),
    exact_cells=st.sampled_from([0.0, 0.2]),
)
def test_values_and_covariances_are_those_of_the_formula_with_whole_matrices(
    shape: tuple[int, int], seed: int, terms: int, chances: tuple[float, ...], exact_cells: float
) -> None:
    rng, cells = np.random.default_rng(seed), shape[0] * shape[1]
    own, shared = rng.uniform(0.5, 4, cells), rng.normal(size=(cells, terms))
    own[rng.random(cells) < exact_cells] = 0.0
    row, column = np.divmod(np.arange(cells), shape[1])
    matrix = sums_by([row, column, np.zeros(cells, np.int64)])
    noise = rng.choice([0.0, 1.3, np.inf], matrix.shape[0], p=chances)
    known = np.isfinite(noise)
    value = rng.normal(5, 5, (cells, 2))
    # Exact totals must be possible: those of other cells with the same errors.
    truth = (
        value + np.sqrt(own)[:, None] * rng.normal(size=value.shape) + shared @ rng.normal(size=(terms, 2))
    )
    wrong = np.sqrt(np.where(known, noise, 0.0))[:, None] * rng.normal(size=(noise.size, 2))
    totals = matrix @ truth + wrong
    found = adjust(value, Spread(own, shared), matrix, totals, noise)
    dense, sigma = matrix.toarray()[known], np.diag(own) + shared @ shared.T
    gain = sigma @ dense.T @ np.linalg.pinv(dense @ sigma @ dense.T + np.diag(noise[known]), rcond=1e-10)
    left = sigma - gain @ dense @ sigma
    assert found.value == pytest.approx(value - gain @ (dense @ value - totals[known]), rel=1e-6, abs=1e-6)
    assert found.variance == pytest.approx(left.diagonal(), rel=1e-7, abs=1e-7)
    assert found.covariance(np.eye(cells), np.eye(cells)) == pytest.approx(left, rel=1e-7, abs=1e-7)
    assert (found.variance <= sigma.diagonal() * (1 + 1e-12)).all()
    if not noise.any():
        again = adjust(found.value, Spread(own, shared), matrix, totals)
        assert again.value == pytest.approx(found.value, rel=1e-9, abs=1e-8)


@settings(deadline=None, max_examples=60)
@given(tree=trees(12), seed=st.integers(0, 2**32 - 1))
def test_a_tree_as_constraints_is_the_tree_in_two_passes(tree: Tree, seed: int) -> None:
    rng = np.random.default_rng(seed)
    measured, spread = rng.normal(0, 100, (tree.size, 3)), rng.uniform(0.1, 10, (tree.size, 1))
    found = reconcile(tree, measured, spread)
    whole = design(tree)[~tree.leaves]
    leaves, above = measured[tree.leaves], measured[~tree.leaves]
    other = adjust(leaves, Spread.independent(spread[tree.leaves, 0]), whole, above, spread[~tree.leaves, 0])
    # A root that is a leaf has nothing above it.
    assert other.value == pytest.approx(found.value[tree.leaves], rel=1e-8, abs=1e-8)
    assert other.variance == pytest.approx(found.variance[tree.leaves, 0], rel=1e-8)
