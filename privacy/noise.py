"""Discrete Gaussian noise over int64 vectors, drawn and accounted for by OpenDP.

The scale is found by asking OpenDP's own privacy map, so that its floating-point rounding is on the
safe side: σ is raised on the charter's grid until the map says that the loss is at most what was agreed.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import opendp.prelude as dp
from numpy.typing import NDArray

from privacy.errors import PrivacyProblem, UsageProblem
from privacy.sensitivity import Declaration
from privacy.units import NANO

dp.enable_features("contrib")

#: σ and its grid are whole thousandths.
MILLI = 1000
#: Exact counts above this could overflow sums of several operators in 64 bits.
LARGEST_COUNT = 2**53


@cache
def _measurement(sigma_milli: int) -> Any:
    """Return OpenDP's discrete Gaussian measurement over int64 vectors with standard deviation σ."""
    if sigma_milli <= 0:
        raise UsageProblem(f"a noise scale of {sigma_milli} thousandths is not positive")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
    return dp.m.make_gaussian(*space, scale=sigma_milli / MILLI)


def _root_up(squared: int) -> float:
    """Return the square root, rounded up unless exact."""
    root = math.isqrt(squared)
    return float(root) if root * root == squared else math.nextafter(math.sqrt(squared), math.inf)


def mapped_loss(delta_squared: int, sigma_milli: int) -> int:
    """Return OpenDP's privacy map of the noise, in nano-ρ rounded up.

    Parameters
    ----------
    delta_squared
        Δ₂², the squared L2 sensitivity.
    sigma_milli
        Standard deviation of the noise in thousandths.
    """
    return math.ceil(Fraction(_measurement(sigma_milli).map(_root_up(delta_squared))) * NANO)


def calibrate(declaration: Declaration, by_period: int, grid_milli: int) -> int:
    """Return the smallest σ on the grid, in thousandths, whose loss by OpenDP's map is at most `by_period`.

    σ² = Δ²/(2ρ), rounded up to the grid (Bun and Steinke 2016, proposition 1.6, for the discrete Gaussian
    Canonne, Kamath and Steinke 2020, theorem 4).
    """
    if grid_milli <= 0:
        raise UsageProblem(f"a grid of {grid_milli} thousandths is not positive")
    squared = Fraction(declaration.period_squared * NANO * MILLI**2, 2 * by_period)
    steps = max(1, math.isqrt(int(squared / grid_milli**2)))
    while (steps * grid_milli) ** 2 < squared:
        steps += 1
    while mapped_loss(declaration.period_squared, steps * grid_milli) > by_period:
        steps += 1
    return steps * grid_milli


def noised(
    exact: NDArray[np.int64], declaration: Declaration, sigma_milli: int, by_period: int
) -> NDArray[np.int64]:
    """Return the vector with independent discrete Gaussian noise in every cell.

    Parameters
    ----------
    exact
        One-dimensional int64 vector of counts, not empty; nothing is clipped.
    declaration
        Bounds that the vector was computed under.
    sigma_milli
        Standard deviation of the noise in thousandths.
    by_period
        Loss that will be charged, in nano-ρ.

    Raises
    ------
    PrivacyProblem
        If the noise is too small for the loss that will be charged, or a count is out of range.
    """
    if exact.dtype != np.int64 or exact.ndim != 1 or exact.size == 0:
        raise PrivacyProblem("only a one-dimensional, non-empty int64 vector can be noised")
    if mapped_loss(declaration.period_squared, sigma_milli) > by_period:
        raise PrivacyProblem("the noise is too small for the loss that would be charged")
    if int(exact.min()) < -LARGEST_COUNT or int(exact.max()) > LARGEST_COUNT:
        raise PrivacyProblem("a count is out of range for sums in 64 bits")
    return np.asarray(_measurement(sigma_milli)(exact.tolist()), dtype=np.int64)
