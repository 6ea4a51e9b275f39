"""Losses in nano-rho and in epsilon: rounding, refusals, and figures known from elsewhere."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import opendp.prelude as dp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from privacy.errors import UsageProblem
from privacy.units import LARGEST, NANO, NanoRho, epsilon, nano_rho

# --- nano-rho ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rho", "nano"),
    [
        (Fraction(1, 10), 100_000_000),
        (Fraction(3, 100), 30_000_000),
        (Fraction(1, 3), 333_333_334),
        (Fraction(1, 10**9), 1),
        (Fraction(1, 10**9) + Fraction(1, 10**30), 2),
        (Fraction(1, 10**400), 1),
        (0.5, 500_000_000),
        (math.nextafter(0.5, 1), 500_000_001),
        (math.nextafter(0.5, 0), 500_000_000),
        (2.0**-1022, 1),
        (1000.0, LARGEST),
        (Fraction(1000), LARGEST),
        (1, NANO),
    ],
)
def test_a_loss_becomes_whole_nano_rho_rounded_up(rho: Fraction | float, nano: int) -> None:
    assert nano_rho(rho) == nano


def test_a_decimal_that_is_not_a_binary_fraction_is_rounded_up_from_its_double() -> None:
    assert Fraction(0.1) > Fraction(1, 10)
    assert nano_rho(0.1) == 100_000_001
    assert Fraction(0.3) < Fraction(3, 10)
    assert nano_rho(0.3) == 300_000_000


@given(st.floats(min_value=1e-12, max_value=1000.0))
def test_a_rounded_loss_is_the_smallest_that_is_not_below(rho: float) -> None:
    nano = nano_rho(rho)
    assert Fraction(nano, NANO) >= Fraction(rho) > Fraction(nano - 1, NANO)


@pytest.mark.parametrize(
    "rho",
    [
        math.nan,
        math.inf,
        -math.inf,
        0.0,
        -0.0,
        -1.0,
        -1e-9,
        5e-324,
        2.0**-1023,
        math.nextafter(2.0**-1022, 0),
    ],
)
def test_a_loss_that_is_no_positive_normal_number_is_an_error(rho: float) -> None:
    with pytest.raises(UsageProblem) as caught:
        nano_rho(rho)
    assert caught.value.what == f"a loss of rho = {rho} is not a positive, normal number"


@pytest.mark.parametrize(
    "rho",
    [
        math.nextafter(1000.0, math.inf),
        1e300,
        Fraction(0),
        Fraction(-1, 10),
        Fraction(1000) + Fraction(1, 10**12),
        Fraction(10**400),
        0,
        1001,
    ],
)
def test_a_loss_outside_its_bounds_is_an_error(rho: Fraction | float) -> None:
    with pytest.raises(UsageProblem) as caught:
        nano_rho(rho)
    assert caught.value.what == "the loss is outside 0 < rho <= 1000"


def test_numbers_of_numpy_are_held_to_the_same_rule() -> None:
    assert nano_rho(np.float64(0.5)) == 500_000_000
    for bad in (np.float64("nan"), np.float64("inf"), np.float64(0)):
        with pytest.raises(UsageProblem):
            nano_rho(bad)


@pytest.mark.parametrize("value", [1, 30_000_000, LARGEST])
def test_documents_carry_losses_as_positive_whole_numbers(value: int) -> None:
    assert TypeAdapter(NanoRho).validate_python(value) == value


@pytest.mark.parametrize("value", [0, -1, LARGEST + 1, 1.0, True, "1", math.nan, None])
def test_documents_with_another_kind_of_loss_are_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(NanoRho).validate_python(value)


# --- epsilon ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nano", "figure", "digits"),
    [
        (100_000_000, 2.142, 3),  # the specification's example
        (30_000_000, 1.12, 2),  # default budget of a day
        (600_000_000, 5.79, 2),  # default budget of a month
        (3_100_000_000, 15.3, 1),  # rho = .1 on each of 31 days
        (36_500_000_000, 79.7, 1),  # rho = .1 on each day of a year
    ],
)
def test_epsilon_is_the_published_figure(nano: int, figure: float, digits: int) -> None:
    assert round(epsilon(nano, 1e-6), digits) == figure


@pytest.mark.parametrize("scale", [0.5, 0.9128709, 2.2360679775, 4.0824829, 22.360679775])
@pytest.mark.parametrize("delta", [1e-9, 1e-6, 0.01])
def test_epsilon_is_what_opendp_converts_to(scale: float, delta: float) -> None:
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
    measurement: Any = dp.m.make_gaussian(*space, scale=scale)
    converted: Any = dp.c.make_fix_delta(dp.c.make_zCDP_to_approxDP(measurement), delta)
    theirs, _delta = converted.map(1.0)
    ours = epsilon(nano_rho(measurement.map(1.0)), delta)
    assert ours == pytest.approx(theirs, rel=1e-5), "but for the rounding to nano-rho"
    assert ours >= theirs * (1 - 1e-12), "a loss that was rounded up is not reported as less"


@pytest.mark.parametrize("nano", [1, 1_000, 5_000_000, 100_000_000, 2_630_000_000, LARGEST])
@pytest.mark.parametrize("delta", [1e-12, 1e-6, 0.1, 0.9])
def test_epsilon_is_the_smallest_bound_over_a_dense_grid_of_alpha(nano: int, delta: float) -> None:
    excess = np.geomspace(1e-8, 1e12, 200_001)
    alpha, rho = 1 + excess, nano / 1e9
    bounds = alpha * rho + (-np.log(alpha * delta) + excess * (np.log(excess) - np.log(alpha))) / excess
    assert epsilon(nano, delta) == pytest.approx(max(0.0, bounds.min()), rel=1e-6, abs=1e-12)


def test_no_loss_is_epsilon_zero_and_epsilon_never_goes_below() -> None:
    assert epsilon(0, 1e-6) == 0.0
    assert epsilon(1, 0.99) == 0.0


def test_epsilon_grows_with_the_loss_and_shrinks_with_delta() -> None:
    by_loss = [epsilon(nano, 1e-6) for nano in (1, 10, 1_000, 10**6, 10**9, 10**11, LARGEST)]
    assert by_loss == sorted(set(by_loss))
    by_delta = [epsilon(NANO, delta) for delta in (0.5, 0.01, 1e-6, 1e-12, 1e-300)]
    assert by_delta == sorted(set(by_delta))


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-6, 1.5, math.nan, math.inf])
def test_a_delta_that_is_no_probability_is_an_error(delta: float) -> None:
    with pytest.raises(UsageProblem, match="is not between 0 and 1"):
        epsilon(1, delta)


def test_a_negative_loss_is_an_error() -> None:
    with pytest.raises(UsageProblem, match="is negative"):
        epsilon(-1, 1e-6)
