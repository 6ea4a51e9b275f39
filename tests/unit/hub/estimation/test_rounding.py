"""Controlled rounding: exactly additive, floor or ceiling everywhere, and right in expectation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.estimation.nonnegative import floor_tree
from hub.estimation.reconcile import reconcile
from hub.estimation.rounding import LARGEST, round_table, round_tree
from hub.estimation.tree import Tree, area_tree
from quorate.contract.zoning import ZONE
from tests.belgium import belgium_zoning
from tests.unit.hub.estimation.trees import trees

Values = NDArray[np.float64]
TWO = Tree(np.array([-1, 0, 0], dtype=np.int64))
DRAWS = 40_000


def leaves_of(tree: Tree, seed: int, columns: int, whole: float) -> Values:
    """Return values of all nodes, of which some are whole numbers; some are negative."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 20, (tree.size, columns))
    return tree.summed(np.where(rng.random(values.shape) < whole, np.rint(values), values))


def between(found: NDArray[np.int64], value: Values) -> bool:
    """Tell whether every number is the floor or the ceiling of its value, up to what arithmetic loses."""
    whole = np.rint(value)
    value = np.where(np.abs(value - whole) < 1e-7, whole, value)
    return bool(((found == np.floor(value)) | (found == np.ceil(value))).all())


# --- trees ----------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(tree=trees(20), seed=st.integers(0, 2**32 - 1), whole=st.sampled_from([0.0, 0.5, 1.0]))
def test_on_a_tree_parents_are_exactly_their_childrens_sums_and_every_node_is_floor_or_ceiling(
    tree: Tree, seed: int, whole: float
) -> None:
    value = leaves_of(tree, seed, 3, whole)
    found = round_tree(tree, value, np.random.default_rng(seed))
    assert found.dtype == np.int64
    assert (tree.summed(found) == found).all()
    assert (np.abs(found - value) < 1).all()
    assert between(found, value)
    assert round_tree(tree, value, np.random.default_rng(seed)).tolist() == found.tolist()
    assert round_tree(tree, found.astype(np.float64), np.random.default_rng(1)).tolist() == found.tolist()


def test_every_node_of_a_tree_goes_up_with_the_probability_of_its_fraction() -> None:
    tree = Tree(np.array([-1, 0, 0, 0, 1, 1, 2, 3, 3, 3], dtype=np.int64))
    leaves = np.zeros((10, 1))
    leaves[4:, 0] = [0.25, 2.5, -1.7, 0.3, 0.3, 0.3]
    value = tree.summed(leaves)
    found = round_tree(tree, np.repeat(value, DRAWS, axis=1), np.random.default_rng(4))
    # Six standard errors of a share, which are at most 1/(2·√draws).
    assert found.mean(axis=1) == pytest.approx(value[:, 0], abs=3 / np.sqrt(DRAWS))
    # Also sums that are nobody's parent are right: two of the three small cells, and cells of two families.
    assert (found[7] + found[8]).mean() == pytest.approx(0.6, abs=6 / np.sqrt(DRAWS))
    assert (found[5] + found[9]).mean() == pytest.approx(2.8, abs=6 / np.sqrt(DRAWS))


def test_zones_of_half_a_person_are_one_up_and_one_down() -> None:
    found = round_tree(TWO, np.array([[1.0], [0.5], [0.5]]).repeat(500, axis=1), np.random.default_rng(0))
    assert found[0].tolist() == [1] * 500
    assert found[1:].sum(axis=0).tolist() == [1] * 500
    assert 150 < found[1].sum() < 350


def test_a_sum_that_is_whole_but_for_arithmetic_is_that_number() -> None:
    # .1 + .2 is not .3 and ten times .1 is not 1.
    tree = Tree(np.array([-1, *[0] * 10], dtype=np.int64))
    value = tree.summed(np.full((11, 2_000), 0.1))
    assert (round_tree(tree, value, np.random.default_rng(2))[0] == 1).all()


