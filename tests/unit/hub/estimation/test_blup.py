"""Prediction of areas: small cases in exact fractions, and what holds for all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.estimation.blup import Areas, excess, fit, predict, scatter_of_size

MEASURED = np.array([1.0, 2.0, 4.0, 9.0])


def areas(measured: object, variance: object, covariates: object = None, scatter: object = 0.0) -> Areas:
    y = np.asarray(measured, dtype=np.float64)
    x = np.ones((y.size, 1)) if covariates is None else np.asarray(covariates, dtype=np.float64)
    return Areas(
        y,
        np.broadcast_to(np.asarray(variance, dtype=np.float64), y.shape),
        x,
        np.broadcast_to(np.asarray(scatter, dtype=np.float64), y.shape),
    )


values = st.lists(st.floats(-10, 10), min_size=3, max_size=30)


def test_with_equal_variances_the_mean_and_the_measurement_share_as_the_fractions_say() -> None:
    # τ² = 1, D = 3: γ = 1/4, β̂ = mean = 4, Var(β̂) = (1 + 3)/4 = 1, MSE = 3/4 + (3/4)²·1 = 21/16.
    variance = np.full(4, 3.0)
    fitted = fit(areas(MEASURED, variance), tau=1.0)
    found = predict(fitted, areas(MEASURED, variance))
    assert fitted.beta == pytest.approx([4.0])
    assert found.gamma == pytest.approx(np.full(4, 0.25))
    assert found.value == pytest.approx([3.25, 3.5, 4.0, 5.25])
    assert found.mse == pytest.approx(np.full(4, 21 / 16))


def test_with_different_variances_the_mean_is_weighted() -> None:
    # τ² = 1, D = (0, 1, 3): weights 1, 1/2, 1/4, so β̂ = (0 + 3/2 + 7/4)/(7/4) = 13/7, Var(β̂) = 4/7.
    measured, variance = np.array([0.0, 3.0, 7.0]), np.array([0.0, 1.0, 3.0])
    fitted = fit(areas(measured, variance), tau=1.0)
    found = predict(fitted, areas(measured, variance))
    assert fitted.beta == pytest.approx([13 / 7])
    assert found.value == pytest.approx([0, 17 / 7, 22 / 7])
    assert found.mse == pytest.approx([0, 1 / 2 + 1 / 4 * 4 / 7, 3 / 4 + 9 / 16 * 4 / 7])


def test_an_area_that_was_not_measured_has_the_model_alone() -> None:
    fitted = fit(areas(MEASURED[:3], 3.0), tau=1.0)
    found = predict(fitted, areas([np.nan], np.inf))
    assert found.value == pytest.approx([7 / 3])
    assert found.gamma.tolist() == [0.0]
    assert found.mse == pytest.approx([1 + 4 / 3])


def test_what_is_known_to_scatter_weighs_as_tau_does() -> None:
    # τ² = 1/2, ω = (1/2, 5/2), D = 1: γ = 1/2, 3/4; weights 1/2, 1/4, so β̂ = (0 + 3/2)/(3/4) = 2.
    told = areas([0.0, 6.0], 1.0, scatter=[0.5, 2.5])
    found = predict(fit(told, tau=0.5**0.5), told)
    assert found.gamma == pytest.approx([1 / 2, 3 / 4])
    assert found.value == pytest.approx([1.0, 5.0])


@given(values, st.floats(0.01, 50))
def test_with_equal_variances_tau_is_what_the_sample_variance_leaves(
    found: list[float], variance: float
) -> None:
    measured = np.array(found)
    fitted = fit(areas(measured, variance))
    assert fitted.tau**2 == pytest.approx(max(measured.var(ddof=1) - variance, 0.0), rel=1e-3, abs=1e-3)


@given(values, st.floats(0.1, 5))
def test_a_prediction_lies_between_the_model_and_the_measurement(found: list[float], tau: float) -> None:
    measured = np.array(found)
    told = areas(measured, np.linspace(0.1, 10, measured.size))
    fitted = fit(told, tau)
    predicted, synthetic = predict(fitted, told).value, fitted.beta[0]
    low, high = np.minimum(measured, synthetic), np.maximum(measured, synthetic)
    assert np.all((low - 1e-9 <= predicted) & (predicted <= high + 1e-9))


@pytest.mark.parametrize("scatter", [np.zeros(60), np.linspace(3.0, 0.0, 60)], ids=["alike", "scattered"])
def test_what_the_mean_squared_error_promises_is_what_comes(scatter: NDArray[np.float64]) -> None:
    chance, count = np.random.default_rng(5), 60
    variance = np.linspace(0.2, 5.0, count)
    covariates = np.stack([np.ones(count), np.linspace(-1, 1, count)], axis=1)
    errors, promised = [], []
    for _ in range(400):
        truth = covariates @ np.array([3.0, 2.0]) + chance.normal(0, np.sqrt(1.2**2 + scatter))
        told = areas(truth + chance.normal(0, np.sqrt(variance)), variance, covariates, scatter)
        found = predict(fit(told), told)
        errors.append((found.value - truth) ** 2)
        promised.append(found.mse)
    # 400 × 60 squared errors: their mean has a standard error of about 1 %.
    assert np.mean(errors) == pytest.approx(np.mean(promised), rel=0.04)


def test_what_small_areas_scatter_more_is_found() -> None:
    chance, count = np.random.default_rng(3), 3000
    sizes = np.exp(chance.uniform(5, 10, count))
    scattered = chance.normal(0, np.sqrt(0.01**2 + 1.2 / sizes + 0.0002))
    found = scatter_of_size(areas(scattered, 0.0002), sizes)
    assert found == pytest.approx(1.2, rel=0.1)
    assert fit(areas(scattered, 0.0002, scatter=found / sizes)).tau == pytest.approx(0.01, rel=0.1)


def test_where_small_areas_say_nothing_scatter_is_not_held_to_be_zero() -> None:
    # All alike within their errors: the likelihood is greatest at zero, and falls slowly.
    chance, count = np.random.default_rng(4), 60
    sizes = np.linspace(1000, 10_000, count)
    found = scatter_of_size(areas(chance.normal(0, 0.05, count), 0.05**2), sizes)
    assert 0 < found < 0.05**2 * 10_000


def test_too_few_areas_are_no_model() -> None:
    with pytest.raises(ValueError, match="more areas than covariates"):
        fit(areas(MEASURED[:1], 1.0))


def test_excess_is_one_for_each_degree_of_freedom_if_all_is_declared() -> None:
    chance, count = np.random.default_rng(7), 2000
    told = areas(chance.normal(0, np.sqrt(1.0 + 0.5), count), 0.5)
    squares, free = excess(fit(told, tau=1.0), told)
    assert free == count - 1
    assert squares / free == pytest.approx(1.0, abs=0.1)
