"""What is no number, no date or no document gets a typed error from every public function, never a traceback."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from privacy.accuracy import Measured, cv, error_against_rho, level_plan, losses_around, smallest_count
from privacy.calculus import Budgets, charge
from privacy.errors import PrivacyProblem, UsageProblem
from privacy.levels import part_of, split
from privacy.planner import Proposal, plan
from privacy.quantile import Choice, calibrate, choose_bound, mapped_loss, scores
from privacy.sensitivity import Declaration
from privacy.terms import LevelTerms
from privacy.truncation import kept
from privacy.units import epsilon, nano_rho, require_nano
from tests.unit.privacy.builders import presence

DAY = date(2026, 5, 1)
ONE = Declaration(cells_by_period=1, cells_by_day=2)
ZONE = LevelTerms(name="zone", share_permille=1000, by_period=1, scale_milli=1)
WHOLE = Measured(level=ZONE, bounds=ONE)
CHOICE = Choice(candidates=(1, 2, 3), by_period=10**6)
BUDGETS = Budgets(day=10**9, month=10**9, first_day=DAY, last_day=DAY)
NO_NUMBER = [math.nan, math.inf, -math.inf, 0.5, Fraction(1, 2), True, "1", None, 10**400]
no_number = pytest.mark.parametrize("wrong", NO_NUMBER, ids=lambda wrong: repr(wrong)[:12])


def proposal(**changes: Any) -> Proposal:
    fields: dict[str, Any] = {
        "product": "presence",
        "first_day": DAY,
        "last_day": DAY,
        "by_period": 10**6,
        "grid_milli": 10,
        "measured": (WHOLE,),
    }
    return Proposal(**(fields | changes))


CALLS: dict[str, Callable[[Any], object]] = {
    "require_nano": require_nano,
    "epsilon": lambda wrong: epsilon(wrong, 1e-6),
    "delta": lambda wrong: epsilon(10**6, wrong if wrong != 0.5 else math.nan),
    "charge": lambda wrong: charge(ONE, "discrete-gaussian", DAY, DAY, wrong),
    "part_of": lambda wrong: part_of(ZONE, wrong),
    "split loss": lambda wrong: split([ZONE], ONE, "discrete-gaussian", wrong, 10),
    "split grid": lambda wrong: split([ZONE], ONE, "discrete-gaussian", 10**6, wrong),
    "level_plan": lambda wrong: level_plan(WHOLE, wrong, 10, operators=(1,)),
    "error_against_rho": lambda wrong: error_against_rho(WHOLE, 10, [wrong]),
    "losses_around": losses_around,
    "points": lambda wrong: losses_around(10, points=wrong),
    "smallest_count": lambda wrong: smallest_count(wrong, 1, 100),
    "operators": lambda wrong: smallest_count(1, wrong, 100),
    "wanted": lambda wrong: smallest_count(1, 1, wrong),
    "cv": lambda wrong: cv(1, 1, wrong),
    "proposal": lambda wrong: plan(proposal(by_period=wrong), BUDGETS, {}),
    "grid": lambda wrong: plan(proposal(grid_milli=wrong), BUDGETS, {}),
    "sizes": lambda wrong: plan(proposal(), BUDGETS, {}, sizes=(wrong,)),
    "by operators": lambda wrong: plan(proposal(), BUDGETS, {}, operators=(wrong,)),
    "scale of a choice": lambda wrong: mapped_loss(CHOICE, wrong),
    "loss of a choice": lambda wrong: calibrate(Choice(candidates=(1, 2), by_period=wrong)),
    "candidates": lambda wrong: Choice(candidates=(1, wrong), by_period=10**6),
    "quantile": lambda wrong: Choice(candidates=(1, 2), by_period=10**6, quantile_permille=wrong),
}


@no_number
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_what_is_no_whole_number_in_range_is_a_usage_problem(
    call: Callable[[Any], object], wrong: Any
) -> None:
    with pytest.raises(UsageProblem):
        call(wrong)


@pytest.mark.parametrize(
    "rho",
    [
        math.nan,
        np.float32(math.nan),
        np.float64(math.nan),
        Decimal("NaN"),
        Decimal("1e999999999"),
        True,
        "1",
        10**400,
    ],
    ids=repr,
)
def test_what_is_no_loss_in_rho_is_a_usage_problem(rho: Any) -> None:
    with pytest.raises(UsageProblem):
        nano_rho(rho)


@pytest.mark.parametrize("numbers", [(1, 1, 0), (1, 0, 1), (0, 1, 1), (-1, 1, 1)])
def test_a_smallest_count_of_nothing_is_a_usage_problem(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(UsageProblem):
        smallest_count(*numbers)


@pytest.mark.parametrize("decades", [math.nan, math.inf, 0.0, -1.0, 1e9])
def test_a_line_of_losses_has_an_end(decades: float) -> None:
    with pytest.raises(UsageProblem, match="decades"):
        losses_around(10, decades=decades)


@pytest.mark.parametrize("points", [1, 0, -1])
def test_a_line_of_losses_has_two_points(points: int) -> None:
    with pytest.raises(UsageProblem, match="fewer than two points"):
        losses_around(10, points=points)


@pytest.mark.parametrize("scale", [-1, 0, 2**53 + 1])
def test_a_choice_has_no_loss_at_an_impossible_scale(scale: int) -> None:
    with pytest.raises(UsageProblem, match="a noise scale is not"):
        mapped_loss(CHOICE, scale)


def test_a_list_is_no_column() -> None:
    wrong: Any = [1, 2, 3]
    column = np.array(wrong)
    calls: list[Callable[[], object]] = [
        lambda: kept(wrong, column, 1, 1),
        lambda: kept(column, wrong, 1, 1),
        lambda: choose_bound(wrong, CHOICE),
        lambda: scores(wrong, CHOICE, 1),
    ]
    for call in calls:
        with pytest.raises(PrivacyProblem, match="one int64 column"):
            call()


@no_number
def test_a_limit_or_key_that_is_no_whole_number_keeps_nothing(wrong: Any) -> None:
    column = np.array([1, 2, 3])
    for limit, key in ((wrong, 1), (1, wrong)):
        with pytest.raises(PrivacyProblem):
            kept(column, column, limit, key)


@pytest.mark.parametrize(
    ("first", "last"),
    [(date(2026, 5, 2), DAY), (date(1900, 1, 1), DAY), (DAY, date(2300, 1, 1)), (None, DAY)],
)
def test_days_that_cannot_be_read_are_a_usage_problem_of_who_asks(first: Any, last: Any) -> None:
    with pytest.raises(UsageProblem):
        charge(ONE, "discrete-gaussian", first, last, 10**6)
    with pytest.raises(UsageProblem):
        plan(proposal(first_day=first, last_day=last), BUDGETS, {})


def test_a_product_without_a_name_is_a_usage_problem_that_does_not_repeat_it() -> None:
    with pytest.raises(UsageProblem, match="there is no such plan: product: ") as caught:
        plan(proposal(product="Not A Name"), BUDGETS, {})
    assert "Not A Name" not in caught.value.what


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, 2**53, -(2**53), {"deep": [1, math.nan]}, "\ud800", 10**400],
    ids=lambda v: repr(v)[:20],
)
def test_terms_without_a_canonical_form_cannot_be_written(value: Any) -> None:
    with pytest.raises(ValidationError, match="canonical form"):
        presence(DAY, parameters={"limit": value})


@pytest.mark.parametrize("value", [2**53 - 1, 0.5, -1.5e300, "😀", True, None])
def test_terms_with_any_other_parameter_have_an_id(value: Any) -> None:
    assert len(presence(DAY, parameters={"limit": value}).release_id()) == 64


def test_the_scale_of_a_level_is_exact_in_every_document() -> None:
    fields = ZONE.model_dump()
    LevelTerms(**(fields | {"scale_milli": 2**40}))
    with pytest.raises(ValidationError, match="scale_milli"):
        LevelTerms(**(fields | {"scale_milli": 2**40 + 1}))
