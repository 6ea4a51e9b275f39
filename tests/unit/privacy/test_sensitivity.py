"""Declared bounds and the sensitivities of the privacy specification's table."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from privacy.errors import UsageProblem
from privacy.sensitivity import LARGEST_LIMIT, LARGEST_WEIGHT, Declaration
from privacy.statistics import CONTRIBUTION_BOUND, PRESENCE_BY_HOUR, RESIDENTS, STATISTICS, declare

#: Statistic, parameters, then Δ₂² by period and by day, Δ₁ by period and by day; 24 hours.
TABLE: list[tuple[str, dict[str, Any], tuple[int, int, int, int]]] = [
    ("presence-by-hour", {}, (24, 24, 24, 24)),
    ("presence-by-day", {"limit": 7}, (7, 7, 7, 7)),
    ("anchors-by-day", {}, (1, 1, 1, 1)),
    ("weighted-presence", {"weight_maximum": 5}, (600, 600, 120, 120)),
    ("residents", {}, (1, 2, 1, 2)),
    ("commuting", {}, (1, 2, 1, 2)),
    ("flows", {"limit": 3}, (3, 3, 3, 3)),
    ("visitors", {}, (1, 1, 1, 1)),
    ("stay-durations", {}, (1, 1, 1, 1)),
    ("travelled-distances", {}, (1, 1, 1, 1)),
    ("gyration", {}, (1, 1, 1, 1)),
    ("activity", {}, (1, 1, 1, 1)),
    ("union-sketch", {"by_zone": False}, (1, 1, 1, 1)),
    ("union-sketch", {"by_zone": True, "limit": 4}, (4, 8, 4, 8)),
    ("quality-indicators", {}, (4, 4, 4, 4)),
]


@pytest.mark.parametrize(("statistic", "parameters", "moves"), TABLE)
def test_every_statistic_moves_as_far_as_the_table_says(
    statistic: str, parameters: dict[str, Any], moves: tuple[int, int, int, int]
) -> None:
    bounds = declare(statistic, parameters, 24)
    squared, absolute = (bounds.period_squared, bounds.day_squared), (moves[2], moves[3])
    assert squared == moves[:2]
    assert (bounds.period_absolute, bounds.day_absolute) == absolute
    assert bounds.distances_squared("discrete-gaussian") == squared
    assert bounds.distances_squared("discrete-laplace") == (absolute[0] ** 2, absolute[1] ** 2)
    assert declare(statistic, {**parameters, "night_hours": [0, 1], "title": None}, 24) == bounds


def test_the_table_is_of_every_statistic_of_counts() -> None:
    assert {name for name, _parameters, _moves in TABLE} | {CONTRIBUTION_BOUND} == set(STATISTICS)


def test_only_residents_commuting_and_sketches_read_a_period() -> None:
    period = {name for name, found in STATISTICS.items() if found.reads == "period"}
    assert period == {"residents", "commuting", "union-sketch"}
    for name, parameters, (by_period, by_day, *_) in TABLE:
        assert name in period or by_period == by_day, "a day has no part"
        declare(name, parameters, 24)


@pytest.mark.parametrize("hours", [23, 24, 25])
def test_what_is_counted_by_hour_moves_one_cell_in_each_elapsed_hour(hours: int) -> None:
    bounds = declare(PRESENCE_BY_HOUR, {}, hours)
    assert (bounds.period_squared, bounds.day_squared) == (hours, hours)
    weighted = declare("weighted-presence", {"weight_maximum": 3}, hours)
    assert (weighted.period_squared, weighted.day_squared) == (9 * hours, 9 * hours)
    assert declare(RESIDENTS, {}, hours) == declare(RESIDENTS, {}, 1)


@pytest.mark.parametrize("hours", [0, -1, 26, 24.0, True])
def test_a_day_of_other_hours_has_no_bounds(hours: Any) -> None:
    with pytest.raises(UsageProblem, match=f"a day of {hours} hours"):
        declare(PRESENCE_BY_HOUR, {}, hours)


@pytest.mark.parametrize("statistic", ["presence-by-hour", "weighted-presence"])
def test_a_list_of_cells_without_hours_makes_no_bounds_by_hour(statistic: str) -> None:
    with pytest.raises(UsageProblem, match="counted by hour, and the hours of its day are not given"):
        declare(statistic, {"weight_maximum": 3}, 1)


def test_the_largest_bounds_are_a_declaration_too() -> None:
    sketch = declare("union-sketch", {"by_zone": True, "limit": LARGEST_LIMIT}, 24)
    assert sketch.day_squared == 2 * LARGEST_LIMIT
    assert declare("weighted-presence", {"weight_maximum": LARGEST_WEIGHT}, 25).period_squared == 25 * 2**40


@pytest.mark.parametrize("statistic", ["presence-by-day", "flows"])
@pytest.mark.parametrize("limit", [0, -1, LARGEST_LIMIT + 1, 3.0, "3", True, None, [3]])
def test_a_malformed_bound_is_named_and_its_value_is_not_shown(statistic: str, limit: Any) -> None:
    with pytest.raises(UsageProblem, match=f"{statistic} has no bounds: limit: Input should be") as caught:
        declare(statistic, {"limit": limit}, 24)
    assert caught.value.todo == "give the product the parameters limit; see docs/calculus.md"


@pytest.mark.parametrize(
    ("statistic", "parameters", "says"),
    [
        ("flows", {"Limit": 3}, "flows has no bounds: limit is missing"),
        ("presence-by-day", {}, "presence-by-day has no bounds: limit is missing"),
        ("weighted-presence", {"limit": 3}, "weighted-presence has no bounds: weight_maximum is missing"),
        ("weighted-presence", {"weight_maximum": 0}, "no bounds: weight_maximum: Input should be greater"),
        ("union-sketch", {"limit": 3}, "union-sketch has no bounds: by_zone is missing"),
        ("union-sketch", {"by_zone": 1, "limit": 3}, "no bounds: by_zone: Input should be a valid boolean"),
        ("union-sketch", {"by_zone": True}, "no bounds: a sketch by zone needs the bound limit"),
        ("union-sketch", {"by_zone": True, "limit": 0}, "no bounds: limit: Input should be greater"),
    ],
)
def test_a_missing_bound_is_an_error_that_says_what_is_missing(
    statistic: str, parameters: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageProblem, match=says) as caught:
        declare(statistic, parameters, 24)
    assert "any number of cells" in caught.value.means


def test_every_statistic_names_its_parameters_and_a_reason_of_one_sentence() -> None:
    needed = {name: found.parameters for name, found in STATISTICS.items() if found.parameters}
    assert needed == {
        "presence-by-day": ("limit",),
        "flows": ("limit",),
        "weighted-presence": ("weight_maximum",),
        "union-sketch": ("by_zone", "limit"),
    }
    for found in STATISTICS.values():
        assert found.reason.endswith(".")
        assert found.reason.count(". ") == 0


def test_a_weight_counts_squared() -> None:
    weighted = Declaration(cells_by_period=24, cells_by_day=24, cell_maximum=5)
    assert (weighted.period_squared, weighted.day_squared) == (24 * 25, 24 * 25)
    largest = Declaration(cells_by_period=2**31, cells_by_day=2**31, cell_maximum=2**20)
    assert largest.period_squared == 2**71


def test_a_statistic_without_declared_bounds_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(UsageProblem, match="tides is not a statistic") as caught:
        declare("tides", {"limit": 1}, 24)
    names = sorted(set(STATISTICS) - {CONTRIBUTION_BOUND})
    assert caught.value.todo == f"use one of: {', '.join(names)}"


def test_the_choice_of_a_contribution_bound_has_no_bounds_that_noise_could_use() -> None:
    with pytest.raises(UsageProblem, match="contribution-bound is not a vector of counts"):
        declare(CONTRIBUTION_BOUND, {"limit": 1}, 24)


@pytest.mark.parametrize(
    "bounds",
    [
        {"cells_by_period": 0, "cells_by_day": 1},
        {"cells_by_period": 1, "cells_by_day": 0},
        {"cells_by_period": 3, "cells_by_day": 2},
        {"cells_by_period": 1, "cells_by_day": -1},
        {"cells_by_period": 1.0, "cells_by_day": 1},
        {"cells_by_period": True, "cells_by_day": 1},
        {"cells_by_period": 1, "cells_by_day": 1, "cell_maximum": 0},
        {"cells_by_period": 1, "cells_by_day": 1, "cell_maximum": 2**20 + 1},
        {"cells_by_period": 2**31 + 1, "cells_by_day": 1},
        {"cells_by_period": 1},
        {"cells_by_period": 1, "cells_by_day": 1, "cells_by_month": 1},
    ],
)
def test_bounds_that_bound_nothing_are_refused(bounds: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Declaration(**bounds)


def test_bounds_cannot_be_changed_after_they_were_declared() -> None:
    bounds = Declaration(cells_by_period=1, cells_by_day=2)
    with pytest.raises(ValidationError, match="frozen"):
        bounds.cells_by_day = 1  # type: ignore[misc]
