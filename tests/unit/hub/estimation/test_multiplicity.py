"""The chain from one operator to the next: small cases by hand, and what holds for every chain."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.estimation.multiplicity import GoingOn, chain, intersections_of, squares_expected

probabilities = st.lists(st.floats(0, 1), min_size=0, max_size=4)


def test_somebody_at_four_operators_is_one_person_and_not_four_minus_six_plus_four() -> None:
    # One person, in 4 operators, 6 pairs, 4 triples and the one set of four.
    at_least = np.ones(4)
    s = [float(intersections_of(4, size) @ at_least) for size in (1, 2, 3, 4)]
    assert s == [4, 6, 4, 1]
    assert s[0] - s[1] + s[2] == 2
    # Everybody with two operators goes on to the third and to the fourth.
    links = chain(np.array([1.0, 1.0]))
    assert links.on_pairs * s[1] == pytest.approx([1, 1, 1])
    assert s[0] - (links.on_pairs * s[1]).sum() == pytest.approx(1)


def test_half_of_them_going_on_each_time_is_a_geometric_distribution() -> None:
    # 8, 4 and 2 persons at 2, 3 and 4 operators or more are in 8 + 2·4 + 3·2 = 22 pairs.
    assert chain(np.array([0.5, 0.5])).on_pairs * 22 == pytest.approx([8, 4, 2])


def test_two_operators_have_no_chain_but_their_pair() -> None:
    links = chain(np.zeros(0))
    assert links.on_pairs == pytest.approx([1])
    assert links.on_deviations.shape == (1, 0)


@given(probabilities, st.floats(-1e3, 1e3), st.randoms(use_true_random=False))
def test_every_chain_goes_on_as_it_says_and_keeps_its_pairs(
    going_on: list[float], pairs: float, chance: object
) -> None:
    q = np.array(going_on)
    w = np.array([chance.uniform(-9, 9) for _ in going_on])  # type: ignore[attr-defined]
    links = chain(q)
    at_least = links.on_pairs * pairs + links.on_deviations @ w
    assert at_least[1:] == pytest.approx(q * at_least[:-1] + w, abs=1e-9)
    assert intersections_of(q.size + 2, 2)[1:] @ at_least == pytest.approx(pairs, abs=1e-8)


def test_a_survey_has_the_beta_distributions_of_its_counts() -> None:
    # 480, 40 and 12 persons with 2, 3 and 4 operators or more: Beta(40½, 440½) and Beta(12½, 28½).
    found = GoingOn.from_survey([480, 40, 12])
    means = [Fraction(81, 2) / 481, Fraction(25, 2) / 41]
    assert found.mean == pytest.approx([float(mean) for mean in means])
    squares = [mean * (1 - mean) / (size + 2) for mean, size in zip(means, (480, 40), strict=True)]
    assert found.sd == pytest.approx([float(square) ** 0.5 for square in squares])


def test_a_survey_without_anybody_at_the_fourth_does_not_prove_that_there_is_none() -> None:
    found = GoingOn.from_survey([100, 10, 0])
    assert found.mean[1] == pytest.approx(0.5 / 11)
    assert found.sd[1] > found.mean[1]


def test_a_design_effect_widens_a_survey_as_a_smaller_one_would() -> None:
    assert GoingOn.from_survey([480, 40], design_effect=2.0) == GoingOn.from_survey([240, 20])


def test_the_last_probability_stands_for_all_that_follow() -> None:
    mean, sd = GoingOn((0.1, 0.3), (0.05, 0.1)).of(6)
    assert mean.tolist() == [0.1, 0.3, 0.3, 0.3]
    assert sd.tolist() == [0.05, 0.1, 0.1, 0.1]
    assert GoingOn((0.1,), (0.05,)).of(2)[0].size == 0


def test_mean_squares_grow_by_mean_and_variance_of_each_step() -> None:
    # 100·1, then ·(.2² + .1²) = 5: two of three are needed.
    assert squares_expected(100.0, np.array([0.2, 0.5]), np.array([0.1, 0.2])) == pytest.approx([100, 5])


@pytest.mark.parametrize(
    ("mean", "sd"),
    [((), ()), ((0.1,), ()), ((1.1,), (0.1,)), ((-0.1,), (0.1,)), ((0.1,), (-0.1,)), ((0.1,), (0.51,))],
)
def test_probabilities_that_are_none_are_errors(mean: tuple[float, ...], sd: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="going on"):
        GoingOn(mean, sd)


@pytest.mark.parametrize("counts", [[], [5], [5, 6], [5, -1]])
def test_counts_that_no_survey_can_have_are_errors(counts: list[float]) -> None:
    with pytest.raises(ValueError, match="operators or more"):
        GoingOn.from_survey(counts)
