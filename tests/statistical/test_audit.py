"""The real code path betrays what it claims and no more; deliberately broken variants are caught."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from privacy.levels import noised_levels, split
from privacy.noise import TABLE_CELLS, calibrate, gaussian, laplace, noised
from privacy.sensitivity import Declaration
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS, declare
from privacy.terms import Level, Terms
from tests.statistical.audit import Mechanism, audit, audit_epsilon

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


HOME = declare(RESIDENTS, {}, 1)
DAY = date(2026, 5, 1)


def two_levels(rho: int) -> Terms:
    """Return terms of residents, measured at two levels with different noise."""
    levels = (Level(name="zone", share_permille=700), Level(name="district", share_permille=300))
    return Terms(
        product="residents",
        statistic=RESIDENTS,
        parameters={},
        zoning="a" * 64,
        keyset="b" * 64,
        levels=split(levels, HOME, "discrete-gaussian", rho, 10),
        first_day=DAY,
        last_day=DAY,
        bounds=HOME,
        mechanism="discrete-gaussian",
        by_period=rho,
        charter_version=1,
    )


@pytest.mark.full
@pytest.mark.parametrize("rho", [5_000_000, 200_000_000])
def test_two_levels_together_betray_what_the_whole_claims(rho: int) -> None:
    terms, half = two_levels(rho), CELLS // 2
    without = np.arange(CELLS, dtype=np.int64)
    with_one = without.copy()
    with_one[[0, half]] += 1

    def mechanism(exact: NDArray[np.int64]) -> NDArray[np.int64]:
        values, samplers = noised_levels([exact[:, :half].ravel(), exact[:, half:].ravel()], terms)
        assert samplers == ("table", "table")
        parts = np.split(values, 2)
        return np.concatenate([part.reshape(-1, half) for part in parts], axis=1)

    scales = np.repeat([level.scale_milli / 1000 for level in terms.levels], half)
    found, claim = audit(mechanism, without, with_one, TRIALS, scales), float(np.sqrt(2 * rho / 1e9))
    assert found.limit <= claim
    assert found.estimate >= 0.9 * claim


@pytest.mark.full
def test_opendps_sampler_betrays_what_is_claimed() -> None:
    rho, trials, cells = 200_000_000, 50_000, 4
    sigma = calibrate(HOME, "discrete-gaussian", rho, 10)
    without, with_one = np.arange(cells), np.arange(cells)
    with_one[0] += 1

    def mechanism(exact: NDArray[np.int64]) -> NDArray[np.int64]:
        flat, size = exact.ravel(), TABLE_CELLS - 1
        parts = [noised(flat[at : at + size], HOME, gaussian(sigma), rho) for at in range(0, flat.size, size)]
        assert {part.sampler for part in parts} == {"opendp"}
        return np.concatenate([part.values for part in parts]).reshape(exact.shape)

    found, claim = audit(mechanism, without, with_one, trials), float(np.sqrt(2 * rho / 1e9))
    assert found.limit <= claim
    assert found.estimate >= 0.9 * claim


@pytest.mark.full
@pytest.mark.parametrize("rho", [5_000_000, 200_000_000])
def test_laplace_noise_betrays_its_epsilon_and_half_of_it_is_caught(rho: int) -> None:
    scale, claim = calibrate(HOME, "discrete-laplace", rho, 10), float(np.sqrt(2 * rho / 1e9))

    def of(milli: int, charged: int) -> Mechanism:
        return lambda exact: noised(exact.ravel(), HOME, laplace(milli), charged).values.reshape(exact.shape)

    found = audit_epsilon(of(scale, rho), *neighbours(HOME), TRIALS)
    assert found.limit <= claim
    assert found.estimate >= 0.9 * claim
    # Half a scale is at most four times the loss, but for the rounding to whole thousandths.
    broken = of(scale // 2, 5 * rho)
    assert audit_epsilon(broken, *neighbours(HOME), TRIALS).limit > claim
