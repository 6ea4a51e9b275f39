"""The last step: nothing negative, sums kept, as near as can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.estimation.constraints import sums_by
from hub.estimation.margins import Margin, with_margins
from hub.estimation.nonnegative import floor_cells, floor_table, floor_tree
from hub.estimation.projection import nearest, onto_positive, onto_sums
from hub.estimation.rounding import round_table
from hub.estimation.tree import Tree
from tests.unit.hub.estimation.trees import trees

Values = NDArray[np.float64]
#: A nation of districts A and B, A of three zones, B of one.
FAMILY = Tree(np.array([-1, 0, 0, 1, 1, 1, 2], dtype=np.int64))


def column(*values: float) -> Values:
    return np.array(values, dtype=np.float64)[:, None]


# --- trees ----------------------------------------------------------------------------------------------


def test_what_a_negative_zone_lacked_is_taken_from_its_siblings_by_variance() -> None:
    # A = 7: zones −2, 4 and 5. The 2 come from the variances 1 and 3 of the others: 1/2 and 3/2.
    found = floor_tree(FAMILY, column(10, 7, 3, -2, 4, 5, 3), column(1, 1, 1, 9, 1, 3, 1))
    assert found.value[:, 0] == pytest.approx([10, 7, 3, 0, 3.5, 3.5, 3], rel=1e-14)
    assert found.floored[:, 0].tolist() == [False, False, False, True, False, False, False]


def test_a_zone_that_would_become_negative_by_that_is_zero_too() -> None:
    # −4, 1 and 10: taking 2 from each makes −1, so that the last one gives all 3.
    found = floor_tree(FAMILY, column(10, 7, 3, -4, 1, 10, 3), np.ones((7, 1)))
    assert found.value[:, 0] == pytest.approx([10, 7, 3, 0, 0, 7, 3], rel=1e-14)
    assert found.floored[:, 0].tolist() == [False, False, False, True, True, False, False]


def test_a_negative_district_is_zero_with_all_its_zones_and_the_nation_keeps_its_value() -> None:
    found = floor_tree(FAMILY, column(10, -2, 12, -3, -3, 4, 12), np.ones((7, 1)))
    assert found.value[:, 0] == pytest.approx([10, 0, 10, 0, 0, 0, 10], rel=1e-14)
    assert found.floored[:, 0].tolist() == [False, True, False, True, True, True, False]


def test_a_negative_nation_is_empty() -> None:
    found = floor_tree(FAMILY, column(-1, -4, 3, -6, 1, 1, 3), np.ones((7, 1)))
    assert not found.value.any()
    assert found.floored.all()


def test_a_zone_that_is_known_exactly_gives_only_when_no_other_can() -> None:
    known = floor_tree(FAMILY, column(10, 7, 3, -2, 4, 5, 3), column(1, 1, 1, 9, 0, 3, 1))
    assert known.value[3:6, 0] == pytest.approx([0, 4, 3], abs=1e-4)
    alone = floor_tree(FAMILY, column(10, 7, 3, -2, 9, 0, 3), column(1, 1, 1, 9, 0, 1, 1))
    assert alone.value[3:6, 0] == pytest.approx([0, 7, 0], abs=1e-4)


def test_beside_a_zone_that_is_not_determined_the_others_are_cut_one_by_one() -> None:
    found = floor_tree(FAMILY, column(10, 7, 3, np.nan, np.nan, -5, 3), column(1, 1, 1, np.inf, np.inf, 3, 1))
    assert np.isnan(found.value[3:5]).all()
    assert found.value[[0, 1, 2, 5, 6], 0].tolist() == [10, 7, 3, 0, 3]
    assert found.floored[:, 0].tolist() == [False, False, False, False, False, True, False]


@settings(deadline=None)
@given(tree=trees(16), seed=st.integers(0, 2**32 - 1), centre=st.sampled_from([-3.0, 0.0, 3.0, 30.0]))
def test_trees_add_up_without_negatives_and_what_needed_no_change_has_none(
    tree: Tree, seed: int, centre: float
) -> None:
    rng = np.random.default_rng(seed)
    value = tree.summed(rng.normal(centre, 5, (tree.size, 4)))
    variance = rng.uniform(0, 3, (tree.size, 4))
    found = floor_tree(tree, value, variance)
    assert (found.value >= 0).all()
    assert tree.summed(found.value) == pytest.approx(found.value, rel=1e-9, abs=1e-9)
    assert found.value[0] == pytest.approx(np.maximum(value[0], 0))
    assert (found.floored == ((found.value == 0) & (value != 0))).all()
    positive = (value > 0).all(axis=0)
    assert found.value[:, positive] == pytest.approx(value[:, positive], rel=1e-12)
    again = floor_tree(tree, found.value, variance)
    assert again.value == pytest.approx(found.value, rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(size=st.integers(1, 8), seed=st.integers(0, 2**32 - 1))
def test_a_family_ends_where_alternating_projections_end(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    value, variance = rng.normal(1, 3, size), rng.uniform(0.5, 2, size)
    whole = max(float(value.sum()), 0.5)
    value += (whole - value.sum()) / size
    star = Tree(np.array([-1] + [0] * size, dtype=np.int64))
    found = floor_tree(star, column(whole, *value), column(1, *variance)).value[1:, 0]
    sets = [onto_sums(np.zeros(size, np.int64), np.array([whole]), variance), onto_positive]
    assert found == pytest.approx(nearest(value, sets, 1e-12), abs=1e-8)


# --- tables ---------------------------------------------------------------------------------------------


def test_a_negative_cell_moves_round_a_square_that_keeps_all_margins() -> None:
    # −2 must rise by 2; with equal variances the square (+2, −2, −2, +2) is the only way there is.
    found = floor_table(np.array([[-2.0, 7.0], [5.0, 4.0]]), np.ones((2, 2)))
    assert found.value == pytest.approx(np.array([[0, 5], [3, 6]]), abs=1e-8)
    assert found.floored.tolist() == [[True, False], [False, False]]


def test_a_row_with_a_negative_sum_is_empty_and_the_grand_total_stays() -> None:
    found = floor_table(np.array([[-3.0, 1.0], [5.0, 7.0]]), np.ones((2, 2)))
    assert found.value[0] == pytest.approx([0, 0], abs=1e-8)
    assert found.value.sum() == pytest.approx(10)
    assert found.value.sum(axis=0) == pytest.approx([2, 8])


def test_a_table_of_noise_alone_with_a_negative_sum_is_empty() -> None:
    found = floor_table(np.array([[-3.0, 1.0], [1.0, -1.0]]), np.ones((2, 2)))
    assert found.value == pytest.approx(np.zeros((2, 2)), abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    seed=st.integers(0, 2**32 - 1),
    centre=st.sampled_from([0.3, 2.0, 20.0]),
)
def test_tables_keep_margins_and_obey_the_conditions_of_the_nearest_point(
    shape: tuple[int, int], seed: int, centre: float
) -> None:
    rng = np.random.default_rng(seed)
    value, variance = rng.normal(centre, 4, shape), rng.uniform(0.2, 3, shape)
    rows, columns = rng.uniform(0, centre, shape[0]), rng.uniform(0, centre, shape[1])
    columns *= rows.sum() / columns.sum()
    matrix = sums_by([*np.divmod(np.arange(value.size), shape[1])])
    found = floor_cells(value.ravel(), variance.ravel(), matrix, np.concatenate([rows, columns])).value
    assert (found >= 0).all()
    assert matrix @ found == pytest.approx(np.concatenate([rows, columns]), rel=1e-8, abs=1e-8)
    # Karush-Kuhn-Tucker: (t − x)/v is a row's number plus a column's where t > 0, and no less where t = 0.
    force = (found - value.ravel()) / variance.ravel()
    free = found > 1e-7
    design = matrix.T.toarray()
    numbers = np.linalg.lstsq(design[free], force[free], rcond=None)[0]
    assert design[free] @ numbers == pytest.approx(force[free], abs=1e-5)
    inner = nearest(
        value.ravel(),
        [
            onto_sums(np.arange(value.size) // shape[1], rows, variance.ravel()),
            onto_sums(np.arange(value.size) % shape[1], columns, variance.ravel()),
            onto_positive,
        ],
        1e-9,
        200_000,
    )

    def distance(cells: Values) -> float:
        return float(((cells - value.ravel()) ** 2 / variance.ravel()).sum())

    assert distance(found) == pytest.approx(distance(inner), rel=1e-4, abs=1e-5)


def test_sums_that_no_positive_cells_have_are_refused() -> None:
    with pytest.raises(ValueError, match="negative sum"):
        floor_cells(np.zeros(2), np.ones(2), sums_by([np.zeros(2, np.int64)]), np.array([-1.0]))
    zone, hour = np.divmod(np.arange(4), 2)
    with pytest.raises(ValueError, match="have these sums"):
        floor_cells(np.zeros(4), np.ones(4), sums_by([zone, hour]), np.array([1.0, 2.0, 2.0, 2.0]))


@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 2**32 - 1),
    centre=st.sampled_from([-1.0, 0.0, 0.2, 5.0]),
)
def test_whatever_the_signs_and_however_unequal_the_variances_a_table_has_an_end(
    shape: tuple[int, int], seed: int, centre: float
) -> None:
    rng = np.random.default_rng(seed)
    value = rng.normal(centre, rng.choice([0.1, 1, 100]), shape)
    variance = rng.choice([0.0, 1e-6, 1.0, 1e6], shape)
    found = floor_table(value, variance)
    whole = max(float(value.sum()), 0.0)
    assert (found.value >= 0).all()
    assert found.value.sum() == pytest.approx(whole, rel=1e-6, abs=1e-6)
    for axis in (0, 1):
        sums = value.sum(axis=axis)
        if (sums >= 0).all():
            assert found.value.sum(axis=axis) == pytest.approx(sums, rel=1e-6, abs=1e-6)
    assert (round_table(found.value, rng) >= 0).all()


def test_sparse_flows_under_heavy_noise_keep_the_commuters_of_every_zone() -> None:
    rng, zones = np.random.default_rng(7), 60
    size = rng.lognormal(0, 1.5, zones)
    truth = np.outer(size, size)
    noisy = truth + rng.normal(0, 20, truth.shape)
    exact = Margin(truth.sum(axis=1), 0.0), Margin(truth.sum(axis=0), 0.0)
    table = with_margins(noisy, (np.full(zones, 400.0), np.ones(zones)), *exact)
    found = floor_table(table.value, table.variance)
    assert found.floored.mean() > 0.4
    for axis in (0, 1):
        assert found.value.sum(axis=axis) == pytest.approx(truth.sum(axis=axis), rel=1e-7)
    before, after = (np.abs(cells - truth).mean() for cells in (table.value, found.value))
    assert after < before / 2
