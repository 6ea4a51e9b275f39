"""What a plan costs and how accurate it is."""

from __future__ import annotations

import math
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config import Home
from node.enrolment import load
from privacy.accuracy import cv, level_plan, smallest_count
from privacy.calculus import charge
from privacy.noise import gaussian, noised
from privacy.planner import charge_of
from privacy.sensitivity import Declaration, Mechanism
from quorate.contract.order import terms_of
from tests.unit.privacy.planning.asked import (
    DAYS,
    GAUSSIAN,
    GRID,
    HOMES,
    HOURS,
    LAPLACE,
    MARCH,
    RHO,
    SPLIT,
    budgets,
    measured,
    planned,
    proposal,
)

# --- losses --------------------------------------------------------------------------------------------


def test_a_month_of_residents_costs_each_of_its_days_twice() -> None:
    assert planned().charge == charge(HOMES, GAUSSIAN, *MARCH, RHO)
    assert planned().charge.by_day == 2 * RHO


def test_the_default_budgets_are_the_epsilons_of_the_specification() -> None:
    one_day = proposal(HOURS, (MARCH[0], MARCH[0]), 30_000_000)
    assert planned(one_day).epsilon_by_day == pytest.approx(1.12, abs=0.005)
    month = planned(proposal(by_period=600_000_000), budgets(2 * 10**9, 2 * 10**9))
    assert month.epsilon_by_period == pytest.approx(5.79, abs=0.005)


@given(
    by_period=st.integers(1000, 10**9),
    days=st.integers(1, 31),
    first=st.integers(1, 999),
    cells=st.tuples(st.integers(1, 9), st.integers(1, 9)).map(sorted),
    mechanism=st.sampled_from([GAUSSIAN, LAPLACE]),
)
def test_levels_with_the_same_bounds_cost_what_one_of_them_alone_costs(
    by_period: int, days: int, first: int, cells: list[int], mechanism: Mechanism
) -> None:
    bounds = Declaration(cells_by_period=cells[0], cells_by_day=cells[1])
    period = MARCH[0], MARCH[0] + timedelta(days=days - 1)
    split = (
        measured(bounds, "nation", first, mechanism),
        measured(bounds, "zone", 1000 - first, mechanism),
    )
    asked = proposal(bounds, period, by_period, measured=split)
    assert charge_of(asked) == charge(bounds, mechanism, *period, by_period)


def test_with_laplace_noise_a_month_of_residents_costs_each_of_its_days_four_times() -> None:
    found = planned(proposal(measured=(measured(HOMES, mechanism=LAPLACE),))).charge
    assert found == charge(HOMES, LAPLACE, *MARCH, RHO)
    assert found.by_day == 4 * RHO, "a moved home is a distance of 2 and not of √2"


def test_levels_with_other_bounds_add_up_what_a_day_costs_each() -> None:
    steady = Declaration(cells_by_period=1, cells_by_day=1)
    split = (measured(steady, "nation", 400), measured(HOMES, "zone", 600))
    assert charge_of(proposal(measured=split)).by_day == RHO * 4 // 10 + 2 * RHO * 6 // 10
    thirds = Declaration(cells_by_period=3, cells_by_day=4)
    split = (measured(thirds, "nation", 500), measured(HOMES, "zone", 500))
    assert charge_of(proposal(by_period=100, measured=split)).by_day == 167  # 66⅔ + 100, rounded up


# --- noise and accuracy --------------------------------------------------------------------------------


def test_the_noise_of_one_level_is_that_of_the_terms_of_the_charter(home: Home) -> None:
    own = load(home)
    for product, days in (("residents", (DAYS[0], DAYS[1])), ("presence", (DAYS[1], DAYS[1]))):
        terms = terms_of(own.charter, own.zoning, product, days, 0)
        part = measured(terms.bounds)
        found = level_plan(part, terms.by_period, own.charter.sigma_grid_milli, operators=(1,))
        assert found.scale_milli == found.sigma_milli == terms.levels[0].scale_milli


