"""How wide noise is, and what is refused."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from privacy.errors import PrivacyProblem
from privacy.noise import (
    LARGEST_COUNT,
    TABLE_CELLS,
    calibrate,
    deviation_milli,
    gaussian,
    laplace,
    noised,
    variance,
)
from privacy.sampler.exact import Distribution
from privacy.statistics import PRESENCE_BY_HOUR, declare
from tests.pmf import probability, weights
from tests.unit.privacy.noise.scales import (
    HOURLY,
    LAPLACE,
    NOISE,
    ONE,
    RHO,
    SIGMA,
)

# --- how wide it is ------------------------------------------------------------------------------------


def exact_variance(noise: Distribution) -> Decimal:
    """Return the variance by summing the exact probabilities."""
    found, total = weights(noise)
    return 2 * sum((x * x * weight for x, weight in enumerate(found)), Decimal(0)) / total


@pytest.mark.parametrize("scale", [40, 100, 300, 500, 1_000, 2_500, 10_010, 34_650])
def test_the_variance_of_laplace_noise_is_that_of_its_probabilities(scale: int) -> None:
    exact = float(exact_variance(laplace(scale)))
    assert variance(laplace(scale)) == pytest.approx(exact, rel=1e-12)
    assert variance(laplace(scale)) < 2 * (scale / 1000) ** 2


@pytest.mark.parametrize("scale", [10**6, 10**8, 10**11, 10**14])
def test_the_variance_of_wide_laplace_noise_keeps_its_digits(scale: int) -> None:
    # 1/(2·sinh²(1/(2b))) = 2b² − 1/6 + 1/(120·b²) − …
    b = Fraction(scale, 1000)
    assert variance(laplace(scale)) == pytest.approx(
        float(2 * b**2 - Fraction(1, 6) + 1 / (120 * b**2)), rel=1e-12
    )


def test_laplace_noise_that_is_nearly_always_zero_has_nearly_no_variance() -> None:
    assert 0 <= variance(laplace(1)) < 1e-300
    assert variance(laplace(20)) == pytest.approx(2 * math.exp(-50), rel=1e-12)


@pytest.mark.parametrize("scale", [300, 500, 1_000, 2_500, 10_010, 34_650])
def test_the_variance_of_gaussian_noise_is_never_above_what_is_said_and_equal_from_a_scale_of_one(
    scale: int,
) -> None:
    exact, said = float(exact_variance(gaussian(scale))), variance(gaussian(scale))
    assert said == pytest.approx((scale / 1000) ** 2, rel=1e-15)
    assert exact <= said * (1 + 1e-12)
    if scale >= 1_000:
        assert exact == pytest.approx(said, rel=1e-6)


@pytest.mark.parametrize("scale", [40, 300, 1_000, 10_010, 24_495])
def test_the_standard_deviation_in_thousandths_is_rounded_up(scale: int) -> None:
    exact = exact_variance(laplace(scale)).sqrt() * 1000
    assert deviation_milli(laplace(scale)) == math.ceil(exact)
    assert deviation_milli(gaussian(scale)) == scale


@pytest.mark.parametrize("cells", [4_000, 400_000], ids=["opendp", "table"])
def test_laplace_noise_falls_as_wide_as_its_scale_says(cells: int) -> None:
    scale = calibrate(ONE, LAPLACE, RHO, 10)
    answer = noised(np.full(cells, 17, np.int64), ONE, laplace(scale), RHO)
    assert answer.sampler == ("table" if cells >= TABLE_CELLS else "opendp")
    noise = (answer.values - 17).astype(np.float64)
    spread = variance(laplace(scale))
    assert abs(noise.mean()) < 6 * math.sqrt(spread / cells)
    # The fourth moment of a Laplace distribution is six times the square of its variance.
    assert abs(noise.var() - spread) < 6 * spread * math.sqrt(5.1 / cells)
    none = (noise == 0).mean()
    expected = float(probability(laplace(scale), 0))
    assert abs(none - expected) < 6 * math.sqrt(expected / cells)


# --- what is refused -----------------------------------------------------------------------------------


def test_noise_on_the_grid_is_taken_and_one_step_less_is_refused() -> None:
    cells = np.zeros(3, np.int64)
    assert noised(cells, HOURLY, NOISE, RHO).values.shape == (3,)
    with pytest.raises(PrivacyProblem, match="the noise is too small for the loss that would be charged"):
        noised(cells, HOURLY, gaussian(SIGMA - 10), RHO)
    with pytest.raises(PrivacyProblem, match="too small"):
        noised(cells, declare(PRESENCE_BY_HOUR, {}, 25), NOISE, RHO)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros(3, np.float64),
        np.array([1.5, math.nan]),
        np.zeros(3, np.int32),
        np.zeros(3, np.uint64),
        np.zeros(3, np.bool_),
        np.zeros((2, 3), np.int64),
        np.zeros((), np.int64),
        np.zeros(0, np.int64),
    ],
    ids=["float", "nan", "int32", "uint64", "bool", "table", "scalar", "empty"],
)
def test_only_a_vector_of_64_bit_whole_numbers_is_noised(wrong: NDArray[Any]) -> None:
    with pytest.raises(PrivacyProblem, match="only a one-dimensional, non-empty int64 vector"):
        noised(wrong, HOURLY, NOISE, RHO)


@pytest.mark.parametrize("count", [LARGEST_COUNT + 1, -LARGEST_COUNT - 1, 2**63 - 1, -(2**63)])
def test_a_count_that_could_overflow_a_sum_is_refused(count: int) -> None:
    with pytest.raises(PrivacyProblem, match="a count is out of range"):
        noised(np.array([0, count, 0], np.int64), HOURLY, NOISE, RHO)


@pytest.mark.parametrize("pairs", [200, TABLE_CELLS])
def test_the_largest_counts_are_noised_and_not_clipped(pairs: int) -> None:
    exact = np.array([LARGEST_COUNT, -LARGEST_COUNT] * pairs, np.int64)
    noise = noised(exact, HOURLY, NOISE, RHO).values - exact
    assert np.abs(noise).max() < 10 * SIGMA / 1000
    assert (noise[::2] > 0).any()
    assert (noise[1::2] < 0).any()
