"""What a release would cost and how accurate it would be, before any data are touched.

Everything here follows from declared bounds, the agreed loss and what was spent before. The error is that of
the noise alone: the sum over k operators of a true count n has noise of variance at most kσ² (Canonne, Kamath
and Steinke 2020, theorem 7), so its coefficient of variation is σ√k/n. A hierarchy measured at several levels
splits the loss by declared shares; every level is a Gaussian of its own, with the Δ² of its own bounds, and
the losses add up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from privacy.calculus import Budgets, Charge, require_room
from privacy.errors import BudgetExhausted, UsageProblem
from privacy.ledger.entry import Level, Name
from privacy.noise import MILLI, calibrate
from privacy.sensitivity import Declaration
from privacy.units import LARGEST, NANO, NanoRho, epsilon, nano_rho

PERMILLE = 1000
#: δ at which ε is shown.
DELTA = 1e-6
#: Sizes of count, over all operators together.
SIZES = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
#: Coefficients of variation in thousandths: reliable up to 10 %, published up to 25 %.
WANTED = (250, 100)

Spent = Mapping[tuple[int, date], int]
"""Nano-ρ spent so far, by window length in days and first day."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measured(_Frozen):
    """A level of the zoning that is measured: its share of the loss, and its own bounds."""

    level: Level
    bounds: Declaration


