"""Declared bounds and the sensitivities of the privacy specification's table."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from privacy.errors import UsageProblem
from privacy.sensitivity import Declaration
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS, declare


@pytest.mark.parametrize("hours", [23, 24, 25])
def test_presence_moves_one_cell_in_each_elapsed_hour(hours: int) -> None:
    bounds = declare(PRESENCE_BY_HOUR, hours)
    assert (bounds.period_squared, bounds.day_squared) == (hours, hours)


@pytest.mark.parametrize("hours", [1, 23, 24, 25])
def test_residents_move_one_cell_by_period_and_two_by_day(hours: int) -> None:
    bounds = declare(RESIDENTS, hours)
    assert (bounds.period_squared, bounds.day_squared) == (1, 2)


def test_a_weight_counts_squared() -> None:
    weighted = Declaration(cells_by_period=24, cells_by_day=24, cell_maximum=5)
    assert (weighted.period_squared, weighted.day_squared) == (24 * 25, 24 * 25)
    largest = Declaration(cells_by_period=2**31, cells_by_day=2**31, cell_maximum=2**20)
    assert largest.period_squared == 2**71


def test_a_statistic_without_declared_bounds_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(UsageProblem, match="there is no statistic called flows") as caught:
        declare("flows", 24)
    assert caught.value.todo == "use one of: presence-by-hour, residents"


@pytest.mark.parametrize(
    "bounds",
    [
        {"cells_by_period": 0, "cells_by_day": 1},
        {"cells_by_period": 1, "cells_by_day": 0},
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
