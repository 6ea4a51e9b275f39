"""Two-pass least squares on trees: by hand, in exact fractions, and against the textbook's matrices."""

from __future__ import annotations

from fractions import Fraction
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.estimation import tree as module
from hub.estimation.combine import combine, membership_of
from hub.estimation.reconcile import Reconciled, reconcile
from hub.estimation.tree import PIECE, Tree, area_tree
from privacy.noise import noise_of, variance
from quorate.contract.zoning import ZONE
from tests.belgium import belgium_zoning
from tests.support_hub import measured as asked_of
from tests.unit.hub.estimation.trees import exact, textbook, trees

Values = NDArray[np.float64]
#: A nation of two zones.
TWO = Tree(np.array([-1, 0, 0], dtype=np.int64))
#: A nation of districts A and B, A of two zones, B of one.
THREE = Tree(np.array([-1, 0, 0, 1, 1, 2], dtype=np.int64))


def of(tree: Tree, measured: object, variances: object) -> Reconciled:
    """Reconcile one column."""
    return reconcile(
        tree, *(np.array(entries, dtype=np.float64)[:, None] for entries in (measured, variances))
    )


def unit(tree: Tree, *nodes: int) -> Values:
    """Return the weights of a sum of nodes."""
    return np.isin(np.arange(tree.size), nodes).astype(np.float64)[:, None]


# --- by hand --------------------------------------------------------------------------------------------


def test_a_nation_of_two_zones_worked_out_by_hand() -> None:
    # Zones of variance 4 say 10 + 20, the nation of variance 16 says 36. k = 8/(8 + 16): 30 + 6/3 = 32 with the
    # variance 16/3. Each zone takes half of 2, and has 4·1/2 + 16/3·1/4 = 10/3.
    found = of(TWO, [36, 10, 20], [16, 4, 4])
    assert found.value[:, 0] == pytest.approx([32, 11, 21], rel=1e-14)
    assert found.variance[:, 0] == pytest.approx([16 / 3, 10 / 3, 10 / 3], rel=1e-14)
    # Of the sum 16/3 = 2·10/3 + 2c.
    assert found.covariance(unit(TWO, 1), unit(TWO, 2)) == pytest.approx([-2 / 3], rel=1e-14)
    assert found.variance_of(unit(TWO, 1, 2)) == pytest.approx([16 / 3], rel=1e-14)


def test_three_depths_in_fractions_worked_out_by_hand() -> None:
    # A: zones 1 and 2 of variance 1 say 4 + 5, A of variance 2 says 11: k = 1/2, so 10 of variance 1.
    # B: its zone of variance 2 says 6, B of variance 2 says 4: 5 of variance 1.
    # Nation of variance 2 says 17 against 15 of variance 2: 16 of variance 1. A and B take 1/2 each: 21/2, 11/2,
    # variance 1·1/2 + 1/4·1 = 3/4. Zones of A: 4 + 1/2·(21/2 − 9) = 19/4 and 23/4, variance 1/2 + 1/4·3/4 = 11/16.
    found = of(THREE, [17, 11, 4, 4, 5, 6], [2, 2, 2, 1, 1, 2])
    fractions = [
        Fraction(16),
        Fraction(21, 2),
        Fraction(11, 2),
        Fraction(19, 4),
        Fraction(23, 4),
        Fraction(11, 2),
    ]
    assert found.value[:, 0].tolist() == [float(fraction) for fraction in fractions]
    assert found.variance[:, 0].tolist() == [1, 3 / 4, 3 / 4, 11 / 16, 11 / 16, 3 / 4]
    # Districts: 1 = 3/4 + 3/4 + 2c.
    assert found.covariance(unit(THREE, 1), unit(THREE, 2)).tolist() == [-1 / 4]
    # A zone of A moves with A by half: its covariance with B is half of that.
    assert found.covariance(unit(THREE, 3), unit(THREE, 5)).tolist() == [-1 / 8]