class Proposal(_Frozen):
    """A release as it would be asked for.

    Attributes
    ----------
    product
        Its name.
    first_day, last_day
        Local days that it reads, both included.
    by_period
        Loss in nano-ρ of the whole period, over all levels.
    grid_milli
        Grid of σ, in thousandths.
    measured
        Levels; their shares add up to 1000.
    """

    product: Name
    first_day: date
    last_day: date
    by_period: NanoRho
    grid_milli: int = Field(strict=True, ge=1)
    measured: tuple[Measured, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Proposal:
        if sum(part.level.share_permille for part in self.measured) != PERMILLE:
            raise ValueError("the shares of the levels do not add up to 1000 thousandths")
        return self


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
        Δ₂² by period.
    sigma_milli
        Standard deviation of the noise in thousandths.
    accuracy
        By number of operators.
    """

    name: Name
    share_permille: int
    by_period: int
    period_squared: int
    sigma_milli: int
    accuracy: tuple[Accuracy, ...]


class Room(_Frozen):
    """The day or window with least room after the release; `remains` is negative where it does not fit."""

    length: int
    first_day: date
    spent: int
    cost: int
    cap: int
    remains: int


class Plan(_Frozen):
    """What a release would cost, how accurate it would be, and what would remain.

    Attributes
    ----------
    charge
        To the period and to each day.
    delta, epsilon_by_period, epsilon_by_day
        The same losses as (ε, δ).
    levels
        Noise and accuracy of each level.
    rooms
        The tightest day and the tightest window.
    refused
        Why the ledger would refuse it, with the day or window; None if it would not.
    """

    product: Name
    charge: Charge
    delta: float
    epsilon_by_period: float
    epsilon_by_day: float
    levels: tuple[LevelPlan, ...]
    rooms: tuple[Room, ...]
    refused: str | None


class ErrorPoint(NamedTuple):
    """The coefficient of variation of a count of some size at a loss of `nano` nano-ρ."""

    nano: int
    size: int
    cv: float


def plan(
    proposal: Proposal,
    budgets: Budgets,
    spent: Spent,
    *,
    operators: Sequence[int] = (1,),
    sizes: Sequence[int] = SIZES,
    wanted: Sequence[int] = WANTED,
    delta: float = DELTA,
) -> Plan:
    """Return the plan of a release.

    Parameters
    ----------
    proposal
        What would be released.
    budgets
        Caps, and the days that have a budget.
    spent
        Totals of the ledger; a missing day or window has spent nothing.
    operators
        Numbers of operators that are added up.
    sizes
        Sizes of count, over the operators together.
    wanted
        Coefficients of variation in thousandths, for which the smallest count is asked.
    delta
        At which ε is shown.

    Raises
    ------
    UsageProblem
        If a size, a number of operators or a coefficient of variation is not positive, or a share of the
        loss is less than a nano-ρ.
    """
    _require_positive(sizes=sizes, operators=operators, wanted=wanted)
    cost = charge_of(proposal)
    return Plan(
        product=proposal.product,
        charge=cost,
        delta=delta,
        epsilon_by_period=epsilon(cost.by_period, delta),
        epsilon_by_day=epsilon(cost.by_day, delta),
        levels=tuple(
            _level(part, proposal.by_period, proposal.grid_milli, (operators, sizes, wanted))
            for part in proposal.measured
        ),
        rooms=rooms(cost, budgets, spent),
        refused=_refusal(cost, budgets, spent),
    )


def charge_of(proposal: Proposal) -> Charge:
    """Return what a release costs: by day, the sum over levels of ρ·share·Δ²_day/Δ²_period, rounded up.

    For one level, and for levels with the same bounds, this is `privacy.calculus.charge`.
    """
    ratio = Fraction(1)
    if proposal.first_day != proposal.last_day:
        ratio = sum(
            (
                Fraction(part.level.share_permille * part.bounds.day_squared, part.bounds.period_squared)
                for part in proposal.measured
            ),
            start=Fraction(0),
        )
        ratio /= PERMILLE
    return Charge(
        first_day=proposal.first_day,
        last_day=proposal.last_day,
        by_period=proposal.by_period,
        by_day=nano_rho(Fraction(proposal.by_period, NANO) * ratio),
    )


def _level(
    part: Measured, by_period: int, grid_milli: int, asked: tuple[Sequence[int], Sequence[int], Sequence[int]]
) -> LevelPlan:
    share = by_period * part.level.share_permille // PERMILLE
    if share < 1:
        raise UsageProblem(
            f"level {part.level.name} gets less than a nano-rho",
            todo="give it a larger share or the product a larger rho",
        )
    sigma_milli = calibrate(part.bounds, share, grid_milli)
    operators, sizes, wanted = asked
    return LevelPlan(
        name=part.level.name,
        share_permille=part.level.share_permille,
        by_period=share,
        period_squared=part.bounds.period_squared,
        sigma_milli=sigma_milli,
        accuracy=tuple(
            Accuracy(
                operators=number,
                cv={size: cv(sigma_milli, number, size) for size in sizes},
                smallest={limit: smallest_count(sigma_milli, number, limit) for limit in wanted},
            )
            for number in operators
        ),
    )


def cv(sigma_milli: int, operators: int, size: int) -> float:
    """Return σ√k/n, the coefficient of variation that noise alone gives a count of `size`."""
    return sigma_milli * math.sqrt(operators) / (MILLI * size)


def smallest_count(sigma_milli: int, operators: int, cv_permille: int) -> int:
    """Return the smallest whole n with σ√k/n at most the wanted coefficient of variation, exactly."""
    # With MILLI = PERMILLE both thousandths cancel: n² ≥ kσ²/cv².
    squared = Fraction(operators * sigma_milli**2, cv_permille**2)
    root = math.isqrt(math.ceil(squared))
    return root if root**2 >= squared else root + 1


def rooms(cost: Charge, budgets: Budgets, spent: Spent) -> tuple[Room, ...]:
    """Return the day and the window that would have least room, the earliest where several have."""
    return tuple(_tightest(cost, length, cap, spent) for length, cap in budgets.caps())


def _tightest(cost: Charge, length: int, cap: int, spent: Spent) -> Room:
    def room(first: date, loss: int) -> Room:
        before = spent.get((length, first), 0)
        return Room(
            length=length, first_day=first, spent=before, cost=loss, cap=cap, remains=cap - before - loss
        )

    return min((room(*window) for window in cost.windows(length)), key=lambda found: found.remains)


def _refusal(cost: Charge, budgets: Budgets, spent: Spent) -> str | None:
    try:
        require_room(cost, budgets, dict(spent))
    except BudgetExhausted as error:
        return error.what
    return None


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
        The level; its share of the loss is taken.
    grid_milli
        Grid of σ, in thousandths.
    losses
        Losses of the whole period in nano-ρ.
    sizes
        Sizes of count, over the operators together.
    operators
        Number of operators that are added up.
    """
    _require_positive(sizes=sizes, operators=(operators,))
    asked = ((operators,), sizes, ())
    return [
        ErrorPoint(nano, size, error)
        for nano in losses
        for size, error in _level(part, nano, grid_milli, asked).accuracy[0].cv.items()
    ]


def losses_around(nano: int, decades: float = 1.5, points: int = 31) -> list[int]:
    """Return losses in nano-ρ around one, even on a logarithmic scale and with it in the middle."""
    exponents = [decades * (2 * step / (points - 1) - 1) for step in range(points)]
    return sorted({min(LARGEST, max(1, round(nano * 10**exponent))) for exponent in exponents} | {nano})


def _require_positive(**numbers: Sequence[int]) -> None:
    for name, values in numbers.items():
        if any(value < 1 for value in values):
            raise UsageProblem(f"{name} are not all positive", todo="ask for whole numbers from 1 on")
