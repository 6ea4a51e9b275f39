"""How many cells a sketch has: near the best for persons and ρ, and never dependent on anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import UsageProblem
from privacy.sketch_size import FEWEST_BINS, MOST_BINS, bins_for


def variance(persons: int, rho: float, bins: float) -> float:
    return bins * (persons / bins + 1 / (2 * rho)) ** 2


def test_there_are_about_as_many_cells_as_persons_over_the_variance_of_the_noise() -> None:
    # 2ρn = 100,000 lies between 2¹⁶ = 65,536 and 2¹⁷ = 131,072; by ratio 1.31 against 1.53 the larger is nearer.
    assert bins_for(10**6, 0.05) == 2**17
    # 2ρn = 92,000: 1.40 from 2¹⁶, 1.42 from 2¹⁷.
    assert bins_for(10**5, 0.46) == 2**16


@given(st.integers(10**3, 10**7), st.floats(0.05, 0.8))
def test_the_variance_is_at_most_three_per_cent_above_the_least(persons: int, rho: float) -> None:
    least = 4 * persons / (2 * rho)
    assert variance(persons, rho, bins_for(persons, rho)) <= 1.031 * least


@given(st.integers(1, 10**12), st.floats(1e-9, 10.0))
def test_it_is_always_a_power_of_two_within_bounds(persons: int, rho: float) -> None:
    bins = bins_for(persons, rho)
    assert bins.bit_count() == 1
    assert FEWEST_BINS <= bins <= MOST_BINS


@pytest.mark.parametrize(
    ("persons", "rho"), [(0, 0.1), (-5, 0.1), (10, 0.0), (10, -1.0), (10, float("nan")), (10, float("inf"))]
)
def test_without_persons_or_loss_there_is_no_size(persons: int, rho: float) -> None:
    with pytest.raises(UsageProblem) as raised:
        bins_for(persons, rho)
    assert "what to do" in raised.value.explain()