def test_a_national_total_that_is_known_is_met_and_the_rest_is_shared_by_variance() -> None:
    found = of(TWO, [100, 40, 50], [0, 1, 3])
    assert found.value[:, 0].tolist() == [100, 42.5, 57.5]
    assert found.variance[:, 0].tolist() == [0, 0.75, 0.75]


def test_a_zone_that_is_known_exactly_does_not_move() -> None:
    found = of(TWO, [100, 40, 50], [1, 0, 3])
    assert found.value[:, 0].tolist() == [97.5, 40, 57.5]
    assert found.variance[:, 0].tolist() == [0.75, 0, 0.75]


def test_parts_that_are_all_exact_are_the_whole() -> None:
    found = of(TWO, [100, 40, 50], [1, 0, 0])
    assert found.value[:, 0].tolist() == [90, 40, 50]
    assert found.variance[:, 0].tolist() == [0, 0, 0]
    assert of(TWO, [90, 40, 50], [0, 0, 0]).value[:, 0].tolist() == [90, 40, 50]


def test_exact_values_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="contradict"):
        of(TWO, [91, 40, 50], [0, 0, 0])


# --- not measured ---------------------------------------------------------------------------------------


def test_the_only_zone_that_was_not_measured_is_the_rest_of_its_parent() -> None:
    # The other zone learns nothing: whatever it says, the missing one takes the difference.
    found = of(TWO, [10, 3, np.nan], [1, 2, np.inf])
    assert found.value[:, 0].tolist() == [10, 3, 7]
    assert found.variance[:, 0].tolist() == [1, 2, 3]
    assert found.covariance(unit(TWO, 1), unit(TWO, 2)).tolist() == [-2]
    assert found.variance_of(unit(TWO, 1, 2)).tolist() == [1]


def test_a_parent_that_was_not_measured_is_the_sum_of_its_children() -> None:
    found = of(THREE, [np.inf, np.nan, 4, 4, 5, 6], [np.inf, np.inf, 2, 1, 1, 2])
    assert found.value[:, 0].tolist() == [14, 9, 5, 4, 5, 5]
    assert found.variance[:, 0].tolist() == [3, 2, 1, 1, 1, 1]


def test_of_two_zones_that_were_not_measured_nothing_is_said_and_their_parent_is() -> None:
    found = of(THREE, [20, 12, np.nan, np.nan, np.nan, np.nan], [1, 1, *[np.inf] * 4])
    assert found.value[[0, 1, 2, 5], 0].tolist() == [20, 12, 8, 8]
    assert found.variance[[0, 1, 2, 5], 0].tolist() == [1, 1, 2, 2]
    assert np.isnan(found.value[3:5]).all()
    assert np.isinf(found.variance[3:5]).all()
    assert np.isinf(found.variance_of(unit(THREE, 3)))
    assert np.isnan(found.covariance(unit(THREE, 3), unit(THREE, 1)))


def test_a_tree_of_which_nothing_was_measured_says_nothing() -> None:
    found = of(THREE, [0] * 6, [np.inf] * 6)
    assert np.isnan(found.value).all()
    assert np.isinf(found.variance).all()


def test_a_day_in_which_an_operator_is_missing_has_its_own_variances() -> None:
    both = np.array([[16.0, np.inf], [4.0, 1.0], [4.0, 3.0]])
    found = reconcile(TWO, np.array([[36.0, np.nan], [10.0, 10.0], [20.0, 20.0]]), both)
    assert found.value.T.tolist() == [pytest.approx([32, 11, 21]), [30, 10, 20]]
    assert found.variance.T.tolist() == [pytest.approx([16 / 3, 10 / 3, 10 / 3]), [4, 1, 3]]


# --- edges ----------------------------------------------------------------------------------------------


def test_a_country_of_one_zone_is_the_weighted_mean_of_both_measurements() -> None:
    found = of(Tree(np.array([-1, 0], dtype=np.int64)), [10, 20], [1, 3])
    assert found.value[:, 0].tolist() == [12.5, 12.5]
    assert found.variance[:, 0].tolist() == [0.75, 0.75]
    assert of(Tree(np.array([-1], dtype=np.int64)), [10], [1]).value.tolist() == [[10]]