def test_laplace_noise_is_told_by_its_scale_and_by_its_standard_deviation() -> None:
    asked = proposal(measured=(measured(HOMES, mechanism=LAPLACE),))
    level = planned(asked, operators=(1,)).levels[0]
    # b = 1/√.01 = 10; its standard deviation is √(2b² − 1/6), and errors are those of that.
    assert (level.mechanism, level.scale_milli) == (LAPLACE, 10_010)
    assert level.sigma_milli == math.ceil(1000 * math.sqrt(2 * 10.01**2 - 1 / 6))
    assert level.accuracy[0].cv[100] == level.sigma_milli / 100_000
    assert level.accuracy[0].smallest[250] == math.ceil(level.sigma_milli / 250)
    hourly = planned(proposal(HOURS, measured=(measured(HOURS, mechanism=LAPLACE),))).levels[0]
    assert hourly.period_squared == 24**2, "the square of the absolute sensitivity"


def test_every_level_is_a_gaussian_of_its_own() -> None:
    bounds = [Declaration(cells_by_period=cells, cells_by_day=cells) for cells in (1, 2, 3, 24)]
    split = tuple(measured(bound, *level) for bound, level in zip(bounds, SPLIT, strict=True))
    levels = planned(proposal(measured=split)).levels
    assert sum(level.by_period for level in levels) == RHO
    assert [level.period_squared for level in levels] == [1, 2, 3, 24]
    for level, (name, share) in zip(levels, SPLIT, strict=True):
        exact = (level.period_squared / (2 * RHO / 1e9 * share / 1000)) ** 0.5
        assert (level.name, level.share_permille) == (name, share)
        assert exact <= level.sigma_milli / 1000 < exact + 2 * GRID / 1000


@given(
    by_period=st.integers(10_000, 10**9),
    cuts=st.lists(st.integers(1, 999), min_size=3, max_size=3, unique=True),
)
def test_the_parts_of_the_levels_are_never_more_than_the_whole(by_period: int, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), 1000]
    shares = [high - low for low, high in pairwise(edges)]
    split = tuple(measured(HOMES, f"level{n}", share) for n, share in enumerate(shares))
    parts = [level.by_period for level in planned(proposal(by_period=by_period, measured=split)).levels]
    assert by_period - len(parts) < sum(parts) <= by_period


def test_the_error_is_that_of_the_noise_that_is_drawn() -> None:
    level = planned(operators=(3,)).levels[0]
    true = np.full(20_000, 100, dtype=np.int64)
    answers = [noised(true, HOMES, gaussian(level.sigma_milli), RHO).values for _operator in range(3)]
    total = sum(answers) - 2 * true
    # The standard error of a standard deviation from so many cells is half a percent of it.
    assert float(np.std(total)) / 100 == pytest.approx(level.accuracy[0].cv[100], rel=0.025)


def test_figures_worked_out_by_hand() -> None:
    assert cv(10_000, 1, 100) == 0.1
    assert cv(10_000, 4, 1000) == 0.02
    assert [smallest_count(10_000, operators, 250) for operators in (1, 4, 9)] == [40, 80, 120]
    assert [smallest_count(10_000, operators, 100) for operators in (1, 2, 3)] == [100, 142, 174]
    assert smallest_count(10, 1, 1000) == 1


@given(sigma_milli=st.integers(10, 10**7), operators=st.integers(1, 12), wanted=st.integers(1, 1000))
def test_the_smallest_count_is_reliable_and_one_less_is_not(
    sigma_milli: int, operators: int, wanted: int
) -> None:
    def squared(size: int) -> Fraction:
        return Fraction(sigma_milli**2 * operators, (1000 * size) ** 2)

    smallest = smallest_count(sigma_milli, operators, wanted)
    assert squared(smallest) <= Fraction(wanted, 1000) ** 2
    assert smallest == 1 or squared(smallest - 1) > Fraction(wanted, 1000) ** 2


def test_more_operators_and_smaller_counts_are_less_accurate() -> None:
    one, three = planned(operators=(1, 3), sizes=(10, 100, 1000)).levels[0].accuracy
    assert list(one.cv) == [10, 100, 1000]
    assert list(one.cv.values()) == sorted(one.cv.values(), reverse=True)
    assert all(three.cv[size] == pytest.approx(one.cv[size] * 3**0.5) for size in one.cv)
    assert all(three.smallest[limit] > one.smallest[limit] for limit in (250, 100))
