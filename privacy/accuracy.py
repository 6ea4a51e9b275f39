"""How accurate noised counts are, by size of count, number of operators and loss; without any data.

The error is that of the noise alone: the sum over k operators of a true count n carries noise of variance at
most kσ² (Canonne, Kamath and Steinke 2020), so its coefficient of variation is σ√k/n. A hierarchy measured at
several levels splits the loss by declared shares; every level is a Gaussian of its own, with the Δ² of its
own bounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from privacy.errors import UsageProblem
from privacy.levels import PERMILLE, part_of
from privacy.noise import MILLI, calibrate, deviation_milli, noise_of
from privacy.sensitivity import Declaration, Mechanism
from privacy.terms import Level, Name
from privacy.units import LARGEST, require_nano

#: Of counts and operators.
LARGEST_NUMBER = 2**53
#: From the smallest loss to the largest and back.
MOST_DECADES = 24
#: In a picture.
MOST_POINTS = 10_000
#: δ at which ε is shown.
DELTA = 1e-6
#: Sizes of count, over all operators together.
SIZES = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
#: Coefficients of variation in thousandths: reliable up to 10 %, published up to 25 %.
WANTED = (250, 100)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measured(_Frozen):
    """A level of the zoning that is measured: its share of the loss, its own bounds, and its noise."""

    level: Level
    bounds: Declaration
    mechanism: Mechanism = "discrete-gaussian"


class Accuracy(_Frozen):
    """Noise of a level when so many operators answer.

    Attributes
    ----------
    cv
        Coefficient of variation of a count, by its size.
    smallest
        Smallest count that has at most a coefficient of variation, by that in thousandths.
    """

    operators: int
    cv: dict[int, float]
    smallest: dict[int, int]


class LevelPlan(_Frozen):
    """One level: its part of the loss, its noise, and what can be read in it.

    Attributes
    ----------
    by_period
        Part of the loss in nano-ρ, rounded down.
    period_squared
        Δ² by period, in the norm of the mechanism.
    scale_milli, sigma_milli
        Scale and standard deviation of the noise in thousandths; for Gaussian noise they are the same.
    accuracy
        By number of operators.
    """

    name: Name
    share_permille: int
    by_period: int
    mechanism: Mechanism
    period_squared: int
    scale_milli: int
    sigma_milli: int
    accuracy: tuple[Accuracy, ...]


class ErrorPoint(NamedTuple):
    """The coefficient of variation of a count of some size at a loss of `nano` nano-ρ."""

    nano: int
    size: int
    cv: float


def level_plan(
    part: Measured,
    by_period: int,
    grid_milli: int,
    *,
    operators: Sequence[int],
    sizes: Sequence[int] = SIZES,
    wanted: Sequence[int] = WANTED,
) -> LevelPlan:
    """Return noise and accuracy of a level.

    Parameters
    ----------
    part
        The level.
    by_period
        Loss in nano-ρ of the whole period, over all levels.
    grid_milli
        Grid of σ, in thousandths.
    operators, sizes, wanted
        Numbers of operators, sizes of count over them together, and coefficients of variation in thousandths.

    Raises
    ------
    UsageProblem
        If the level's part of the loss is less than a nano-ρ.
    """
    share = part_of(part.level, by_period)
    scale_milli = calibrate(part.bounds, part.mechanism, share, grid_milli)
    sigma_milli = deviation_milli(noise_of(part.mechanism, scale_milli))
    return LevelPlan(
        name=part.level.name,
        share_permille=part.level.share_permille,
        by_period=share,
        mechanism=part.mechanism,
        period_squared=part.bounds.distances_squared(part.mechanism)[0],
        scale_milli=scale_milli,
        sigma_milli=sigma_milli,
        accuracy=tuple(_accuracy(sigma_milli, number, sizes, wanted) for number in operators),
    )


def _accuracy(sigma_milli: int, operators: int, sizes: Sequence[int], wanted: Sequence[int]) -> Accuracy:
    return Accuracy(
        operators=operators,
        cv={size: cv(sigma_milli, operators, size) for size in sizes},
        smallest={limit: smallest_count(sigma_milli, operators, limit) for limit in wanted},
    )


def cv(sigma_milli: int, operators: int, size: int) -> float:
    """Return σ√k/n, the coefficient of variation that noise alone gives a count of `size`; else UsageProblem."""
    require_positive(sigma_milli=(sigma_milli,), operators=(operators,), size=(size,))
    return sigma_milli * math.sqrt(operators) / (MILLI * size)


def smallest_count(sigma_milli: int, operators: int, cv_permille: int) -> int:
    """Return the smallest whole n with σ√k/n at most the wanted coefficient of variation, exactly.

    Raises
    ------
    UsageProblem
        If one of the three is no positive whole number.
    """
    require_positive(sigma_milli=(sigma_milli,), operators=(operators,), wanted=(cv_permille,))
    # With MILLI = PERMILLE both thousandths cancel: n² ≥ kσ²/cv².
    squared = Fraction(operators * sigma_milli**2, cv_permille**2)
    root = math.isqrt(math.ceil(squared))
    return root if root**2 >= squared else root + 1


def error_against_rho(
    part: Measured,
    grid_milli: int,
    losses: Sequence[int],
    *,
    sizes: Sequence[int] = SIZES,
    operators: int = 1,
) -> list[ErrorPoint]:
    """Return the coefficient of variation of counts at several losses, for a picture.

    Parameters
    ----------
    part
        The level; its share of the loss is taken, and losses of which that is no whole nano-ρ are left out.
    grid_milli
        Grid of σ, in thousandths.
    losses
        Losses of the whole period in nano-ρ.
    sizes
        Sizes of count, over the operators together.
    operators
        Number of operators that are added up.
    """
    require_positive(sizes=sizes, operators=(operators,))
    if any(type(nano) is not int for nano in losses):
        raise UsageProblem("the losses are not all whole numbers of nano-rho")
    sigmas = {
        nano: level_plan(part, nano, grid_milli, operators=()).sigma_milli
        for nano in losses
        if nano * part.level.share_permille >= PERMILLE
    }
    return [
        ErrorPoint(nano, size, cv(sigma, operators, size)) for nano, sigma in sigmas.items() for size in sizes
    ]


def losses_around(nano: int, decades: float = 1.5, points: int = 31) -> list[int]:
    """Return losses in nano-ρ around one, even on a logarithmic scale and with it in the middle.

    Raises
    ------
    UsageProblem
        If the loss, the points (2 to 10,000) or the decades (up to 24) are out of range.
    """
    require_nano(nano)
    if type(points) is not int or not 2 <= points <= MOST_POINTS:
        raise UsageProblem(f"a line of losses has fewer than two points, or more than {MOST_POINTS}")
    if not 0 < decades <= MOST_DECADES:
        raise UsageProblem(f"a line of losses does not reach over 0 to {MOST_DECADES} decades")
    exponents = [decades * (2 * step / (points - 1) - 1) for step in range(points)]
    return sorted({min(LARGEST, max(1, round(nano * 10**exponent))) for exponent in exponents} | {nano})


def require_positive(**numbers: Sequence[int]) -> None:
    """Refuse a list in which not every number is positive, whole and below 2⁵³ (UsageProblem)."""
    for name, values in numbers.items():
        if any(type(value) is not int or value > LARGEST_NUMBER for value in values):
            raise UsageProblem(f"{name} are not all whole numbers up to {LARGEST_NUMBER}")
        if any(value < 1 for value in values):
            raise UsageProblem(f"{name} are not all positive", todo="ask for whole numbers from 1 on")