def test_all_noise_and_negative_sums_come_through_signed() -> None:
    found = of(TWO, [-9, -5, 2], [2, 1, 1])
    assert found.value[:, 0].tolist() == [-6, -6.5, 0.5]


@pytest.mark.parametrize("hours", [23, 24, 25])
def test_every_hour_of_a_short_or_long_day_is_reconciled_for_itself(hours: int) -> None:
    rng = np.random.default_rng(hours)
    counts, spread = rng.normal(0, 9, (6, hours)), rng.uniform(1, 5, (6, 1))
    whole = reconcile(THREE, counts, spread)
    assert whole.value.shape == (6, hours)
    assert whole.variance.shape == (6, 1)
    for hour in range(hours):
        assert whole.value[:, hour].tolist() == of(THREE, counts[:, hour], spread[:, 0]).value[:, 0].tolist()


@pytest.mark.parametrize(
    ("measured", "variances", "said"),
    [
        ([1, 2], [1, 1], "3 nodes"),
        ([1, 2, 3], [1, 1, -1], "negative"),
        ([1, 2, 3], [1, 1, np.nan], "no number"),
        ([1, np.nan, 3], [1, 1, 1], "not finite"),
        ([1, np.inf, 3], [1, 1, 1], "not finite"),
    ],
)
def test_what_cannot_be_reconciled_is_refused(measured: object, variances: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        of(TWO, measured, variances)


def test_values_without_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="column for every hour"):
        reconcile(TWO, np.ones(3), np.ones(3))


# --- against other means --------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(tree=trees(9), data=st.data())
def test_values_and_covariances_are_those_of_the_normal_equations_in_fractions(
    tree: Tree, data: st.DataObject
) -> None:
    def drawn(low: int, high: int) -> list[Fraction]:
        numbers = st.integers(low, high)
        return [
            Fraction(number, 4)
            for number in data.draw(st.lists(numbers, min_size=tree.size, max_size=tree.size))
        ]

    measured, spread = drawn(-4000, 4000), drawn(1, 400)
    values, covariance = exact(tree, measured, spread)
    found = of(tree, measured, spread)
    assert found.value[:, 0] == pytest.approx([float(value) for value in values], rel=1e-9, abs=1e-9)
    for node in range(tree.size):
        assert found.variance[node, 0] == pytest.approx(float(covariance[node][node]), rel=1e-9)
        for other in range(tree.size):
            said = found.covariance(unit(tree, node), unit(tree, other))
            assert said == pytest.approx([float(covariance[node][other])], rel=1e-9, abs=1e-10)


@settings(deadline=None, max_examples=150)
@given(tree=trees(14), seed=st.integers(0, 2**32 - 1), missing=st.floats(0, 1))
def test_whatever_is_missing_the_determined_nodes_are_the_textbooks_and_no_others_are_told(
    tree: Tree, seed: int, missing: float
) -> None:
    rng = np.random.default_rng(seed)
    measured, spread = rng.normal(0, 100, tree.size), rng.uniform(0.1, 10, tree.size)
    spread[rng.random(tree.size) < missing] = np.inf
    values, covariance, told = textbook(tree, measured, spread)
    found = of(tree, np.where(np.isinf(spread), np.nan, measured), spread)
    assert np.isfinite(found.variance[:, 0]).tolist() == told.tolist()
    assert np.isfinite(found.value[:, 0]).tolist() == told.tolist()
    assert found.value[told, 0] == pytest.approx(values[told], rel=1e-7, abs=1e-7)
    assert found.variance[told, 0] == pytest.approx(covariance.diagonal()[told], rel=1e-7, abs=1e-9)
    weights = np.where(told, rng.normal(size=(2, tree.size)), 0.0)
    said = found.covariance(*(row[:, None] for row in weights))
    assert said == pytest.approx([weights[0] @ covariance @ weights[1]], rel=1e-6, abs=1e-7)


