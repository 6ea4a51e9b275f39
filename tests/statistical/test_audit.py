"""The real code path betrays what it claims and no more; deliberately broken variants are caught."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from privacy.noise import calibrate, gaussian, noised
from privacy.sensitivity import Declaration
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS, declare
from tests.statistical.audit import Mechanism, audit

TRIALS = 400_000
CELLS = 40


def real(declaration: Declaration, rho: int) -> tuple[Mechanism, float]:
    """Return the real code path for a declaration and loss, and the μ that it claims."""
    sigma = calibrate(declaration, "discrete-gaussian", rho, 10)

    def mechanism(exact: NDArray[np.int64]) -> NDArray[np.int64]:
        result = noised(exact.reshape(-1), declaration, gaussian(sigma), rho)
        assert result.sampler == "table"
        return result.values.reshape(exact.shape)

    return mechanism, float(np.sqrt(2 * rho / 1e9))


def neighbours(declaration: Declaration) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return vectors that differ by as much as one subscriber can make."""
    without = np.arange(CELLS, dtype=np.int64)
    with_one = without.copy()
    with_one[: declaration.cells_by_period] += declaration.cell_maximum
    return without, with_one


CASES = [
    (declare(PRESENCE_BY_HOUR, {}, 24), 20_000_000),
    (declare(RESIDENTS, {}, 1), 5_000_000),
    (declare(RESIDENTS, {}, 1), 200_000_000),
]


@pytest.mark.full
@pytest.mark.parametrize(("declaration", "rho"), CASES)
def test_what_is_betrayed_is_what_is_claimed(declaration: Declaration, rho: int) -> None:
    mechanism, claim = real(declaration, rho)
    found = audit(mechanism, *neighbours(declaration), TRIALS)
    print(f"\nclaimed mu {claim:.4f}, found {found.estimate:.4f}, lower limit {found.limit:.4f}")
    assert found.limit <= claim
    assert found.estimate >= 0.9 * claim


@pytest.mark.full
@pytest.mark.parametrize(("declaration", "rho"), CASES)
def test_half_the_noise_is_caught(declaration: Declaration, rho: int) -> None:
    sigma = calibrate(declaration, "discrete-gaussian", rho, 10)

    def broken(exact: NDArray[np.int64]) -> NDArray[np.int64]:
        half = replace(gaussian(sigma), scale=Fraction(sigma, 2000))
        return noised(exact.reshape(-1), declaration, half, 4 * rho + 10**6).values.reshape(exact.shape)

    assert audit(broken, *neighbours(declaration), TRIALS).limit > np.sqrt(2 * rho / 1e9)


@pytest.mark.full
@pytest.mark.parametrize(("declaration", "rho"), CASES)
def test_a_bound_that_is_off_by_the_root_of_two_is_caught(declaration: Declaration, rho: int) -> None:
    mechanism, claim = real(declaration, rho)
    without, _with_one = neighbours(declaration)
    with_more = without.copy()
    with_more[: min(2 * declaration.cells_by_period, CELLS - 1)] += 1
    squared = int(((with_more - without) ** 2).sum())
    assert squared > 1.5 * declaration.period_squared
    assert audit(mechanism, without, with_more, TRIALS).limit > claim


@pytest.mark.full
@pytest.mark.parametrize(("declaration", "rho"), CASES)
def test_noise_that_is_used_for_every_cell_is_caught(declaration: Declaration, rho: int) -> None:
    sigma = calibrate(declaration, "discrete-gaussian", rho, 10)

    def broken(exact: NDArray[np.int64]) -> NDArray[np.int64]:
        once = noised(np.zeros(len(exact), dtype=np.int64), declaration, gaussian(sigma), rho).values
        return exact + once[:, None]

    assert audit(broken, *neighbours(declaration), TRIALS).limit > np.sqrt(2 * rho / 1e9)
