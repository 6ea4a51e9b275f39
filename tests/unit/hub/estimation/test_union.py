"""Persons in a union: cases by hand, an independent route to the same prediction, and the limits of shrinkage."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from hub.estimation.multiplicity import GoingOn
from hub.estimation.sketch import Sums, moments, subsets
from hub.estimation.sketch_covariance import covariance
from hub.estimation.union import Known, UnionEstimate, union
from hub.estimation.union_model import Model

Counts = NDArray[np.int64]
HALF = GoingOn((0.3, 0.4), (0.1, 0.2))


def counted(
    by_set: dict[tuple[int, ...], int], operators: int, cells: int, sd: float, seed: int = 1
) -> Counts:
    """Return the noisy counts of persons by exact set of operators."""
    chance = np.random.default_rng(seed)
    counts = np.rint(chance.normal(0, sd, (operators, cells))).astype(np.int64)
    for members, persons in by_set.items():
        counts[list(members)] += np.bincount(chance.integers(0, cells, persons), minlength=cells)
    return counts


def all_alike(operators: int, persons: dict[int, int]) -> dict[tuple[int, ...], int]:
    """Return so many persons in each set of a size."""
    return {one: count for size, count in persons.items() for one in combinations(range(operators), size)}


FOUR = counted(all_alike(4, {1: 3000, 2: 200, 3: 40, 4: 20}), 4, 512, 2.0)


def persons_of(by_set: dict[tuple[int, ...], int]) -> NDArray[np.float64]:
    """Return how many persons all operators of each set have, by the set's mask."""
    masks = {sum(1 << one for one in members): persons for members, persons in by_set.items()}
    found = [
        sum(persons for mask, persons in masks.items() if mask & all_of == all_of) for all_of in range(16)
    ]
    return np.array(found, dtype=np.float64)


def noise(operators: int, variance: float = 4.0) -> NDArray[np.float64]:
    return np.full(operators, variance)


def test_one_operator_s_union_is_its_own_persons() -> None:
    found = union(np.array([[3, 4, 5, 8]]), noise(1), HALF)
    assert found.persons == 20
    # Four cells with variance 4 each.
    assert found.sd == 4
    assert found.exactly.tolist() == [20]


def test_two_operators_are_as_the_formulas_say_by_hand() -> None:
    # d_a = (2, 0, −2), d_b = (3, −1, −2): T = 6 + 4 = 10, n̂_ab = 10·3/2 = 15; sizes 33 and 27; union 60 − 15.
    found = union(np.array([[13, 11, 9], [12, 8, 7]]), noise(2, 1.0), HALF)
    assert found.pairs == pytest.approx([15])
    assert found.persons == pytest.approx(45)
    assert found.exactly == pytest.approx([30, 15])
    # Var(n̂_ab) = (33·27 + 15² − 2·15)/2 + 3·1·(33 + 27)/2 + 9·1/2 = 543 + 90 + 4.5; sizes add 2·3·1.
    assert found.noise_variance == pytest.approx(637.5 + 6)
    assert found.prior_variance == 0


def test_a_better_count_of_sizes_takes_the_place_of_the_sketch_s() -> None:
    counts = np.array([[13, 11, 9], [12, 8, 7]])
    found = union(counts, noise(2, 1.0), HALF, Known(np.array([34.0, 28.0]), np.array([0.0, 2.0])))
    assert found.persons == pytest.approx(62 - 15)
    assert found.sizes.tolist() == [34, 28]
    # (34·28 + 15² − 2·15)/2 + 3·(34 + 28)/2 + 9/2, and 0 + 2 of the sizes.
    assert found.noise_variance == pytest.approx(573.5 + 93 + 4.5 + 2)


def test_persons_at_all_four_operators_are_counted_once() -> None:
    counts = counted({(0, 1, 2, 3): 500}, 4, 4096, 0.0)
    found = union(counts, noise(4, 1e-6), GoingOn((1.0,), (0.0,)))
    cut_off = found.sizes.sum() - found.pairs.sum() + found.triples.sum()
    assert found.persons == pytest.approx(500, rel=0.15)
    assert found.exactly[:3] == pytest.approx([0, 0, 0], abs=300)
    assert cut_off == pytest.approx(1000, rel=0.15)