def test_a_country_of_one_zone_and_no_columns_are_rounded_too() -> None:
    one = Tree(np.array([-1], dtype=np.int64))
    assert round_tree(one, np.array([[7.0, -7.0]]), np.random.default_rng(0)).tolist() == [[7, -7]]
    assert round_tree(TWO, np.zeros((3, 0)), np.random.default_rng(0)).shape == (3, 0)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([[3.0], [1.0], [1.0]], "do not add up"),
        ([[np.nan], [1.0], [1.0]], "not finite"),
        ([[2 * LARGEST], [LARGEST], [LARGEST]], "larger"),
        ([[1.0], [1.0]], "nodes"),
    ],
)
def test_what_does_not_add_up_is_not_rounded(value: list[list[float]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        round_tree(TWO, np.array(value), np.random.default_rng(0))


@pytest.mark.parametrize("hours", [23, 24, 25])
def test_every_hour_of_a_day_of_belgium_is_published_without_negatives_and_adds_up(hours: int) -> None:
    rng, zoning = np.random.default_rng(hours), belgium_zoning()
    areas = area_tree(zoning, zoning.levels)
    tree = areas.tree
    truth = tree.summed(rng.poisson(30, (tree.size, hours)).astype(np.float64))
    reconciled = reconcile(tree, truth + rng.normal(0, 50, truth.shape), np.full((tree.size, 1), 2500.0))
    floored = floor_tree(tree, reconciled.value, reconciled.variance)
    published = round_tree(tree, floored.value, rng)
    assert (reconciled.value < 0).any()
    assert (published >= 0).all()
    assert published.shape == (1 + 3 + 10 + 43 + 589, hours)
    for level in zoning.levels:
        for area, zones in zip(areas.rows[level], zoning.members(level).values(), strict=True):
            assert (published[areas.rows[ZONE][zones]].sum(axis=0) == published[area]).all()
    assert (published[areas.rows["region"]].sum(axis=0) == published[0]).all()
    assert np.abs(published - floored.value).max() < 1
    positive = reconciled.value[0] > 0
    assert np.abs(published[0] - reconciled.value[0])[positive].max() < 1


# --- two-way tables -------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 2**32 - 1),
    whole=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_cells_rows_columns_and_the_whole_table_are_floor_or_ceiling_of_theirs(
    shape: tuple[int, int], seed: int, whole: float
) -> None:
    rng = np.random.default_rng(seed)
    value = rng.normal(0, 20, shape)
    value = np.where(rng.random(shape) < whole, np.rint(value), value)
    found = round_table(value, np.random.default_rng(seed))
    assert found.dtype == np.int64
    for axis in (0, 1, None):
        assert between(found.sum(axis=axis), value.sum(axis=axis))
    assert between(found, value)
    assert (np.abs(found - value) < 1).all()
    assert round_table(value, np.random.default_rng(seed)).tolist() == found.tolist()
    assert round_table(found.astype(np.float64), np.random.default_rng(1)).tolist() == found.tolist()


def test_beginnings_of_rows_and_columns_are_never_a_person_off() -> None:
    value = np.random.default_rng(8).uniform(0, 3, (40, 60))
    error = round_table(value, np.random.default_rng(9)) - value
    for axis in (0, 1):
        assert np.abs(np.cumsum(error, axis=axis)).max() < 1


def test_a_table_with_one_half_everywhere_has_one_in_each_row_and_column() -> None:
    seen = {
        tuple(round_table(np.full((2, 2), 0.5), np.random.default_rng(seed)).ravel().tolist())
        for seed in range(50)
    }
    assert seen == {(1, 0, 0, 1), (0, 1, 1, 0)}


def test_every_cell_and_every_sum_of_cells_is_right_in_expectation() -> None:
    value = np.array([[0.3, 0.3, 0.3], [1.25, -0.5, 0.1], [0.7, 0.9, 2.05]])
    # Many tables in one, with rows, columns and zeros of their own.
    rng, copies, draws = np.random.default_rng(6), 100, 40
    whole = np.kron(np.eye(copies), value)
    found = np.stack(
        [
            round_table(whole, rng).reshape(copies, 3, copies, 3).diagonal(axis1=0, axis2=2)
            for _ in range(draws)
        ]
    )
    mean = found.mean(axis=(0, 3))
    assert found.shape == (draws, 3, 3, copies)
    assert mean == pytest.approx(value, abs=3 / np.sqrt(copies * draws))
    assert mean.trace() == pytest.approx(0.3 - 0.5 + 2.05, abs=9 / np.sqrt(copies * draws))


def test_tables_of_one_row_and_of_thirds_keep_whole_sums() -> None:
    for rows, columns in product((1, 3), (3, 6)):
        value = np.full((rows, columns), 1 / 3)
        for seed in range(10):
            found = round_table(value, np.random.default_rng(seed))
            assert found.sum(axis=1).tolist() == [columns // 3] * rows
            assert rows == 1 or found.sum(axis=0).tolist() == [1] * columns


def test_a_full_table_of_flows_between_all_municipalities_is_rounded() -> None:
    rng = np.random.default_rng(3)
    value = rng.exponential(2, (589, 589))
    found = round_table(value, rng)
    assert np.abs(found - value).max() < 1
    for axis in (0, 1, None):
        assert between(found.sum(axis=axis), value.sum(axis=axis))


def test_a_table_that_is_not_finite_is_not_rounded() -> None:
    with pytest.raises(ValueError, match="not finite"):
        round_table(np.array([[np.nan]]), np.random.default_rng(0))
