"""Visitors: small tables by hand, factors that are not known, and how good it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t

from hub.estimation.drift import Drift
from hub.estimation.quantiles import quantile
from hub.estimation.roamers import Assumed, Totals
from hub.estimation.visitors import Visitors, visitors
from tests.statistical.score_visitors import evaluate
from tests.statistical.visitors_world import WORLDS, abroad, roamers, totals

NAMED = {world.name: world for world in WORLDS}
ASSUMED = Assumed(Drift(0.3, 4.0))
#: Zones in rows, the last one those without a night zone; countries in columns.
CELLS = np.array([[60.0, 30.0], [40.0, 90.0], [10.0, 5.0]])


def known(*persons: float, variance: float = 0.0, night: bool = True) -> Totals:
    told = np.array(persons)
    return Totals(told, np.full(told.size, variance), night)


def test_a_known_total_is_shared_out_as_roamers_are() -> None:
    found = visitors(CELLS, 1.0, known(500.0, 60.0), ASSUMED)
    assert found.estimate == pytest.approx(np.array([[300.0, 200.0], [15.0, 45.0]]))
    assert found.factor == pytest.approx([5.0, 0.5])
    assert found.calibrated.all()
    assert not found.common.any()


def test_totals_of_the_border_have_also_those_without_a_night_zone() -> None:
    found = visitors(CELLS, 1.0, known(550.0, 125.0, night=False), ASSUMED)
    assert found.estimate == pytest.approx(np.array([[300.0, 200.0, 50.0], [30.0, 90.0, 5.0]]))


def test_variances_are_what_the_fractions_say() -> None:
    # p = (3/5, 2/5), factor 5: noise 5²·(1 - 6/5 + 2·9/25) = 13, chance 5²·100·6/25 = 600, total 9²·9/25.
    found = visitors(CELLS, 1.0, known(500.0, 60.0, variance=81.0), ASSUMED)
    assert found.noise[0, 0] == pytest.approx(13)
    assert found.sd[0, 0] ** 2 == pytest.approx(13 + 600 + 81 * 9 / 25)


def test_a_country_without_a_total_has_the_middle_factor_and_the_uncertainty_of_one_drawn_at_random() -> None:
    cells = np.array([[600.0, 300.0, 100.0], [400.0, 700.0, 100.0], [0.0, 0.0, 0.0]])
    found = visitors(cells, 0.0, known(2000.0, 4500.0, np.nan), Assumed(Drift(0.3, 4.0), dispersion=0.0))
    # log 2 and log 4.5: the middle is log 3; φ² = (4·.09 + var)/5, with the variance of two logarithms 1.5² apart.
    apart = np.log(2.25) ** 2 / 2
    square = (4 * 0.09 + apart) / 5
    assert found.factor == pytest.approx([2.0, 4.5, 3.0])
    assert found.factor_sd.sd**2 == pytest.approx(square)
    assert found.factor_sd.freedom == 5
    assert found.estimate[2] == pytest.approx([300.0, 300.0])
    assert found.sd[2] ** 2 == pytest.approx(300**2 * square * (1 + 1 / 2) * np.ones(2))
    low, high = found.interval(0.95)
    assert (high - low)[2] == pytest.approx(2 * t.ppf(0.975, 5) * found.sd[2])
    assert "middle factor" in found.scope[2]


def test_without_any_total_roamers_are_published_and_called_so() -> None:
    found = visitors(CELLS, 1.0, known(np.nan, np.nan), ASSUMED, smooth=False)
    assert found.estimate == pytest.approx(CELLS[:-1].T)
    assert found.factor.tolist() == [1.0, 1.0]
    assert "not persons" in found.scope[1]
    assert not found.calibrated.any()
    # Noise 1, and as many roamers as there are by chance.
    assert found.sd**2 == pytest.approx(CELLS[:-1].T + 1.0)


def test_a_country_from_which_nobody_came_has_nobody() -> None:
    found = visitors(CELLS, 1.0, known(500.0, 0.0), ASSUMED)
    assert not found.estimate[1].any()
    assert not found.sd[1].any()
    assert not found.imputed.any()


def big(signal: bool) -> Visitors:
    world, country, chance = NAMED["σ = 20"], abroad(), np.random.default_rng(1)
    cells, noise = roamers(world, country, chance)
    told = totals(world, country, chance)
    if not signal:
        cells[:, 2] = np.random.default_rng(5).normal(0, noise**0.5, 44)
    return visitors(cells, noise, told, ASSUMED, size=country.residents)


def test_a_total_without_a_signal_is_shared_out_as_all_visitors_are_and_flagged() -> None:
    found, plain = big(signal=False), big(signal=True)
    assert np.flatnonzero(found.imputed).tolist() == [2]
    assert found.estimate[2].sum() == pytest.approx(plain.estimate[2].sum())
    assert not found.gamma[2].any()
    assert found.sd[2].sum() > 2 * plain.sd[2].sum()


def test_a_country_that_was_not_seen_differs_from_two_others_more_than_they_differ_from_their_mean() -> None:
    # Var = τ²·(1 + 1/2), of which the two show τ²·(1 - 1/2).
    chance, squares, promised = np.random.default_rng(6), [], []
    for _ in range(30):
        share = np.maximum(1.0 + chance.normal(0, 0.3, (3, 60)), 0.0) / 60
        right = 60_000.0 * share / share.sum(axis=1, keepdims=True)
        cells = np.zeros((61, 3))
        cells[:-1] = chance.poisson(right.T)
        cells[:, 2] = 0.0
        cells += chance.normal(0, 20.0, cells.shape)
        found = visitors(cells, 400.0, known(60_000.0, 60_000.0, 60_000.0), ASSUMED)
        assert found.imputed.tolist() == [False, False, True]
        squares.append(((found.estimate - right)[2] ** 2).mean())
        promised.append((found.sd[2] ** 2).mean())
    assert np.mean(squares) / np.mean(promised) == pytest.approx(1.0, abs=0.2)


def test_totals_over_nothing_but_noise_are_not_shared_out() -> None:
    cells = np.random.default_rng(3).normal(0, 50, (31, 3))
    found = visitors(cells, 2500.0, known(900.0, 800.0, np.nan), ASSUMED)
    assert np.isnan(found.estimate[:2]).all()
    assert np.isinf(found.sd[:2]).all()
    assert found.imputed.tolist() == [True, True, False]
    assert found.estimate[2] == pytest.approx(cells[:-1, 2])


@settings(max_examples=25)
@given(
    st.lists(st.floats(10, 900), min_size=8, max_size=8),
    st.lists(st.floats(1, 9000), min_size=2, max_size=2),
    st.permutations([0, 1, 2]),
)
def test_exact_totals_hold_whatever_the_order_of_zones(
    counts: list[float], told: list[float], order: list[int]
) -> None:
    cells = np.array(counts).reshape(4, 2)
    found = visitors(cells, 1.0, known(*told), ASSUMED)
    assert found.estimate.sum(axis=1) == pytest.approx(told)
    other = visitors(cells[[*order, 3]], 1.0, known(*told), ASSUMED)
    assert other.estimate == pytest.approx(found.estimate[:, order])
    assert other.sd == pytest.approx(found.sd[:, order])


@pytest.mark.parametrize("name", ["σ = 20", "σ = 100", "σ = 100, third operator missing"])
def test_estimates_are_better_than_counts_with_a_factor_and_intervals_hold(name: str) -> None:
    score = evaluate(NAMED[name], 15)
    assert score.wmape < 0.8 * min(score.national, score.by_country)
    assert 93 <= score.coverage_95 <= 97.5
    assert score.coverage_95_pooled >= 90


@pytest.mark.full
@pytest.mark.parametrize("name", list(NAMED))
def test_intervals_hold_in_every_world(name: str) -> None:
    assert 92 <= evaluate(NAMED[name], 100).coverage_95 <= 98.5


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(ValueError, match="one total for each country"):
        visitors(CELLS, 1.0, known(1.0), ASSUMED)
    with pytest.raises(ValueError, match="not negative"):
        known(-1.0, 2.0)
    with pytest.raises(ValueError, match="has a variance"):
        known(1.0, variance=np.nan)


def test_quantiles_are_those_of_students_t_and_of_the_normal_where_all_is_known() -> None:
    assert quantile(0.95, np.array([5.0, np.inf])) == pytest.approx([t.ppf(0.975, 5), norm.ppf(0.975)])
