"""Noise: how large it must be by OpenDP's own map, what is refused, and how it falls."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import opendp.prelude as dp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from privacy.errors import PrivacyProblem, UsageProblem
from privacy.noise import (
    LARGEST_COUNT,
    TABLE_CELLS,
    Sampler,
    calibrate,
    deviation_milli,
    gaussian,
    laplace,
    mapped_loss,
    noise_of,
    noised,
    noised_chunks,
    sampler_for,
    variance,
)
from privacy.sampler.exact import Distribution
from privacy.sampler.measurement import CHUNK
from privacy.sensitivity import Declaration, Mechanism
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS, declare
from tests.pmf import probability, weights

GAUSSIAN: Mechanism = "discrete-gaussian"
LAPLACE: Mechanism = "discrete-laplace"
MECHANISMS = (GAUSSIAN, LAPLACE)
ONE = Declaration(cells_by_period=1, cells_by_day=2)
HOURLY = declare(PRESENCE_BY_HOUR, {}, 24)
#: rho .02 and what it asks for over 24 hours: 24/(2·.02) = 600 = 24.4949².
RHO, SIGMA = 20_000_000, 24_500
NOISE = gaussian(SIGMA)
#: Wider than the table.
WIDE = gaussian(3_000_000)
LARGEST = Declaration(cells_by_period=2**31, cells_by_day=2**31, cell_maximum=2**20)


def opendp_loss(squared: int, sigma_milli: int) -> Fraction:
    """Return the loss in nano-rho by OpenDP's map, at the sensitivity or the next double above it."""
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
    reach = math.sqrt(squared)
    if Fraction(reach) ** 2 < squared:
        reach = math.nextafter(reach, math.inf)
    measurement: Any = dp.m.make_gaussian(*space, scale=sigma_milli / 1000)
    return Fraction(measurement.map(reach)) * 10**9


def opendp_laplace_loss(absolute: int, scale_milli: int) -> Fraction:
    """Return the loss in nano-rho by OpenDP's map of Laplace noise, converted to zCDP by OpenDP."""
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    # Of the doubles next to a scale of thousandths, the lower one is never more noise than is drawn.
    scale = scale_milli / 1000
    if Fraction(scale) > Fraction(scale_milli, 1000):
        scale = math.nextafter(scale, 0.0)
    converted: Any = dp.c.make_pureDP_to_zCDP(dp.m.make_laplace(*space, scale=scale))
    return Fraction(converted.map(absolute)) * 10**9


# --- the scale --------------------------------------------------------------------------------------------


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


# --- the scale of Laplace noise ---------------------------------------------------------------------------


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


# --- how wide it is ---------------------------------------------------------------------------------------


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


# --- what is refused --------------------------------------------------------------------------------------


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


# --- how it falls -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "sigma", "sampler"),
    [
        (1, SIGMA, "opendp"),
        (TABLE_CELLS - 1, SIGMA, "opendp"),
        (TABLE_CELLS, SIGMA, "table"),
        (TABLE_CELLS, 299, "opendp"),
        (TABLE_CELLS, 300, "table"),
        (TABLE_CELLS, 2_000_000, "table"),
        (TABLE_CELLS, 2_000_001, "opendp"),
    ],
)
def test_large_vectors_are_noised_from_the_table_where_it_is_made_for_the_scale(
    cells: int, sigma: int, sampler: Sampler
) -> None:
    assert sampler_for(cells, gaussian(sigma)) == sampler


@pytest.mark.parametrize(("piece", "sampler"), [(TABLE_CELLS - 96, "opendp"), (200_000, "table")])
def test_noise_over_200_000_cells_has_mean_zero_the_declared_variance_and_no_memory(
    piece: int, sampler: Sampler
) -> None:
    cells, sigma = 200_000, SIGMA / 1000
    exact = np.resize(np.array([0, 0, 1, 17, -3, 10**6], np.int64), cells)
    parts = [noised(exact[at : at + piece], HOURLY, NOISE, RHO) for at in range(0, cells, piece)]
    assert {part.sampler for part in parts} == {sampler}
    answer = np.concatenate([part.values for part in parts])
    assert answer.dtype == np.int64
    assert answer.shape == (cells,)
    noise = (answer - exact).astype(np.float64)
    # A discrete Gaussian of this width has the variance σ² but for one part in e^(2π²σ²).
    assert abs(noise.mean()) < 6 * sigma / math.sqrt(cells)
    assert abs(noise.var() - sigma**2) < 6 * sigma**2 * math.sqrt(2 / cells)
    assert abs((noise**3).mean()) < 6 * sigma**3 * math.sqrt(15 / cells)
    assert abs((noise**4).mean() - 3 * sigma**4) < 6 * sigma**4 * math.sqrt(96 / cells)
    for lag in (1, 2, piece):
        if lag < cells:
            assert abs((noise[lag:] * noise[:-lag]).mean()) < 6 * sigma**2 / math.sqrt(cells - lag)
    empty = noise[exact == 0]
    assert abs(empty.var() - sigma**2) < 6 * sigma**2 * math.sqrt(2 / empty.size), "zeros are noised alike"
    none = (noise == 0).mean()
    expected = 1 / (sigma * math.sqrt(2 * math.pi))
    assert abs(none - expected) < 6 * math.sqrt(expected / cells), "as many cells unchanged as chance says"


