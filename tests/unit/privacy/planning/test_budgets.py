"""What of the budgets is left for a plan, and what is refused."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.calculus import DAY, MONTH, charge, require_room
from privacy.errors import BudgetExhausted, UsageProblem
from tests.unit.privacy.builders import spent_on
from tests.unit.privacy.planning.asked import (
    GAUSSIAN,
    HOMES,
    MARCH,
    RHO,
    budgets,
    measured,
    planned,
    proposal,
)

# --- budgets -------------------------------------------------------------------------------------------


def test_after_january_and_february_the_window_from_30_january_has_least_room() -> None:
    before = spent_on(
        charge(HOMES, GAUSSIAN, date(2026, 1, 1), date(2026, 1, 31), RHO),
        charge(HOMES, GAUSSIAN, date(2026, 2, 1), date(2026, 2, 28), RHO),
    )
    day, month = planned(caps=budgets(2 * RHO, 5 * RHO), spent=before).rooms
    assert (day.length, day.first_day, day.spent, day.cost, day.remains) == (1, MARCH[0], 0, 2 * RHO, 0)
    assert (month.length, month.first_day) == (31, date(2026, 1, 30))
    assert (month.spent, month.cost, month.cap, month.remains) == (3 * RHO, 2 * RHO, 5 * RHO, 0)
    assert planned(caps=budgets(2 * RHO, 5 * RHO), spent=before).refused is None


def test_one_nano_less_and_the_plan_says_which_window_refuses() -> None:
    before = spent_on(
        charge(HOMES, GAUSSIAN, date(2026, 1, 1), date(2026, 1, 31), RHO),
        charge(HOMES, GAUSSIAN, date(2026, 2, 1), date(2026, 2, 28), RHO),
    )
    refused = planned(caps=budgets(2 * RHO, 5 * RHO - 1), spent=before)
    assert "the 31 days from 2026-01-30 cannot bear" in (refused.refused or "")
    assert refused.rooms[1].remains == -1
    assert "day 2026-03-01 cannot bear" in (planned(caps=budgets(2 * RHO - 1)).refused or "")


def test_a_day_without_a_budget_is_refused() -> None:
    outside = proposal(days=(date(2026, 12, 20), date(2027, 1, 5)))
    assert "outside 2026-01-01 to 2026-12-31" in (planned(outside).refused or "")


@given(
    spent=st.dictionaries(
        st.tuples(st.sampled_from((DAY, MONTH)), st.dates(date(2026, 2, 1), date(2026, 4, 10))),
        st.integers(0, 40_000_000),
        max_size=30,
    ),
    days=st.integers(1, 31),
)
def test_a_plan_is_refused_just_when_the_ledger_would_refuse_it(
    spent: dict[tuple[int, date], int], days: int
) -> None:
    asked = proposal(days=(MARCH[0], MARCH[0] + timedelta(days=days - 1)))
    found, caps = (
        planned(asked, budgets(30_000_000, 40_000_000), spent=spent),
        budgets(30_000_000, 40_000_000),
    )
    try:
        require_room(found.charge, caps, spent)
        refused = None
    except BudgetExhausted as error:
        refused = error.what
    assert found.refused == refused
    assert (refused is None) == all(room.remains >= 0 for room in found.rooms)
    for room in found.rooms:
        left = [
            room.cap - spent.get((room.length, first), 0) - cost
            for first, cost in found.charge.windows(room.length)
        ]
        assert room.remains == min(left)


# --- what is refused -----------------------------------------------------------------------------------


def test_shares_that_are_not_the_whole_are_refused() -> None:
    for shares in ((400, 500), (600, 600)):
        split = tuple(measured(HOMES, f"level{n}", share) for n, share in enumerate(shares))
        with pytest.raises(UsageProblem, match=f"add up to {sum(shares)} thousandths"):
            proposal(measured=split)
    with pytest.raises(UsageProblem, match="add up to 0"):
        proposal(measured=())


@pytest.mark.parametrize("rho", [0, -1, 10**12 + 1])
def test_a_loss_that_is_none_or_no_privacy_is_refused(rho: int) -> None:
    with pytest.raises(UsageProblem, match="nano-rho"):
        proposal(by_period=rho)


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(UsageProblem, match="before it begins"):
        proposal(days=(MARCH[1], MARCH[0]))


def test_a_level_without_a_whole_nano_rho_is_refused() -> None:
    split = (measured(HOMES, "nation", 1), measured(HOMES, "zone", 999))
    with pytest.raises(UsageProblem, match="nation gets less than a nano-rho"):
        planned(proposal(by_period=999, measured=split))


@pytest.mark.parametrize("name", ["sizes", "operators", "wanted"])
def test_numbers_that_are_not_positive_are_refused(name: str) -> None:
    numbers: dict[str, Any] = {name: (1, 0)}
    with pytest.raises(UsageProblem, match=f"{name} are not all positive"):
        planned(**numbers)


@pytest.mark.parametrize("delta", [0.0, 1.0, float("nan")])
def test_a_delta_outside_of_zero_and_one_is_refused(delta: float) -> None:
    with pytest.raises(UsageProblem, match="delta"):
        planned(delta=delta)