def test_what_knows_nothing_beforehand_leaves_all_as_measured() -> None:
    measured = moments(Sums.of(FOUR))
    model = Model.of(4, HALF, measured.sizes)
    spread = covariance(persons_of(all_alike(4, {1: 3000, 2: 200, 3: 40, 4: 20})), 512, noise(4))
    y = np.concatenate([measured.pairs, measured.triples])
    found = model.predict(y, spread, np.eye(6) * 1e6 * spread.max())
    assert found.value[3:] == pytest.approx(y, rel=1e-4)
    assert found.weights[3:] == pytest.approx(np.eye(10), abs=1e-4)
    assert (found.by_noise + found.by_prior)[3:, 3:] == pytest.approx(spread, rel=1e-4, abs=1)


def test_without_noise_and_with_hardly_two_in_a_cell_triples_stay_as_measured() -> None:
    by_set = {(0,): 30, (1,): 30, (2,): 30, (0, 1): 8, (0, 2): 8, (1, 2): 8, (0, 1, 2): 6}
    counts = counted(by_set, 3, 2**20, 0.0)
    found = union(counts, noise(3, 1e-9), GoingOn((0.1,), (0.2,)))
    assert found.gamma == pytest.approx([1.0], abs=0.01)
    assert found.triples == pytest.approx(found.triples_measured, rel=0.01)
    assert found.persons == pytest.approx(120, rel=0.02)


def test_with_endless_noise_the_model_alone_remains_with_its_own_uncertainty() -> None:
    found = union(FOUR[:3], noise(3, 1e8), GoingOn((0.25,), (0.1,)))
    assert found.gamma == pytest.approx([0.0], abs=1e-3)
    # S_2 = M_2 + 2·M_3 = M_2·(1 + 2q), so M_3 = S_2·q/(1 + 2q) = S_2/6.
    pairs = moments(Sums.of(FOUR[:3])).pairs.sum()
    assert found.triples.sum() == pytest.approx(pairs / 6, rel=1e-3)
    assert found.prior_variance > 0


def test_what_is_known_beforehand_adds_to_the_uncertainty() -> None:
    sure, unsure = (union(FOUR, noise(4), GoingOn((0.3,), (sd,))) for sd in (0.0, 0.2))
    # What remains is the spread of single triples around their parts.
    assert sure.prior_variance < 1e-3 * unsure.prior_variance
    assert unsure.sd > sure.sd
    assert sure.gamma_all < unsure.gamma_all < 1


def test_the_prediction_is_that_of_precisions_added_up() -> None:
    # The same by another route: a flat prior of pairs, P of the deviations, and the precision of the measurement.
    measured = moments(Sums.of(FOUR))
    model = Model.of(4, HALF, measured.sizes)
    chance = np.random.default_rng(5)
    root = chance.normal(size=(10, 10))
    spread = root @ root.T + np.eye(10)
    prior = np.diag(chance.uniform(0.5, 2.0, 6))
    y = np.concatenate([measured.pairs, measured.triples])
    found = model.predict(y, spread, prior)
    both = np.hstack([model.x, model.z])
    precision = both.T @ np.linalg.solve(spread, both)
    precision[6:, 6:] += np.linalg.inv(prior)
    state = np.linalg.solve(precision, both.T @ np.linalg.solve(spread, y))
    targets = np.hstack([model.a, model.b])
    assert found.value == pytest.approx(targets @ state)
    assert found.by_noise + found.by_prior == pytest.approx(
        targets @ np.linalg.inv(precision) @ targets.T, abs=1e-9
    )


def test_deviations_of_triples_from_their_parts_add_up_to_zero() -> None:
    model = Model.of(5, HALF, np.array([5.0, 4.0, 3.0, 2.0, 1.0]))
    prior = model.prior(np.array([100.0, 10.0, 4.0]), 900.0)
    assert np.diag(prior)[:3] == pytest.approx([100 * 0.01, 10 * 0.04, 4 * 0.04])
    assert prior[3:, 3:].sum(axis=0) == pytest.approx(np.zeros(10), abs=1e-12)
    # Parts by size: n_a·n_b·n_c over the sum of these over all triples, 225.
    assert model.parts[:2] == pytest.approx([60 / 225, 40 / 225])


