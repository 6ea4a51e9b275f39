"""The smallest scale of noise whose loss is what was agreed on."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.errors import PrivacyProblem, UsageProblem
from privacy.noise import (
    calibrate,
    gaussian,
    laplace,
    mapped_loss,
    noise_of,
    noised,
)
from privacy.sensitivity import Declaration, Mechanism
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS, declare
from tests.unit.privacy.noise.scales import (
    GAUSSIAN,
    HOURLY,
    LAPLACE,
    MECHANISMS,
    RHO,
    SIGMA,
    opendp_laplace_loss,
    opendp_loss,
)

# --- the scale -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statistic", "hours", "rho", "grid", "sigma"),
    [
        (PRESENCE_BY_HOUR, 24, 20_000_000, 10, 24_500),  # √600 = 24.4949
        (PRESENCE_BY_HOUR, 24, 20_000_000, 1, 24_495),
        (PRESENCE_BY_HOUR, 24, 20_000_000, 1_000, 25_000),
        (PRESENCE_BY_HOUR, 23, 20_000_000, 10, 23_980),  # √575 = 23.9792
        (PRESENCE_BY_HOUR, 25, 20_000_000, 1, 25_001),  # √625 = 25, but the double nearest .02 is above it
        (RESIDENTS, 1, 5_000_000, 1, 10_001),  # √100 = 10, likewise
        (RESIDENTS, 1, 4_999_999, 1, 10_001),
        (RESIDENTS, 1, 1, 1, 22_360_680),  # √(5·10⁸) = 22360.6798
    ],
)
def test_the_scale_is_the_root_of_half_the_sensitivity_by_the_loss_rounded_up_to_the_grid(
    statistic: str, hours: int, rho: int, grid: int, sigma: int
) -> None:
    assert calibrate(declare(statistic, {}, hours), GAUSSIAN, rho, grid) == sigma


@pytest.mark.parametrize("squared", [1, 2, 23, 24, 25, 24 * 25, 10**6])
@pytest.mark.parametrize("rho", [1, 5_000_000, 20_000_000, 30_000_001, 100_000_000, 2_630_000_000])
@pytest.mark.parametrize("grid", [1, 10, 1_000])
def test_the_scale_is_the_smallest_on_the_grid_whose_loss_opendp_finds_small_enough(
    squared: int, rho: int, grid: int
) -> None:
    bounds = Declaration(cells_by_period=squared, cells_by_day=squared)
    sigma = calibrate(bounds, GAUSSIAN, rho, grid)
    assert sigma % grid == 0
    assert opendp_loss(squared, sigma) <= rho
    assert sigma == grid or opendp_loss(squared, sigma - grid) > rho
    assert Fraction(sigma, 1000) ** 2 >= Fraction(squared * 10**9, 2 * rho), "the theorem agrees"


@pytest.mark.parametrize(
    ("cells", "maximum"),
    [(1, 1), (2, 1), (3, 1), (24, 1), (25, 5), (2**31, 1), (2**31 - 1, 2**20 - 1), (2**31, 2**20)],
)
@pytest.mark.parametrize("sigma", [300, 10_000, 24_495, 10**9])
def test_the_mapped_loss_is_never_below_the_theorem(cells: int, maximum: int, sigma: int) -> None:
    bounds = Declaration(cells_by_period=cells, cells_by_day=cells, cell_maximum=maximum)
    theorem = Fraction(cells * maximum**2 * 10**9, 2) / Fraction(sigma, 1000) ** 2
    found = mapped_loss(bounds, gaussian(sigma))
    assert found >= theorem
    assert found <= theorem * (1 + Fraction(1, 10**12)) + 1, "rounded up, not inflated"


def test_a_root_that_is_no_double_is_rounded_up() -> None:
    # So little noise that a loss has more digits than a double: a root rounded down would show.
    for squared in range(1, 400):
        bounds = Declaration(cells_by_period=squared, cells_by_day=squared)
        for sigma in (1, 3):
            assert mapped_loss(bounds, gaussian(sigma)) >= Fraction(squared * 10**15, 2 * sigma**2)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize(("by_period", "grid"), [(RHO, 0), (RHO, -10), (0, 10), (-1, 10)])
def test_a_grid_or_a_loss_that_is_not_positive_is_an_error(
    mechanism: Mechanism, by_period: int, grid: int
) -> None:
    with pytest.raises(UsageProblem, match="is not positive"):
        calibrate(HOURLY, mechanism, by_period, grid)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("scale", [0, -1])
def test_a_scale_of_zero_is_an_error_and_not_exact_data(mechanism: Mechanism, scale: int) -> None:
    with pytest.raises(UsageProblem, match=f"a noise scale of {scale} thousandths is not positive"):
        noise_of(mechanism, scale)


# --- the scale of Laplace noise ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statistic", "hours", "rho", "grid", "scale"),
    [
        (RESIDENTS, 1, 5_000_000, 1, 10_001),  # 1/√.01 = 10, but the double nearest .005 is above it
        (RESIDENTS, 1, 20_000_000, 10, 5_010),  # 1/√.04 = 5, likewise
        (RESIDENTS, 1, 4_500_000, 1, 10_541),  # 1/√.009 = 10.5409
        (PRESENCE_BY_HOUR, 24, 20_000_000, 10, 120_010),  # 24/√.04 = 120: √24 times the σ of Gaussian noise
        (PRESENCE_BY_HOUR, 23, 20_000_000, 1_000, 116_000),  # 23/√.04 = 115, likewise
        (RESIDENTS, 1, 1, 1, 22_360_680),  # √(5·10⁸) = 22360.6798
    ],
)
def test_the_scale_of_laplace_noise_is_the_absolute_sensitivity_by_the_root_of_twice_the_loss(
    statistic: str, hours: int, rho: int, grid: int, scale: int
) -> None:
    assert calibrate(declare(statistic, {}, hours), LAPLACE, rho, grid) == scale


@settings(deadline=None)
@given(
    cells=st.integers(1, 600),
    maximum=st.integers(1, 50),
    rho=st.integers(1, 3 * 10**9),
    grid=st.sampled_from([1, 10, 1_000]),
)
def test_the_laplace_scale_is_the_smallest_on_the_grid_whose_loss_opendp_finds_small_enough(
    cells: int, maximum: int, rho: int, grid: int
) -> None:
    bounds = Declaration(cells_by_period=cells, cells_by_day=cells, cell_maximum=maximum)
    scale = calibrate(bounds, LAPLACE, rho, grid)
    assert scale % grid == 0
    assert opendp_laplace_loss(cells * maximum, scale) <= rho
    assert scale == grid or opendp_laplace_loss(cells * maximum, scale - grid) > rho
    theorem = Fraction((cells * maximum) ** 2 * 10**9, 2) / Fraction(scale, 1000) ** 2
    assert theorem <= mapped_loss(bounds, laplace(scale)) <= rho, "ε²/2 with ε = Δ₁/b is what is charged"


@pytest.mark.parametrize(("cells", "maximum"), [(1, 1), (24, 1), (25, 5), (2**31, 1), (2**31, 2**20)])
@pytest.mark.parametrize("scale", [300, 10_000, 24_495, 10**9])
def test_the_mapped_loss_of_laplace_noise_is_never_below_the_theorem(
    cells: int, maximum: int, scale: int
) -> None:
    bounds = Declaration(cells_by_period=cells, cells_by_day=cells, cell_maximum=maximum)
    theorem = Fraction((cells * maximum) ** 2 * 10**9, 2) / Fraction(scale, 1000) ** 2
    assert theorem <= mapped_loss(bounds, laplace(scale)) <= theorem * (1 + Fraction(1, 10**12)) + 1


def test_laplace_noise_on_the_grid_is_taken_and_one_step_less_is_refused() -> None:
    cells, scale = np.zeros(3, np.int64), calibrate(HOURLY, LAPLACE, RHO, 10)
    assert noised(cells, HOURLY, laplace(scale), RHO).values.shape == (3,)
    with pytest.raises(PrivacyProblem, match="the noise is too small for the loss that would be charged"):
        noised(cells, HOURLY, laplace(scale - 10), RHO)
    with pytest.raises(PrivacyProblem, match="too small"):
        noised(cells, HOURLY, laplace(SIGMA), RHO)