@settings(deadline=None)
@given(tree=trees(14), seed=st.integers(0, 2**32 - 1))
def test_children_add_up_a_second_time_changes_nothing_and_no_variance_grows(tree: Tree, seed: int) -> None:
    rng = np.random.default_rng(seed)
    measured, spread = rng.normal(0, 100, (tree.size, 4)), rng.uniform(0.1, 10, (tree.size, 4))
    spread[rng.random((tree.size, 4)) < 0.2] = np.inf
    found = reconcile(tree, measured, spread)
    assert (found.variance <= spread * (1 + 1e-12)).all()
    whole = np.nan_to_num(found.value)
    complete = np.isfinite(found.value).all(axis=0)
    assert tree.summed(whole)[:, complete] == pytest.approx(whole[:, complete], rel=1e-10, abs=1e-9)
    again = reconcile(tree, found.value, np.where(np.isinf(found.variance), np.inf, spread))
    assert np.nan_to_num(again.value) == pytest.approx(whole, rel=1e-9, abs=1e-9)


def test_a_tree_of_several_pieces_is_that_of_one() -> None:
    rng, size = np.random.default_rng(2), 3 * PIECE
    tree = Tree(np.append(-1, np.sort(rng.integers(0, np.arange(1, size) // 9 + 1))).astype(np.int64))
    measured, spread = rng.normal(0, 100, (size, 2)), rng.uniform(0.1, 10, (size, 1))
    found = reconcile(tree, measured, spread)
    with patch.object(module, "PIECE", size):
        whole = Tree(tree.parent)
        assert len(whole.families) < len(tree.families)
    assert found.value.tolist() == reconcile(whole, measured, spread).value.tolist()
    assert tree.summed(found.value) == pytest.approx(found.value, rel=1e-9, abs=1e-6)


def test_errors_that_are_simulated_have_mean_zero_and_the_variances_that_are_said() -> None:
    draws, rng = 20_000, np.random.default_rng(5)
    truth = THREE.summed(np.array([[0.0], [0], [0], [7], [0], [-3]]))
    spread = np.array([[4.0], [2], [9], [1], [6], [3]])
    found = reconcile(THREE, truth + np.sqrt(spread) * rng.standard_normal((6, draws)), spread)
    error = found.value - truth
    assert np.abs(error.mean(axis=1) / np.sqrt(found.variance[:, 0])).max() < 5 / np.sqrt(draws)
    # The relative standard error of a variance from n normal draws is √(2/n), here 1 %.
    assert (error**2).mean(axis=1) == pytest.approx(found.variance[:, 0], rel=5 * np.sqrt(2 / draws))


def test_the_levels_of_a_release_give_the_counts_of_zones_and_the_noise_that_the_hub_publishes() -> None:
    zoning, scales = belgium_zoning(), {ZONE: 40_000, "district": 25_000, "province": 30_000}
    keyset, _zoning, terms = asked_of(zoning, 2, scales)
    vector = np.random.default_rng(3).integers(
        0, 9_000, sum(2 * (len(zoning.members(name)) + 1) for name in scales)
    )
    combined = combine([vector], keyset, zoning, terms)
    areas = area_tree(zoning, tuple(scales))
    counts, spread = np.zeros((areas.tree.size, 2)), np.full((areas.tree.size, 1), np.inf)
    for name, place, shape in keyset.parts():
        counts[areas.rows[name]] = vector[place].reshape(shape)[:-1]
        spread[areas.rows[name]] = variance(noise_of(terms.mechanism, scales[name]))
    found = reconcile(areas.tree, counts, spread)
    assert found.value[areas.rows[ZONE]] == pytest.approx(combined.zones, rel=1e-8, abs=1e-6)
    regions = list(zoning.members("region").values())
    weights = np.zeros((areas.tree.size, len(regions)))
    for region, zones in enumerate(regions):
        weights[areas.rows[ZONE][zones], region] = 1.0
    said = combined.noise_of(membership_of(regions, 589))
    assert found.variance_of(weights) == pytest.approx(said[0], rel=1e-8)
    assert found.covariance(weights, unit(areas.tree, 0)) == pytest.approx(said[1], rel=1e-8)
    assert found.variance[0, 0] == pytest.approx(said[2], rel=1e-8)
