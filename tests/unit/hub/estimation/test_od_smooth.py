"""Smoothed counts by origin: a small case in fractions, and the conditional normal distribution."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.estimation.od_prior import Prior, flat, learnt, told
from hub.estimation.od_smooth import Rows, predicted
from hub.estimation.od_table import Counted, Model

Values = NDArray[np.float64]


def prior(mean: object, spread: object, common: float = 0.0) -> Prior:
    mu = np.atleast_2d(np.asarray(mean, dtype=np.float64))
    g = np.broadcast_to(np.asarray(spread, dtype=np.float64), mu.shape)
    rows, columns = mu.shape
    return Prior(mu, g.copy(), np.zeros_like(mu), np.full(rows, common), np.zeros(columns))


def test_two_flows_of_an_origin_lean_on_the_model_as_the_fractions_say() -> None:
    # μ = (10, 20), G = (4, 12), V = 4, v = 1/100, y = (20, 20); the last column has nobody and is sure.
    # Σ q²/(V + G) = 100/8 + 400/16 = 75/2 and 1/I = 1/(75/2 + 100) = 2/275; Σ q(y − μ)/(V + G) = 25/2, ŝ = 1/11.
    # û_1 = 120/11 + 1/2·(20 − 120/11) = 170/11, û_2 = 240/11 + 3/4·(20 − 240/11) = 225/11.
    counted = Counted(np.array([[20.0, 20.0, 5.0]]), 4.0, stays=False)
    found = predicted(counted, prior([10.0, 20.0, 0.0], [4.0, 12.0, 0.0], 0.01), np.array([True]))
    assert found.value == pytest.approx(np.array([[170 / 11, 225 / 11, 0.0]]))
    assert found.gamma == pytest.approx(np.array([[1 / 2, 3 / 4, 0.0]]))
    # Cov = diag(γV) + rr'·2/275 with r = (5, 5).
    share = float(Fraction(2, 275) * 25)
    assert matrix(found) == pytest.approx(
        np.array([[2 + share, share, 0.0], [share, 3 + share, 0.0], [0.0] * 3])
    )


def matrix(found: Rows) -> Values:
    return found.covariance().between(0, 0)


numbers = st.lists(st.floats(-50, 200), min_size=4, max_size=4)


@settings(max_examples=40)
@given(numbers, st.floats(-100, 500), st.floats(0.0, 2.0), st.booleans())
def test_they_are_the_mean_of_the_conditional_normal(
    counts: list[float], total: float, v: float, again: bool
) -> None:
    mean, spread = np.array([40.0, 10.0, 25.0, 5.0]), np.array([30.0, 9.0, 100.0, 4.0])
    noise, of_total = 16.0, 25.0
    counted = Counted(np.array([counts]), noise, np.array([total]) if again else None, of_total, stays=False)
    found = predicted(counted, prior(mean, spread, v), np.array([True]))
    common = np.append(mean[:3], 0.0)
    before = np.diag(spread) + v * np.outer(common, common)
    design = np.vstack([np.eye(4), np.ones(4)]) if again else np.eye(4)
    seen = np.append(counts, total) if again else np.array(counts)
    errors = np.diag(np.append(np.full(4, noise), of_total)[: seen.size])
    gain = before @ design.T @ np.linalg.inv(design @ before @ design.T + errors)
    assert found.value[0] == pytest.approx(mean + gain @ (seen - design @ mean))
    assert matrix(found) == pytest.approx(before - gain @ design @ before)


def test_without_a_model_counts_are_what_they_are_and_negative_ones_stay() -> None:
    counted = Counted(np.array([[-7.0, 30.0, 2.0]]), 9.0, stays=False)
    found = predicted(counted, flat((1, 3)), np.array([True]))
    assert found.value.tolist() == [[-7.0, 30.0, 2.0]]
    assert matrix(found) == pytest.approx(9.0 * np.eye(3))


def test_an_origin_without_a_signal_has_the_model_alone() -> None:
    counted = Counted(np.array([[900.0, 1.0, 2.0]]), 9.0, stays=False)
    found = predicted(counted, prior([5.0, 6.0, 1.0], [4.0, 4.0, 1.0], 0.5), np.array([False]))
    assert found.value.tolist() == [[5.0, 6.0, 1.0]]
    assert not found.gamma.any()


def test_a_signal_is_five_standard_deviations_of_noise() -> None:
    counted = Counted(np.array([[20.0, 10.0, 0.0], [80.0, 0.0, 0.0], [35.0, 35.0, 20.0]]), 100.0, stays=False)
    # A sum has √300 = 17.3 of noise, a cell 10.
    assert told(counted, by_cells=False).tolist() == [False, False, True]
    assert told(counted, by_cells=True).tolist() == [False, True, True]


def world(tau: float, noise: float, seed: int = 3) -> tuple[Counted, Model, Values]:
    chance = np.random.default_rng(seed)
    mean = chance.uniform(50, 400, (60, 61))
    truth = mean * (1 + chance.normal(0, tau, mean.shape))
    cells = truth + chance.normal(0, noise**0.5, mean.shape)
    return Counted(cells, noise, stays=False), Model.exactly(mean), truth


def test_how_far_flows_stray_from_the_model_is_learnt_and_what_is_promised_comes() -> None:
    counted, model, truth = world(0.4, 90.0**2)
    seen = np.ones(60, dtype=np.bool_)
    found = predicted(counted, learnt(counted, model, seen), seen)
    error = (found.value - truth)[:, :-1]
    promised = found.covariance().variance()[:, :-1]
    # 3,600 squared errors: their mean has a standard error of about 2.4 %.
    assert (error**2).mean() == pytest.approx(promised.mean(), rel=0.08)
    assert (error**2).mean() < 0.6 * 90.0**2


@pytest.mark.parametrize("said", [True, False], ids=["the model says so", "the counts show it"])
def test_what_strays_with_a_destination_is_an_error_of_its_sum(said: bool) -> None:
    # Cells are mostly drawn from the model, which is off by a fifth in each destination.
    chance, seen = np.random.default_rng(8), np.ones(60, dtype=np.bool_)
    mean, squares, promised, cells = np.full((60, 61), 100.0), [], [], []
    for _ in range(30):
        truth = chance.poisson(mean * (1 + chance.normal(0, 0.2, 61)))
        counted = Counted(truth + chance.normal(0, 60.0, mean.shape), 60.0**2, stays=False)
        model = Model(mean, np.full(61, 0.04 if said else 0.0))
        found = predicted(counted, learnt(counted, model, seen), seen)
        squares.append(((found.value - truth).sum(axis=0)[:-1] ** 2).mean())
        promised.append(np.diagonal(found.covariance().columns())[:-1].mean())
        cells.append(
            (((found.value - truth)[:, :-1] ** 2).mean(), found.covariance().variance()[:, :-1].mean())
        )
    assert 0.8 < np.mean(squares) / np.mean(promised) < 1.2
    errors, variances = np.mean(cells, axis=0)
    assert 0.8 < errors / variances < 1.2


@pytest.mark.parametrize(("deviations", "alone"), [(3.0, False), (8.0, True)])
def test_a_cell_that_chance_hardly_explains_stands_alone(deviations: float, alone: bool) -> None:
    # Of 3,660 cells chance takes one in twenty tables more than 4.4 standard deviations away.
    counted, model, _truth = world(0.1, 30.0**2)
    mean = model.mean[5, 7]
    counted.cells[5, 7] = mean + deviations * (30.0**2 + mean + 0.1**2 * mean**2) ** 0.5
    seen = np.ones(60, dtype=np.bool_)
    found = predicted(counted, learnt(counted, model, seen), seen)
    assert (found.gamma[5, 7] == 1.0) == alone
    assert (found.value[5, 7] == counted.cells[5, 7]) == alone
    assert found.gamma[5, 8] < 1.0
