"""What a release costs whom: charges to days and to windows of days.

The two privacy units are the subscriber-day and the largest window of 31 consecutive days
(subscriber-month). Both are one rule applied to windows of 1 and of 31 days:

- a release that reads the days M costs a window W its by-period loss if M lies inside W,
- its by-day loss if M and W only overlap, and nothing otherwise;
- costs of different releases add up (composition of zCDP; Bun and Steinke 2016, lemma 1.7).

Days are disjoint data sets, because everything of a day reads that day's events alone. The by-day loss holds
for any part of M, not only for one day of it (`privacy.sensitivity.Declaration`), and so for every overlap.
docs/calculus.md explains the rule with examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from privacy.documents import built
from privacy.errors import BudgetExhausted, UsageProblem
from privacy.sensitivity import Declaration, Mechanism
from privacy.units import LARGEST, NANO, NanoRho, require_nano

DAY = 1
MONTH = 31


#: A local day; the bounds keep every window and conversion inside what dates can be.
LocalDay = Annotated[date, Field(ge=date(1970, 2, 1), le=date(2199, 12, 1))]


class Charge(BaseModel):
    """The loss of one release: by the whole period it reads, and by one of its days.

    Attributes
    ----------
    first_day, last_day
        Local days that the release reads, both included.
    by_period, by_day
        Loss in nano-ρ of all data of a subscriber in the period, and of the data of one day.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_day: LocalDay
    last_day: LocalDay
    by_period: NanoRho
    by_day: NanoRho

    @model_validator(mode="after")
    def _days_in_order(self) -> Charge:
        if self.last_day < self.first_day:
            raise ValueError("last_day is before first_day")
        return self

    def windows(self, length: int) -> Iterator[tuple[date, int]]:
        """Yield (first day, cost in nano-ρ) of every window of `length` days that the release touches."""
        start, end = self.first_day - timedelta(days=length - 1), self.last_day
        for offset in range((end - start).days + 1):
            first = start + timedelta(days=offset)
            inside = first <= self.first_day and self.last_day <= first + timedelta(days=length - 1)
            yield first, self.by_period if inside else self.by_day


class Budgets(BaseModel):
    """The largest loss of a day and of a month, and the days that have a budget at all.

    A day outside `first_day` … `last_day` is an unknown block: its budget is zero.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: NanoRho
    month: NanoRho
    first_day: LocalDay
    last_day: LocalDay

    def caps(self) -> tuple[tuple[int, int], ...]:
        """Return (length in days, cap in nano-ρ) of each filter."""
        return ((DAY, self.day), (MONTH, self.month))

    def require_known(self, charge: Charge) -> None:
        """Refuse a charge to a day that has no budget.

        Raises
        ------
        BudgetExhausted
            If the charge touches an unknown block.
        """
        if charge.first_day < self.first_day or charge.last_day > self.last_day:
            raise BudgetExhausted(
                f"days outside {self.first_day} to {self.last_day} have no privacy budget"
                if self.first_day <= self.last_day
                else f"no day up to {self.last_day}, where the charter ends, has a privacy budget any more",
                means="days that the charter does not name, or that were pruned or given up, have budget zero, "
                "so the release is refused",
                todo="ask for days that have a budget",
            )


def charge(
    declaration: Declaration, mechanism: Mechanism, first_day: date, last_day: date, by_period: int
) -> Charge:
    """Return the charge of a release whose by-period loss is `by_period` nano-ρ.

    With scale² = Δ²_period/(2ρ_period), one day and every other part of the period cost
    ρ_period·Δ²_day/Δ²_period, rounded up, with Δ in the norm of the mechanism. A period of one day has no part.

    Raises
    ------
    UsageProblem
        If the loss or that of a day is out of range, or the days are none or in the wrong order.
    """
    require_nano(by_period)
    period, day = declaration.distances_squared(mechanism)
    by_day = by_period if first_day == last_day else require_nano(-(-by_period * day // period))
    return built(Charge, first_day=first_day, last_day=last_day, by_period=by_period, by_day=by_day)


def person_bound(losses: Mapping[str, int], subscriptions: Mapping[str, int]) -> int:
    """Return what the releases of all operators cost one person with several subscriptions, in nano-ρ.

    Σ_k a_k²·ρ_k. At one operator this is group privacy (zCDP of a group of a is a²ρ; Bun and Steinke 2016,
    proposition 1.9); the operators' data are disjoint and their noise is independent, so their losses add up.

    Parameters
    ----------
    losses
        ρ_k, the loss of one subscription at each operator in the same window, in nano-ρ; zero is allowed.
    subscriptions
        a_k, how many subscriptions the person has at each of the same operators; zero is allowed.

    Raises
    ------
    UsageProblem
        If the operators differ, a number is negative or no whole number, or the sum is above ρ = 1000.
    """
    if losses.keys() != subscriptions.keys():
        raise UsageProblem(
            f"losses or subscriptions of {', '.join(sorted(losses.keys() ^ subscriptions.keys()))} are missing",
            means="an operator that is left out would count as zero, and the bound would be too low",
            todo="give both numbers of every operator, zero where there are none",
        )
    for name, numbers in (("loss", losses), ("number of subscriptions", subscriptions)):
        for operator, number in numbers.items():
            if type(number) is not int or number < 0:
                raise UsageProblem(f"the {name} of {operator} is not a whole number from zero on")
    bound = sum(subscriptions[operator] ** 2 * loss for operator, loss in losses.items())
    if bound > LARGEST:
        raise UsageProblem(
            f"the loss of such a person is above rho = {LARGEST // NANO}", means="that is no privacy at all"
        )
    return bound


def require_room(charged: Charge, budgets: Budgets, spent: dict[tuple[int, date], int]) -> None:
    """Refuse a charge that any day or window cannot bear.

    Parameters
    ----------
    charged
        The release that is asked for.
    budgets
        The caps.
    spent
        Nano-ρ spent so far by (window length, first day); a missing window has spent nothing.

    Raises
    ------
    BudgetExhausted
        If a day is unknown, or a total would exceed its cap.
    """
    budgets.require_known(charged)
    for length, cap in budgets.caps():
        for first, cost in charged.windows(length):
            before = spent.get((length, first), 0)
            if before + cost > cap:
                kind = f"day {first}" if length == DAY else f"the {length} days from {first}"
                raise BudgetExhausted(
                    f"the privacy budget of {kind} cannot bear this release "
                    f"(spent {before}, asked {cost}, cap {cap} nano-rho)",
                    means="nothing was computed, charged or sent",
                    todo="ask for other days, a smaller rho, or wait until the charter is amended",
                )
