"""What a release would cost and how accurate it would be, before any data are touched.

Everything here follows from declared bounds, the agreed loss and what was spent before. The error is that of
the noise alone: the sum over k operators of a true count n carries noise of variance at most kσ² (Canonne,
Kamath and Steinke 2020), so its coefficient of variation is σ√k/n. A hierarchy measured at several levels
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

Spent = Mapping[tuple[int, date], int]
"""Nano-ρ spent so far, by window length in days and first day."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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


