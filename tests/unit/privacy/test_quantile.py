"""The private choice of a bound: above the quantile, at the loss that is claimed, whatever the data are."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import opendp.prelude as dp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from privacy import quantile
from privacy.errors import PrivacyProblem, UsageProblem
from privacy.quantile import Choice, calibrate, choose_bound, mapped_loss, scores

CANDIDATES = tuple(range(1, 65))
RHO = 1_000_000
populations = st.lists(st.integers(0, 30), max_size=60)


def column(cells: list[int] | NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray(cells, dtype=np.int64)


def day(subscribers: int, seed: int = 1) -> NDArray[np.int64]:
    """Cells of each subscriber on a made-up day: most have few, some very many."""
    generator = np.random.default_rng(seed)
    many = generator.random(subscribers) < 0.002
    few = generator.geometric(0.35, subscribers)
    return column(np.where(many, generator.integers(50, 500, subscribers), few))


def above(cells: NDArray[np.int64], bound: int) -> int:
    return int((cells > bound).sum())


def exact_quantile(cells: NDArray[np.int64], permille: int) -> int:
    """The smallest candidate that leaves so many subscribers whole."""
    return next(c for c in CANDIDATES if above(cells, c) * 1000 <= (1000 - permille) * cells.size)


# --- accuracy ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [100_000, 1_000_000])
def test_a_large_operator_gets_the_99th_percentile_or_one_cell_more(rho: int) -> None:
    cells = day(500_000)
    exact = exact_quantile(cells, 990)
    chosen = Counter(choose_bound(cells, Choice(CANDIDATES, rho)).value for _ in range(40))
    assert 1 < exact < 20
    assert set(chosen) <= {exact, exact + 1}


@pytest.mark.parametrize(("permille", "subscribers"), [(500, 20_000), (950, 20_000), (990, 60_000)])
def test_what_is_chosen_is_at_or_above_the_quantile_as_often_as_claimed(
    permille: int, subscribers: int
) -> None:
    cells = day(subscribers)
    choice = Choice(CANDIDATES, RHO, quantile_permille=permille, error_permille=200)
    exact = exact_quantile(cells, permille)
    below = sum(choose_bound(cells, choice).value < exact for _ in range(300))
    # 20 % are allowed; the claim is a bound, so less is fine. 5 standard deviations.
    assert below <= 300 * 0.2 + 5 * math.sqrt(300 * 0.2 * 0.8)


def test_the_margin_is_what_noise_can_do_and_shrinks_with_the_loss() -> None:
    margins = [choose_bound(day(1000), Choice(CANDIDATES, rho)).margin for rho in (10_000, 1_000_000, 10**8)]
    expected = [0.99 / math.sqrt(2 * rho / 1e9) * math.log(64 / 0.05) for rho in (10_000, 1_000_000, 10**8)]
    assert margins == [pytest.approx(value, abs=1.01, rel=1e-3) for value in expected]


def test_without_anybody_noise_alone_chooses_and_it_is_nearly_always_the_largest() -> None:
    found = [choose_bound(column([]), Choice(CANDIDATES, RHO)) for _ in range(50)]
    assert all(bound.value in CANDIDATES and bound.by_period == RHO for bound in found)
    assert sum(bound.largest for bound in found) > 45


def test_a_day_on_which_everybody_exceeds_every_candidate_gets_the_largest_and_says_so() -> None:
    bound = choose_bound(column(np.full(100_000, 1000)), Choice((2, 4, 8), RHO))
    assert (bound.value, bound.largest) == (8, True)


def test_a_day_on_which_nobody_has_more_than_the_smallest_candidate_gets_that() -> None:
    bound = choose_bound(column(np.zeros(100_000)), Choice((2, 4, 8), RHO))
    assert (bound.value, bound.largest) == (2, False)


# --- the mechanism ----------------------------------------------------------------------------------------


@given(cells=populations, margin=st.integers(0, 5000))
def test_scores_are_what_their_definition_says(cells: list[int], margin: int) -> None:
    choice = Choice((1, 3, 9, 27), RHO, quantile_permille=900)

    def difference(bound: int) -> float:
        more = sum(count > bound for count in cells)
        return 900 * more - 100 * (len(cells) - more) + margin

    first, second, third, _last = (difference(bound) for bound in choice.candidates)
    expected = [-first, min(-second, first), min(-third, second), third]
    assert scores(column(cells), choice, margin).tolist() == expected
    assert max(expected) >= 0


@given(cells=populations, permille=st.integers(1, 999), extra=st.integers(0, 30))
def test_one_subscriber_moves_no_score_by_more_than_the_sensitivity(
    cells: list[int], permille: int, extra: int
) -> None:
    choice = Choice((1, 3, 9, 27), RHO, quantile_permille=permille)
    before, after = (scores(column(values), choice, 77) for values in (cells, [*cells, extra]))
    assert np.abs(after - before).max() <= choice.sensitivity == max(permille, 1000 - permille)


def test_the_sensitivity_is_reached() -> None:
    choice = Choice((1, 3), RHO)
    moved = scores(column([5]), choice, 0) - scores(column([]), choice, 0)
    assert np.abs(moved).max() == choice.sensitivity == 990


@pytest.mark.parametrize("rho", [1, 1000, 1_000_000, 333_333_333, 10**9, 10**12])
def test_the_loss_is_opendps_own_and_at_most_the_agreed_one(rho: int) -> None:
    choice = Choice(CANDIDATES, rho)
    scale = calibrate(choice)
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.linf_distance(T="i64")
    independent = dp.m.make_noisy_max(*space, dp.zero_concentrated_divergence(), scale=float(scale))
    rho_of: Any = independent.map
    mapped = Fraction(rho_of(990)) * 10**9
    assert mapped_loss(choice, scale) == math.ceil(mapped) <= rho
    assert mapped == pytest.approx((2 * 990 / scale) ** 2 / 8 * 1e9)
    assert scale == 1 or mapped_loss(choice, scale - 1) > rho
    assert choose_bound(day(100), choice).by_period == rho


def test_candidates_are_drawn_by_the_exponential_mechanism(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = np.array([0, -500, -1000, 250], dtype=np.int64)
    monkeypatch.setattr(quantile, "scores", lambda *_: wanted)
    choice = Choice((1, 2, 3, 4), 500_000_000)
    scale, draws = calibrate(choice), 4000
    found = Counter(choose_bound(column([]), choice).value for _ in range(draws))
    weights = np.exp(wanted / scale)
    p_value = stats.chisquare([found[c] for c in choice.candidates], draws * weights / weights.sum()).pvalue
    assert p_value > 1e-6


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("candidates", [(), (5,), (5, 5), (6, 5), (0, 5), (-1, 5), (1, 2**31)])
def test_candidates_that_are_no_ascending_bounds_are_refused(candidates: tuple[int, ...]) -> None:
    with pytest.raises(UsageProblem, match="candidate bounds"):
        Choice(candidates, RHO)


@pytest.mark.parametrize("permille", [0, 1000, -1, 1001])
def test_a_quantile_or_error_outside_of_zero_and_one_is_refused(permille: int) -> None:
    with pytest.raises(UsageProblem, match="quantile"):
        Choice(CANDIDATES, RHO, quantile_permille=permille)
    with pytest.raises(UsageProblem, match="error"):
        Choice(CANDIDATES, RHO, error_permille=permille)


@pytest.mark.parametrize("rho", [0, -1, 10**12 + 1])
def test_a_loss_that_is_none_or_no_privacy_is_refused(rho: int) -> None:
    with pytest.raises(UsageProblem, match="nano-rho"):
        Choice(CANDIDATES, rho)


def test_cells_that_are_not_a_column_of_counts_are_refused() -> None:
    bad: Any
    for bad in (np.array([1.0]), np.array([1], dtype=np.int32), np.array([[1]], dtype=np.int64)):
        with pytest.raises(PrivacyProblem, match="one int64 column"):
            choose_bound(bad, Choice(CANDIDATES, RHO))
    with pytest.raises(PrivacyProblem, match="negative"):
        choose_bound(column([1, -1]), Choice(CANDIDATES, RHO))
