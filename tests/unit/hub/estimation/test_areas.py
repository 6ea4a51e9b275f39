"""Areas with covariates that are estimates: fractions, the milk example, and what the errors would do unheeded."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.estimation.areas import Surveyed, fit_surveyed, predict_surveyed
from hub.estimation.blup import Areas, fit, predict
from hub.estimation.bootstrap import bootstrap
from tests.unit.hub.estimation import milk


def surveyed(measured: object, variance: object, covariates: object, errors: object = 0.0) -> Surveyed:
    y, x = np.asarray(measured, dtype=np.float64), np.asarray(covariates, dtype=np.float64)
    count, terms = x.shape
    return Surveyed(
        y,
        np.broadcast_to(np.asarray(variance, dtype=np.float64), (count,)).copy(),
        x,
        np.broadcast_to(np.asarray(errors, dtype=np.float64), (count, terms, terms)),
        np.zeros(count),
    )


MILK = surveyed(milk.MEAN, milk.ERROR**2, milk.COVARIATES)


def test_the_milk_example_is_what_is_published_by_restricted_maximum_likelihood() -> None:
    areas = Areas(milk.MEAN, milk.ERROR**2, milk.COVARIATES, np.zeros(43))
    fitted = fit(areas)
    found = predict(fitted, areas)
    assert fitted.beta == pytest.approx(milk.BETA, abs=1e-5)
    assert np.sqrt(np.diag(fitted.covariance)) == pytest.approx(milk.BETA_ERROR, abs=1e-5)
    assert found.value[:7] == pytest.approx(milk.FIRST, abs=2e-5)
    assert found.value[-3:] == pytest.approx(milk.LAST, abs=2e-5)
    assert found.mse[:7] == pytest.approx(milk.FIRST_MSE, rel=1e-3)
    assert found.mse[-3:] == pytest.approx(milk.LAST_MSE, rel=1e-3)


def test_without_errors_in_covariates_the_milk_example_is_what_is_published_for_moments() -> None:
    found = predict_surveyed(fit_surveyed(MILK), MILK)
    assert found.value[:7] == pytest.approx(milk.FIRST_MOMENTS, abs=2e-6)
    assert found.value[-3:] == pytest.approx(milk.LAST_MOMENTS, abs=2e-6)


#: X̂ = 1, 1, 2, 2, 3, 3, 4, 4 and y = 2, 2, 4, 4, 7, 7, 9, 9, C = 1/2, D = 1/2, τ² = 1/4: weights are equal, and of
#: the errors k = 1 − 4/8 is taken, as λ = 60/4. ΣX̂² − 8kC = 58, ΣX̂y = 134, β̂ = 67/29.
BETA = Fraction(67, 29)
BETWEEN = Fraction(1, 4) + BETA**2 / 2
GAMMA = BETWEEN / (BETWEEN + Fraction(1, 2))
SMALL = surveyed(
    [*np.repeat([2.0, 4.0, 7.0, 9.0], 2), np.nan],
    [*np.full(8, 0.5), np.inf],
    np.array([*np.repeat([1.0, 2.0, 3.0, 4.0], 2), 5.0])[:, None],
    0.5,
)


def test_a_small_case_is_what_the_fractions_say() -> None:
    fitted = fit_surveyed(SMALL, 0.25)
    assert fitted.beta == pytest.approx([float(BETA)])
    found = predict_surveyed(fitted, SMALL)
    assert found.gamma[:8] == pytest.approx(np.full(8, float(GAMMA)))
    assert found.known[:8] == pytest.approx(np.full(8, float(GAMMA / 2)))
    assert found.value[0] == pytest.approx(float(BETA + GAMMA * (2 - BETA)))


def test_an_area_that_was_not_measured_has_the_model_and_the_error_of_its_covariates() -> None:
    found = predict_surveyed(fit_surveyed(SMALL, 0.25), SMALL)
    assert found.value[8] == pytest.approx(float(5 * BETA))
    assert (found.gamma[8], found.known[8]) == (0.0, pytest.approx(float(BETWEEN)))


@given(st.lists(st.floats(-5, 5), min_size=4, max_size=20), st.floats(0.1, 2))
def test_without_errors_it_is_least_squares(values: list[float], variance: float) -> None:
    y = np.array(values)
    x = np.stack([np.ones(y.size), np.linspace(-1, 1, y.size)], axis=1)
    plain = fit(Areas(y, np.full(y.size, variance), x, np.zeros(y.size)), tau=0.7)
    assert fit_surveyed(surveyed(y, variance, x), 0.49).beta == pytest.approx(plain.beta, abs=1e-9)


def made(
    chance: np.random.Generator, count: int = 120, error: float = 0.8
) -> tuple[Surveyed, NDArray[np.float64]]:
    """Return areas of which the last fifth was not measured, with a covariate of variance 1, and what is true."""
    right = np.stack([np.ones(count), chance.normal(0, 1, count)], axis=1)
    errors = np.zeros((count, 2, 2))
    errors[:, 1, 1] = error**2 * np.linspace(0.2, 1.8, count)
    truth = right @ np.array([3.0, 1.0]) + chance.normal(0, 0.5, count)
    variance = np.linspace(0.1, 2.0, count)
    seen = right.copy()
    seen[:, 1] += chance.normal(0, np.sqrt(errors[:, 1, 1]))
    measured = truth + chance.normal(0, np.sqrt(variance))
    variance[-count // 5 :] = np.inf
    return Surveyed(measured, variance, seen, errors, np.zeros(count)), truth


def test_errors_in_covariates_do_not_draw_the_slope_to_zero() -> None:
    chance = np.random.default_rng(2)
    heeded, not_heeded, between = [], [], []
    for _ in range(100):
        told, _truth = made(chance)
        fitted = fit_surveyed(told)
        heeded.append(fitted.beta[1])
        between.append(float(fitted.variance))
        not_heeded.append(fit_surveyed(replace(told, errors=np.zeros_like(told.errors))).beta[1])
    # Standard error of the mean .02; Fuller's moderation draws it by some 3 %.
    assert np.mean(heeded) == pytest.approx(1.0, abs=0.05)
    assert np.mean(not_heeded) < 0.8
    assert np.mean(between) == pytest.approx(0.25, abs=0.08)


def test_errors_that_are_all_that_covariates_show_do_not_blow_up_the_slope() -> None:
    chance, count = np.random.default_rng(4), 40
    x = np.stack([np.ones(count), chance.normal(0, 1, count)], axis=1)
    errors = np.zeros((count, 2, 2))
    errors[:, 1, 1] = 5.0
    fitted = fit_surveyed(Surveyed(chance.normal(0, 1, count), np.ones(count), x, errors, np.zeros(count)))
    assert np.all(np.isfinite(fitted.beta))
    assert fitted.variance >= 0


def test_many_worlds_at_once_are_fitted_as_each_alone() -> None:
    chance = np.random.default_rng(6)
    told, _truth = made(chance, 30)
    worlds = np.stack([told.measured, told.measured + chance.normal(0, 1, 30), np.zeros(30)])
    together = fit_surveyed(replace(told, measured=worlds, covariates=np.stack([told.covariates] * 3)))
    for i, measured in enumerate(worlds):
        alone = fit_surveyed(replace(told, measured=measured))
        assert together.beta[i] == pytest.approx(alone.beta, abs=1e-6)
        assert together.variance[i] == pytest.approx(alone.variance, abs=1e-6)


def test_too_few_measured_areas_are_no_model() -> None:
    with pytest.raises(ValueError, match="more measured areas"):
        fit_surveyed(surveyed([1, 2, 3], [1, np.inf, np.inf], [[1.0], [1.0], [1.0]]))
    with pytest.raises(ValueError, match="two worlds"):
        bootstrap(fit_surveyed(MILK), MILK, np.random.default_rng(1), 1)


def test_the_bootstrap_agrees_with_the_formula_where_there_is_one() -> None:
    areas = Areas(milk.MEAN, milk.ERROR**2, milk.COVARIATES, np.zeros(43))
    formula = predict(fit(areas), areas).mse
    found = bootstrap(fit_surveyed(MILK), MILK, np.random.default_rng(1), 1000)
    # Of two estimators of τ² (.0186 and .0163), and to second order only.
    assert found.mse == pytest.approx(formula, rel=0.12)
    assert found.mse.mean() == pytest.approx(formula.mean(), rel=0.05)


@pytest.mark.parametrize("error", [0.8, 0.0], ids=["errors", "exact"])
def test_what_the_bootstrap_promises_is_what_comes(error: float) -> None:
    chance = np.random.default_rng(11)
    squares, promised = [], []
    for _ in range(100):
        told, truth = made(chance, 100, error)
        fitted = fit_surveyed(told)
        squares.append((predict_surveyed(fitted, told).value - truth) ** 2)
        promised.append(bootstrap(fitted, told, chance, 30).mse)
    came, told_of = np.mean(squares, axis=0), np.mean(promised, axis=0)
    # Standard error of the mean square about 2 %, of the 20 that were not measured 4 %; as much of the other.
    assert came[:80].mean() == pytest.approx(told_of[:80].mean(), rel=0.08)
    assert came[80:].mean() == pytest.approx(told_of[80:].mean(), rel=0.15)


def test_a_bootstrap_is_the_same_with_the_same_seed_and_never_negative() -> None:
    told = surveyed(np.linspace(0.99, 1.01, 12), 1.0, np.ones((12, 1)))
    fitted = fit_surveyed(told)
    assert fitted.variance == 0.0
    first, second = (bootstrap(fitted, told, np.random.default_rng(3), 100) for _ in range(2))
    assert np.array_equal(first.mse, second.mse)
    # τ̂² = 0 says nothing of the error of the mean, 1/12, and of that of τ̂² itself.
    assert np.all(first.mse > 1 / 12)


def test_what_is_known_to_scatter_remains_where_nothing_else_is_seen_to_vary() -> None:
    told = surveyed([*np.linspace(0.99, 1.01, 12), np.nan], [*np.ones(12), np.inf], np.ones((13, 1)))
    told = replace(told, scatter=np.full(13, 0.5))
    found = bootstrap(fit_surveyed(told), told, np.random.default_rng(3), 400)
    # ω and the error of the mean, (1 + 1/2)/12.
    assert found.mse[12] >= 0.5 + 0.9 * 1.5 / 12
