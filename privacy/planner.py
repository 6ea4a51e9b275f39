"""What a release would cost, how accurate it would be and what would remain, before any data are touched.

Everything follows from declared bounds, the agreed loss and what the ledger has spent. Losses of the levels
of a hierarchy add up; accuracy is that of privacy.accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from pydantic import BaseModel, ConfigDict

from privacy.accuracy import (
    DELTA,
    SIZES,
    WANTED,
    ErrorPoint,
    LevelPlan,
    Measured,
    error_against_rho,
    level_plan,
    losses_around,
    require_positive,
)
from privacy.calculus import Budgets, Charge, require_room
from privacy.documents import built
from privacy.errors import BudgetExhausted, UsageProblem
from privacy.levels import PERMILLE
from privacy.terms import Name
from privacy.units import LARGEST, NANO, epsilon, nano_rho

__all__ = [
    "ErrorPoint",
    "LevelPlan",
    "Measured",
    "Plan",
    "Proposal",
    "Room",
    "Spent",
    "charge_of",
    "error_against_rho",
    "losses_around",
    "plan",
    "rooms",
]

Spent = Mapping[tuple[int, date], int]
"""Nano-ρ spent so far, by window length in days and first day."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Proposal:
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

    Raises
    ------
    UsageProblem
        If the days are in the wrong order, the loss is out of range, or the shares do not add up.
    """

    product: str
    first_day: date
    last_day: date
    by_period: int
    grid_milli: int
    measured: tuple[Measured, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.first_day, date) or not isinstance(self.last_day, date):
            raise UsageProblem("the period is not between two days")
        if self.last_day < self.first_day:
            raise UsageProblem(f"the period ends on {self.last_day}, before it begins on {self.first_day}")
        if type(self.by_period) is not int or not 0 < self.by_period <= LARGEST:
            raise UsageProblem(f"a loss of {self.by_period} nano-rho is not between 0 and {LARGEST}")
        shares = sum(part.level.share_permille for part in self.measured)
        if shares != PERMILLE:
            raise UsageProblem(
                f"the shares of the levels add up to {shares} thousandths of the loss, not to 1000",
                means="the levels together would cost another loss than the agreed one",
                todo="correct the levels of the product in the charter",
            )


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
    require_positive(sizes=sizes, operators=operators, wanted=wanted)
    cost = charge_of(proposal)
    return built(
        Plan,
        product=proposal.product,
        charge=cost,
        delta=delta,
        epsilon_by_period=epsilon(cost.by_period, delta),
        epsilon_by_day=epsilon(cost.by_day, delta),
        levels=tuple(
            level_plan(
                part,
                proposal.by_period,
                proposal.grid_milli,
                operators=operators,
                sizes=sizes,
                wanted=wanted,
            )
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
        ratio = sum((_day_ratio(part) for part in proposal.measured), start=Fraction(0)) / PERMILLE
    return built(
        Charge,
        first_day=proposal.first_day,
        last_day=proposal.last_day,
        by_period=proposal.by_period,
        by_day=nano_rho(Fraction(proposal.by_period, NANO) * ratio),
    )


def _day_ratio(part: Measured) -> Fraction:
    period, day = part.bounds.distances_squared(part.mechanism)
    return Fraction(part.level.share_permille * day, period)


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