@pytest.mark.parametrize("times", [1, 700], ids=["opendp", "table"])
def test_every_cell_gets_noise_zeros_included(times: int) -> None:
    exact = np.tile(np.array([0, 0, 0, 5, 1000, 0, -2], np.int64), times)
    moved = np.zeros(exact.shape, np.bool_)
    below = np.zeros(exact.shape, np.bool_)
    for _ in range(60):  # a cell stays put, or is never lowered, 60 times with a chance below 10⁻¹³
        answer = noised(exact, HOURLY, NOISE, RHO).values
        moved |= answer != exact
        below |= answer < exact
    assert moved.all()
    assert below.all(), "a count below zero is not clipped"


@pytest.mark.parametrize("cells", [100, TABLE_CELLS])
def test_two_answers_to_the_same_question_differ_and_the_exact_vector_is_left_alone(cells: int) -> None:
    exact = np.arange(cells, dtype=np.int64)
    first, second = (noised(exact, HOURLY, NOISE, RHO).values for _ in range(2))
    assert not np.array_equal(first, second)
    assert np.array_equal(exact, np.arange(cells))


@pytest.mark.parametrize("cells", [300, TABLE_CELLS])
def test_strided_vectors_are_noised_in_their_own_order(cells: int) -> None:
    wide = np.zeros((cells, 2), np.int64)
    wide[:, 1] = 10**9 * np.arange(cells)
    answer = noised(wide[:, 1], HOURLY, NOISE, RHO).values
    assert np.array_equal(np.round(answer / 10**9), np.arange(cells))


# --- in pieces --------------------------------------------------------------------------------------------


def test_a_vector_in_pieces_comes_back_in_order_with_other_noise_in_each_piece() -> None:
    sizes = [5_000, 1, 70_000, 3, 5_000]
    pieces = [np.full(size, 10**6 * place, np.int64) for place, size in enumerate(sizes)]
    answers = list(noised_chunks(iter(pieces), HOURLY, NOISE, RHO))
    assert [answer.shape for answer in answers] == [(size,) for size in sizes]
    noise = [answer - piece for answer, piece in zip(answers, pieces, strict=True)]
    assert all(np.abs(part).max() < 10 * SIGMA / 1000 for part in noise)
    assert not np.array_equal(noise[0], noise[4])
    every = np.concatenate(noise).astype(np.float64)
    assert abs(every.mean()) < 6 * (SIGMA / 1000) / math.sqrt(every.size)
    assert abs(every.var() - 600.25) < 6 * 600.25 * math.sqrt(2 / every.size)


def test_a_vector_in_pieces_is_refused_as_a_whole_one_is() -> None:
    piece = np.zeros(5_000, np.int64)
    with pytest.raises(PrivacyProblem, match="the noise is too small"):
        list(noised_chunks([piece], HOURLY, gaussian(SIGMA - 10), RHO))
    for wrong in (piece[:0], piece.astype(np.float64), np.full(5, 2**60, np.int64)):
        with pytest.raises(PrivacyProblem):
            list(noised_chunks([piece, wrong], HOURLY, NOISE, RHO))  # type: ignore[list-item]


def test_an_iterator_that_fills_one_array_again_and_again_is_noised_as_if_each_chunk_were_its_own() -> None:
    def refilled() -> Iterator[NDArray[np.int64]]:
        buffer = np.zeros(5_000, np.int64)
        for place in range(20):
            buffer[:] = 10**6 * place
            yield buffer

    for noise in (NOISE, WIDE):
        answers = list(noised_chunks(refilled(), HOURLY, noise, RHO))
        assert [int(np.round(answer.mean() / 10**6)) for answer in answers] == list(range(20))


@pytest.mark.parametrize("noise", [NOISE, WIDE], ids=["table", "opendp"])
def test_a_vector_of_no_chunks_is_refused(noise: Distribution) -> None:
    with pytest.raises(PrivacyProblem, match="no chunk at all") as caught:
        list(noised_chunks([], HOURLY, noise, RHO))
    assert "empty keyset" in caught.value.means


def test_the_loss_of_a_vector_in_pieces_is_checked_at_the_call() -> None:
    with pytest.raises(PrivacyProblem, match="the noise is too small"):
        noised_chunks([], HOURLY, gaussian(SIGMA - 10), RHO)


def test_noise_outside_the_table_is_drawn_piece_by_piece_too() -> None:
    cells = CHUNK + 5
    assert sampler_for(cells, WIDE) == "opendp"
    whole = noised(np.full(cells, 17, np.int64), HOURLY, WIDE, RHO)
    assert (whole.values.shape, whole.sampler) == ((cells,), "opendp")
    chunks = list(noised_chunks([np.full(30_000, 17, np.int64)] * 2, HOURLY, WIDE, RHO))
    assert not np.array_equal(chunks[0], chunks[1])
    for values in (whole.values, np.concatenate(chunks)):
        found = (values - 17).astype(np.float64)
        assert abs(found.mean()) < 6 * 3_000 / math.sqrt(found.size)
        assert abs(found.var() - 9e6) < 6 * 9e6 * math.sqrt(2 / found.size)


# --- what is no number ------------------------------------------------------------------------------------

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


# --- the largest declarations -----------------------------------------------------------------------------


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
