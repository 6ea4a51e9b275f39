"""What is no number, and the largest declarations."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from privacy.errors import PrivacyProblem, UsageProblem
from privacy.noise import (
    calibrate,
    gaussian,
    laplace,
    mapped_loss,
    noise_of,
    noised,
    noised_chunks,
    variance,
)
from privacy.sampler.exact import Distribution
from privacy.sensitivity import Declaration, Mechanism
from tests.unit.privacy.noise.scales import (
    HOURLY,
    LARGEST,
    MECHANISMS,
    NOISE,
    ONE,
    RHO,
)

# --- what is no number ---------------------------------------------------------------------------------

NO_LOSS = [math.nan, math.inf, -math.inf, 1e300, 0.5, float(RHO), True, np.int64(RHO), 0, -1, 10**400, None]


@pytest.mark.parametrize("by_period", NO_LOSS, ids=range(len(NO_LOSS)))
def test_nothing_is_noised_for_a_loss_that_is_no_whole_number(by_period: Any) -> None:
    exact = np.zeros(3, np.int64)
    with pytest.raises(UsageProblem):
        noised(exact, HOURLY, gaussian(1), by_period)
    with pytest.raises(UsageProblem):
        noised_chunks([exact], HOURLY, gaussian(1), by_period)
    for mechanism in MECHANISMS:
        with pytest.raises(UsageProblem):
            calibrate(HOURLY, mechanism, by_period, 10)


@pytest.mark.parametrize(
    "wrong", [math.nan, math.inf, 0.5, Fraction(1, 2), True, 10**400, 10**5000, None], ids=range(8)
)
def test_a_scale_or_grid_that_is_no_whole_number_is_refused(wrong: Any) -> None:
    for make in (gaussian, laplace):
        with pytest.raises(UsageProblem, match="a noise scale is not a whole number of thousandths"):
            make(wrong)
    for mechanism in MECHANISMS:
        with pytest.raises(UsageProblem):
            noise_of(mechanism, wrong)
        with pytest.raises(UsageProblem):
            calibrate(HOURLY, mechanism, RHO, wrong)


def test_there_are_no_other_mechanisms() -> None:
    wrong: Any = "laplace"
    for call in (lambda: noise_of(wrong, 10), lambda: calibrate(ONE, wrong, RHO, 10)):
        with pytest.raises(UsageProblem, match="there is no such mechanism"):
            call()


@pytest.mark.parametrize(
    "scale", [math.nan, 1.5, 1, Fraction(0), Fraction(1, 10**400), Fraction(10**400)], ids=range(6)
)
@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
def test_there_is_no_distribution_of_an_impossible_scale(kind: Any, scale: Any) -> None:
    with pytest.raises(UsageProblem, match="a noise scale is not"):
        Distribution(kind, scale)
    with pytest.raises(UsageProblem, match="a distribution is one of"):
        Distribution("normal", Fraction(1))  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [1, 2, 2**53])
def test_every_distribution_has_a_loss_and_a_variance(scale: int) -> None:
    for bounds in (ONE, LARGEST):
        for noise in (gaussian(scale), laplace(scale)):
            assert mapped_loss(bounds, noise) > 0
            assert math.isfinite(variance(noise))


@pytest.mark.parametrize("wrong", [[0, 1], (0,), None, "1"], ids=repr)
def test_what_is_no_array_is_not_noised(wrong: Any) -> None:
    with pytest.raises(PrivacyProblem, match="only a one-dimensional, non-empty int64 vector"):
        noised(wrong, HOURLY, NOISE, RHO)


# --- the largest declarations --------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("by_period", [1, 10**6, 10**12])
@pytest.mark.parametrize("grid", [1, 10, 10**9, 2**40])
@pytest.mark.parametrize("bounds", [(1, 1), (2**31, 1), (2**20, 2**10), (2**31, 2**20)], ids=str)
def test_the_search_for_a_scale_ends_with_the_smallest_or_with_a_clear_problem(
    mechanism: Mechanism, by_period: int, grid: int, bounds: tuple[int, int]
) -> None:
    found = Declaration(cells_by_period=bounds[0], cells_by_day=bounds[0], cell_maximum=bounds[1])
    period, _day = found.distances_squared(mechanism)
    if Fraction(period * 10**15, 2 * by_period) > (2**40 // grid * grid) ** 2:
        with pytest.raises(UsageProblem, match="the noise would have a scale above 1,099,511,627"):
            calibrate(found, mechanism, by_period, grid)
        return
    scale = calibrate(found, mechanism, by_period, grid)
    assert scale % grid == 0
    assert scale <= 2**40
    assert mapped_loss(found, noise_of(mechanism, scale)) <= by_period
    assert scale == grid or mapped_loss(found, noise_of(mechanism, scale - grid)) > by_period
