"""Privacy loss in whole nano-rho, and what it is in epsilon and delta.

A loss is zero-concentrated differential privacy (zCDP, Bun and Steinke 2016) counted in integers of
10⁻⁹ ρ, so that sums are exact; whatever is converted into it is rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Annotated

from pydantic import Field

from privacy.errors import UsageProblem

NANO = 1_000_000_000
#: More than this is no privacy at all; it also keeps every sum far inside 64 bits.
LARGEST = 1_000 * NANO

NanoRho = Annotated[int, Field(strict=True, gt=0, le=LARGEST)]
"""A loss in nano-ρ as documents carry it: a positive whole number."""


def nano_rho(rho: Fraction | float) -> int:
    """Convert a loss to nano-ρ, rounded up.

    Parameters
    ----------
    rho
        Loss in ρ, finite and positive.

    Raises
    ------
    UsageProblem
        If `rho` is NaN, infinite, not positive, subnormal, above 1000, or of another type.
    """
    if isinstance(rho, bool) or not isinstance(rho, int | float | Fraction):
        raise UsageProblem(f"a loss that is a {type(rho).__name__} is no int, float or Fraction")
    if isinstance(rho, float) and not (math.isfinite(rho) and rho >= 2.0**-1022):
        raise UsageProblem(f"a loss of rho = {rho} is not a positive, normal number")
    return require_nano(math.ceil(Fraction(rho) * NANO))


def require_nano(nano: int) -> int:
    """Return a loss in nano-ρ, if it can be one (UsageProblem)."""
    if type(nano) is not int:
        raise UsageProblem("the loss is not a whole number of nano-rho")
    if not 0 < nano <= LARGEST:
        raise UsageProblem(f"the loss is outside 0 < rho <= {LARGEST // NANO}")
    return nano


def epsilon(nano: int, delta: float) -> float:
    """Return the ε of (ε, δ)-differential privacy that a zCDP loss implies.

    ε(δ) = inf over α > 1 of αρ + [ln(1/(αδ)) + (α−1)·ln(1−1/α)]/(α−1); Canonne, Kamath and Steinke 2020,
    "The Discrete Gaussian for Differential Privacy", proposition 12.

    Parameters
    ----------
    nano
        Loss in nano-ρ, a whole number in 64 bits, because totals can be above `LARGEST`; zero gives zero.
    delta
        Between 0 and 1, both excluded.

    Raises
    ------
    UsageProblem
        If one of them is not so.
    """
    if not isinstance(delta, float) or not 0 < delta < 1:
        raise UsageProblem(f"delta = {delta} is not between 0 and 1")
    if type(nano) is not int or nano >= 2**63:
        raise UsageProblem("the loss is not a whole number of nano-rho in 64 bits")
    if nano < 0:
        raise UsageProblem(f"a loss of {nano} nano-rho is negative")
    if nano == 0:
        return 0.0
    rho = nano / NANO

    def bound(log_excess: float) -> float:
        excess = math.exp(log_excess)
        alpha = 1.0 + excess
        return alpha * rho - math.log(alpha * delta) / excess + math.log(excess / alpha)

    return max(0.0, _smallest(bound, -25.0, 50.0))


def _smallest(bound: Callable[[float], float], low: float, high: float) -> float:
    """Return the minimum of a function with one valley, by golden-section search."""
    ratio = (math.sqrt(5.0) - 1.0) / 2.0
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    for _ in range(200):
        if bound(left) < bound(right):
            high, right = right, left
            left = high - ratio * (high - low)
        else:
            low, left = left, right
            right = low + ratio * (high - low)
    return bound((low + high) / 2.0)