def test_the_order_of_operators_does_not_matter() -> None:
    order = [2, 0, 3, 1]
    one, other = union(FOUR, noise(4), HALF), union(FOUR[order], noise(4), HALF)
    assert other.persons == pytest.approx(one.persons)
    assert other.sd == pytest.approx(one.sd)
    assert other.sizes.tolist() == one.sizes[order].tolist()
    place = {pair: number for number, pair in enumerate(subsets(4, 2))}
    renamed = [place[tuple(sorted((order[a], order[b])))] for a, b in subsets(4, 2)]
    assert other.pairs == pytest.approx(one.pairs[renamed])


def test_the_order_of_cells_does_not_matter() -> None:
    one, other = union(FOUR, noise(4), HALF), union(FOUR[:, ::-1], noise(4), HALF)
    assert other.persons == pytest.approx(one.persons)
    assert other.exactly_sd == pytest.approx(one.exactly_sd)


def test_persons_by_number_of_operators_add_up_to_the_union_and_to_the_sizes() -> None:
    found = union(FOUR, noise(4), HALF)
    assert found.exactly.sum() == pytest.approx(found.persons)
    assert found.exactly @ [1, 2, 3, 4] == pytest.approx(found.sizes.sum())
    assert found.exactly @ [0, 1, 3, 6] == pytest.approx(found.pairs.sum())
    assert found.exactly @ [0, 0, 1, 4] == pytest.approx(found.triples.sum())


def test_a_missing_operator_leaves_the_union_of_the_others() -> None:
    # 4·3,000 + 6·200 + 4·40 + 20 = 13,380 persons, of whom 3,000 are at the missing operator alone.
    by_set = all_alike(4, {1: 3000, 2: 200, 3: 40, 4: 20})
    left = sum(persons for members, persons in by_set.items() if members != (3,))
    found = union(FOUR[:3], noise(3), HALF)
    assert abs(found.persons - left) < 3 * found.sd
    assert left == 10_380


@pytest.mark.parametrize("operators", [1, 2, 3, 4, 6])
def test_noise_without_signal_gives_an_interval_around_nobody(operators: int) -> None:
    counts = counted({}, operators, 256, 3.0, seed=operators)
    found = union(counts, noise(operators, 9.0), HALF)
    lower, upper = found.interval(0.999)
    assert lower < 0 < upper
    assert np.isfinite([*found.exactly, *found.exactly_sd, *found.pairs_sd, *found.triples_sd]).all()
    # Negative values are left as they are.
    assert found.sizes.tolist() == counts.sum(axis=1).tolist()


def test_empty_operators_without_anybody_have_parts_all_the_same() -> None:
    found = union(np.zeros((4, 64), dtype=np.int64), noise(4), HALF)
    assert found.persons == 0
    assert found.sd > 0


def test_an_interval_is_that_of_the_normal_distribution() -> None:
    found = union(np.array([[3, 4, 5, 8]]), noise(1), HALF)
    assert found.interval(0.95) == pytest.approx((20 - 1.959964 * 4, 20 + 1.959964 * 4))


def shared_by_all(declared: GoingOn) -> UnionEstimate:
    return union(counted({(0, 1, 2): 5000}, 3, 4096, 1.0), noise(3, 1.0), declared)


def test_a_warning_says_that_triples_contradict_what_was_declared() -> None:
    assert "more triples than expected" in shared_by_all(GoingOn((0.01,), (0.001,))).warnings[0]
    assert not shared_by_all(GoingOn((0.9,), (0.2,))).warnings
    pairs_only = counted(all_alike(3, {2: 5000}), 3, 4096, 1.0)
    assert "fewer triples" in union(pairs_only, noise(3, 1.0), GoingOn((0.9,), (0.01,))).warnings[0]


@pytest.mark.parametrize("variance", [0.0, -1.0, np.nan, np.inf])
def test_noise_without_a_positive_variance_is_an_error(variance: float) -> None:
    with pytest.raises(ValueError, match="positive variance"):
        union(FOUR, noise(4, variance), HALF)


def test_shapes_that_do_not_fit_are_errors() -> None:
    with pytest.raises(ValueError, match="variance of noise"):
        union(FOUR, noise(3), HALF)
    with pytest.raises(ValueError, match="known sizes"):
        union(FOUR, noise(4), HALF, Known(np.zeros(3), np.zeros(3)))
    with pytest.raises(ValueError, match="three cells"):
        union(FOUR[:, :1], noise(4), HALF)
