"""Combination and calibration: a small case worked out in fractions, and the noise by simulation."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.config import Register
from hub.estimation.calibrate import Z_95, Estimates, calibrate, share_drift
from hub.estimation.combine import Combined, combine
from privacy.noise import gaussian, noised
from privacy.sensitivity import Declaration
from privacy.terms import Terms
from quorate.contract.keyset import Keyset
from quorate.contract.zoning import ZONE, Zoning
from tests.support_hub import calibration, measured
from tests.support_node import zoning_of

NOTHING = calibration(0, 0, 0)


# --- combination ------------------------------------------------------------------------------------------


def at_zones(zones: int, hours: int, sigma: float) -> tuple[Keyset, Zoning, Terms]:
    """Return what `combine` asks for of so many zones with Gaussian noise."""
    return measured(zoning_of(zones), hours, {ZONE: round(sigma * 1000)})


def test_operators_are_added_up_and_so_are_the_variances_of_their_noise() -> None:
    east = np.array([1, 2, 3, 4, 5, 6], np.int64)
    north = np.array([10, 20, 30, -40, 50, 60], np.int64)
    west = np.array([-100, 0, 0, 0, 0, 1000], np.int64)
    both = combine([east, north], *at_zones(2, 2, sigma=1.5))
    assert both.zones.tolist() == [[11, 22], [33, -36]], "two zones and, last, what has no zone"
    assert both.special.tolist() == [55, 66]
    assert (both.covariance, both.operators) == (2 * 2.25, 2)
    every = combine([east, north, west], *at_zones(2, 2, sigma=1.5))
    assert every.zones.tolist() == [[-89, 22], [33, -36]], "nothing is clipped"
    assert every.special.tolist() == [55, 1066]
    assert (every.covariance, every.operators) == (3 * 2.25, 3)


def test_special_rows_are_kept_apart_and_together_make_what_has_no_zone() -> None:
    keyset, zoning, terms = at_zones(2, 2, sigma=1.5)
    apart = keyset.model_copy(update={"specials": ("unobserved:D", "unobserved")})
    one = np.array([1, 2, 3, 4, 5, 6, 7, 8], np.int64)
    found = combine([one, 10 * one], apart, zoning, terms)
    assert found.zones.tolist() == [[11, 22], [33, 44]]
    assert found.specials.tolist() == [[55, 66], [77, 88]]
    assert found.special.tolist() == [132, 154]


def test_one_operator_is_what_it_said() -> None:
    one = combine([np.array([7, -8], np.int64)], *at_zones(1, 1, sigma=2.0))
    assert (one.zones.tolist(), one.special.tolist(), one.covariance) == ([[7]], [-8], 4.0)


def test_sums_are_exact_where_floating_point_would_not_be() -> None:
    # 2⁵³ + 1 is no double: added up in floating point, the two ones would be lost.
    large, one = np.array([2**53, 0], np.int64), np.array([1, 0], np.int64)
    assert combine([large, one, one], *at_zones(1, 1, 1.0)).zones.tolist() == [[2**53 + 2]]


def test_combination_changes_no_vector() -> None:
    vector = np.arange(6, dtype=np.int64)
    combine([vector, vector], *at_zones(2, 2, 1.0))
    assert vector.tolist() == [0, 1, 2, 3, 4, 5]


# --- a small case by hand ---------------------------------------------------------------------------------
#
# Zones a, b and c; district ab = {a, b}. The operators count 300, 100 and 400 subscribers, Y = 800, with
# noise of σ² = 50 in each cell. The register knows 1000, 600, 1400 persons, of whom 800, 500, 1100 own a
# phone: O = 2400, so one subscriber stands for O/Y = 3 owners, and 200, 100, 300 persons have no phone.

REGISTER = Register(np.array([1000.0, 600.0, 1400.0]), np.array([800.0, 500.0, 1100.0]))
COUNTS = np.array([[300.0], [100.0], [400.0]])
A, B, C, AB, ALL = [0], [1], [2], [0, 1], [0, 1, 2]
VARIANCE, ZONES, RATIO, TOTAL = Fraction(50), 3, Fraction(3), 800


def small(operators: int = 3) -> Combined:
    return Combined(COUNTS, np.zeros((1, 1)), float(VARIANCE), operators)


def test_estimates_are_counts_scaled_to_owners_plus_persons_without_a_phone() -> None:
    found = calibrate(small(), REGISTER, [A, B, C, AB, ALL], NOTHING, 3).estimate
    # 3·300 + 200, 3·100 + 100, 3·400 + 300, and their sums
    assert found.tolist() == [[1100], [400], [1500], [1500], [3000]]


def test_the_whole_country_is_always_the_register() -> None:
    assert calibrate(small(), REGISTER, [ALL], NOTHING, 3).estimate.tolist() == [[1000 + 600 + 1400]]


def noise_by_hand(counted: int, zones: int) -> Fraction:
    """Var(3·C/T) about C/T = p: 9·[Var(C) − 2p·Cov(C, T) + p²·Var(T)], C of m cells, T of Z."""
    p = Fraction(counted, TOTAL)
    var_c, cov, var_t = zones * VARIANCE, zones * VARIANCE, ZONES * VARIANCE
    return RATIO**2 * (var_c - 2 * p * cov + p**2 * var_t)


@pytest.mark.parametrize(
    ("area", "counted", "variance"),
    [
        # 450·(1 − 2·3/8 + 3·9/64) = 450·43/64
        (A, 300, Fraction(450 * 43, 64)),
        # 450·(1 − 2/8 + 3/64) = 450·51/64
        (B, 100, Fraction(450 * 51, 64)),
        # 450·(1 − 1 + 3/4) = 450·3/4
        (C, 400, Fraction(450 * 3, 4)),
        # 450·(2·(1 − 1) + 3/4): a district of two zones with half of all
        (AB, 400, Fraction(450 * 3, 4)),
        # 450·(3·(1 − 2) + 3) = 0: the country is the register
        (ALL, 800, Fraction(0)),
    ],
)
def test_the_noise_goes_through_the_ratio(area: list[int], counted: int, variance: Fraction) -> None:
    assert noise_by_hand(counted, len(area)) == variance
    found = calibrate(small(), REGISTER, [area], NOTHING, 3).std_error
    assert found[0, 0] ** 2 == pytest.approx(float(variance), rel=1e-12, abs=1e-9)


def test_every_declared_assumption_adds_its_variance() -> None:
    # Area a: 900 owners of the 1100 persons.
    noise = Fraction(450 * 43, 64)
    dispersion = Fraction(250, 1000) * 900
    left_out = Fraction(20, 1000) ** 2 * 1100**2
    # Two of three operators with a third each: δ²·[2·(1/3)²·(1/3)² + (2/3)²·(1/3)²]/(2/3)² = δ²/6
    drift = Fraction(250, 1000) ** 2 / 6 * 900**2
    assert [dispersion, left_out, drift] == [225, 484, Fraction(16875, 2)]
    cases = [
        (calibration(250, 0, 0), 3, noise + dispersion),
        (calibration(0, 20, 0), 3, noise + left_out),
        (calibration(0, 0, 250), 3, noise),
        (calibration(0, 0, 250), 2, noise + drift),
        (calibration(250, 20, 250), 2, noise + dispersion + left_out + drift),
    ]
    for assumed, answered, variance in cases:
        found = calibrate(small(answered), REGISTER, [A], assumed, 3)
        assert found.std_error[0, 0] == pytest.approx(math.sqrt(variance), rel=1e-12)
        assert found.estimate[0, 0] == 1100


def test_the_interval_is_the_normal_one_and_not_below_zero() -> None:
    found = Estimates(np.array([[1000.0, 10.0, -500.0]]), np.array([[100.0, 20.0, 10.0]]), np.zeros((1, 3)))
    assert pytest.approx(1.959963984540054) == Z_95
    assert found.lower_95[0].tolist() == pytest.approx([1000 - 195.9963984540054, 0, 0])
    assert found.upper_95[0].tolist() == pytest.approx([1000 + 195.9963984540054, 10 + 39.19927969080108, 0])


def test_a_count_below_zero_is_scaled_and_not_clipped() -> None:
    counts = Combined(np.array([[-10.0], [410.0], [400.0]]), np.zeros((1, 1)), 50.0, 3)
    found = calibrate(counts, REGISTER, [A], calibration(250, 0, 0), 3)
    assert found.estimate[0, 0] == 3 * -10 + 200
    p = Fraction(-10, 800)
    assert found.std_error[0, 0] ** 2 == pytest.approx(float(450 * (1 - 2 * p + 3 * p**2)))


# --- hours of which nothing can be said -------------------------------------------------------------------


def test_an_hour_whose_total_is_lost_in_its_noise_says_nothing() -> None:
    # Three cells of σ² = 12: five standard deviations of the total are 5·√36 = 30.
    hours = np.array([[10.0, 10.0, 0.0, -50.0], [10.0, 10.0, 0.0, 10.0], [10.0, 10.5, 0.0, 10.0]])
    found = calibrate(Combined(hours, np.zeros((1, 4)), 12.0, 3), REGISTER, [A, ALL], calibration(), 3)
    usable = np.isfinite(found.std_error)
    assert usable.tolist() == [[False, True, False, False]] * 2, "exactly at the bound is not above it"
    assert found.std_error[:, [0, 2, 3]].tolist() == [[math.inf] * 3] * 2
    assert not np.isnan(found.estimate).any()
    assert found.lower_95[:, 0].tolist() == [0, 0]
    assert found.upper_95[:, 0].tolist() == [math.inf, math.inf]


def test_a_lost_hour_does_not_touch_the_others() -> None:
    alone = calibrate(small(), REGISTER, [A, AB], calibration(), 3)
    beside = Combined(np.hstack([COUNTS, np.zeros((3, 1))]), np.zeros((1, 2)), 50.0, 3)
    found = calibrate(beside, REGISTER, [A, AB], calibration(), 3)
    assert found.estimate[:, 0].tolist() == alone.estimate[:, 0].tolist()
    assert found.std_error[:, 0].tolist() == alone.std_error[:, 0].tolist()


def test_who_lacks_an_hour_is_missing_in_it_and_not_zero() -> None:
    """The others are scaled to the nation, and the hour has the error of missing operators; the next has not."""
    counts = Combined(np.hstack([COUNTS, COUNTS]), np.zeros((1, 2)), float(VARIANCE), 3)
    drifting = calibration(0, 0, 250)
    found = calibrate(counts, REGISTER, [A], drifting, 3, answered=np.array([2, 3]))
    assert found.estimate[0].tolist() == [1100, 1100]
    for hour, answered in enumerate((2, 3)):
        alone = calibrate(small(answered), REGISTER, [A], drifting, 3)
        assert found.std_error[0, hour] == pytest.approx(alone.std_error[0, 0], rel=1e-12)
    assert found.std_error[0, 0] > found.std_error[0, 1]


# --- additivity -------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(1, 25))
def test_zones_add_up_to_districts_and_districts_to_the_register(seed: int, hours: int) -> None:
    rng = np.random.default_rng(seed)
    population = rng.uniform(100, 10_000, 9)
    register = Register(population, population * rng.uniform(0.5, 1.0, 9))
    counts = Combined(rng.uniform(-50, 5_000, (9, hours)).round(), np.zeros((1, hours)), 1.0, 3)
    zones = [[zone] for zone in range(9)]
    districts = [[0, 1, 2], [3, 4], [5, 6, 7, 8]]
    fine = calibrate(counts, register, zones, NOTHING, 3).estimate
    coarse = calibrate(counts, register, districts, NOTHING, 3).estimate
    for row, members in enumerate(districts):
        assert fine[members].sum(axis=0) == pytest.approx(coarse[row], rel=1e-12)
    assert coarse.sum(axis=0) == pytest.approx(np.full(hours, population.sum()), rel=1e-12)


# --- missing operators ------------------------------------------------------------------------------------


def drift_by_hand(answered: int, operators: int) -> Fraction:
    """δ²·[Σ_S s²(1−s_S)² + s_S²·Σ_∉S s²]/s_S² of the specification, with δ = 1 and equal shares."""
    shares = [Fraction(1, operators)] * operators
    present, missing = shares[:answered], shares[answered:]
    s = sum(present, Fraction(0))
    inside = sum((share**2 * (1 - s) ** 2 for share in present), Fraction(0))
    return (inside + s**2 * sum((share**2 for share in missing), Fraction(0))) / s**2


def test_shares_do_not_drift_when_every_operator_answered() -> None:
    for operators in range(1, 9):
        assert share_drift(operators, operators, 0.25) == 0.0


def test_the_drift_of_shares_is_the_formula_of_the_specification() -> None:
    assert [drift_by_hand(answered, 3) for answered in (3, 2, 1)] == [0, Fraction(1, 6), Fraction(2, 3)]
    for operators in range(1, 7):
        for answered in range(1, operators + 1):
            expected = 0.0625 * float(drift_by_hand(answered, operators))
            assert share_drift(answered, operators, 0.25) == pytest.approx(expected, rel=1e-12, abs=1e-18)


def test_the_fewer_answer_the_more_the_shares_drift() -> None:
    for operators in range(2, 9):
        found = [share_drift(answered, operators, 0.25) for answered in range(operators, 0, -1)]
        assert found == sorted(set(found))


def test_the_drift_is_the_variance_of_simulated_shares() -> None:
    rng = np.random.default_rng(5)
    sd = 0.02  # small, for the formula is linear
    shares = np.exp(rng.normal(0, sd, (400_000, 5)))
    shares /= shares.sum(axis=1, keepdims=True)
    for answered in (1, 2, 4):
        simulated = np.log(shares[:, :answered].sum(axis=1)).var()
        assert share_drift(answered, 5, sd) == pytest.approx(simulated, rel=0.02)


def test_without_declared_drift_a_missing_operator_adds_none() -> None:
    assert share_drift(1, 3, 0.0) == 0.0


# --- the noise, simulated ---------------------------------------------------------------------------------


def simulated(draws: int, sigma_milli: int, operators: int) -> tuple[Combined, NDArray[np.float64]]:
    """Return noisy counts of five zones, each hour one draw of real noise, and the exact counts."""
    exact = np.array([4000, 2500, 5500, 3000, 500], np.int64)
    cells = np.vstack([np.repeat(exact[:, None], draws, axis=1), np.zeros((1, draws), np.int64)])
    bounds = Declaration(cells_by_period=1, cells_by_day=1)
    noise = gaussian(sigma_milli)
    vectors = [noised(cells.ravel(), bounds, noise, 10**9).values for _ in range(operators)]
    return combine(vectors, *at_zones(5, draws, sigma_milli / 1000)), operators * exact.astype(np.float64)


def test_standard_errors_are_those_of_simulated_noise_and_intervals_cover() -> None:
    combined, exact = simulated(draws=5_000, sigma_milli=40_000, operators=2)
    population = np.array([10_000.0, 6_000.0, 14_000.0, 8_000.0, 1_500.0])
    register = Register(population, 0.8 * population)
    areas = [[0], [1], [4], [0, 1], [2, 3, 4]]
    found = calibrate(combined, register, areas, NOTHING, 2)
    without = calibrate(Combined(exact[:, None], np.zeros((1, 1)), 1e-12, 2), register, areas, NOTHING, 2)
    spread = found.estimate.std(axis=1)
    assert found.std_error.mean(axis=1) == pytest.approx(spread, rel=0.05)
    assert found.estimate.mean(axis=1) == pytest.approx(
        without.estimate[:, 0], abs=6 * spread.max() / math.sqrt(5_000) + 0.5
    )
    inside = (found.lower_95 <= without.estimate) & (without.estimate <= found.upper_95)
    # A share of 95 % in 5000 draws has a standard deviation of 0.31 %.
    assert inside.mean(axis=1) == pytest.approx(np.full(5, 0.95), abs=6 * 0.0031)


def test_the_whole_country_has_no_error_of_noise() -> None:
    combined, _exact = simulated(draws=50, sigma_milli=40_000, operators=2)
    register = Register(np.full(5, 1000.0), np.full(5, 800.0))
    found = calibrate(combined, register, [[0, 1, 2, 3, 4]], NOTHING, 2)
    assert found.estimate == pytest.approx(np.full((1, 50), 5000.0), rel=1e-12)
    assert found.std_error == pytest.approx(np.zeros((1, 50)), abs=1e-3)
