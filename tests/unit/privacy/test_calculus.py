"""What a release costs days and windows, and which charges the budgets bear."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from privacy.calculus import DAY, MONTH, Budgets, Charge, charge, person_bound, require_room
from privacy.errors import BudgetExhausted, UsageProblem
from privacy.sensitivity import Declaration, Mechanism
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS, UNION_SKETCH, declare
from privacy.units import LARGEST
from tests.unit.privacy.builders import spent_on

RHO = 5_000_000
HOMES = declare(RESIDENTS, {}, 24)
GAUSSIAN: Mechanism = "discrete-gaussian"
LAPLACE: Mechanism = "discrete-laplace"
JANUARY = date(2026, 1, 1), date(2026, 1, 31)
FEBRUARY = date(2026, 2, 1), date(2026, 2, 28)
MARCH = date(2026, 3, 1), date(2026, 3, 31)
YEAR = {"first_day": date(2026, 1, 1), "last_day": date(2026, 12, 31)}


def month(days: tuple[date, date]) -> Charge:
    return charge(HOMES, GAUSSIAN, *days, RHO)


# --- the charge of one release ----------------------------------------------------------------------------


def test_one_day_of_a_residents_release_costs_twice_its_period() -> None:
    assert month(FEBRUARY) == Charge(
        first_day=date(2026, 2, 1), last_day=date(2026, 2, 28), by_period=RHO, by_day=2 * RHO
    )


def test_a_release_of_a_single_day_costs_that_day_what_it_costs_its_period() -> None:
    day = date(2026, 10, 25)
    sketch = declare(UNION_SKETCH, {"by_zone": True, "limit": 5}, 25)
    for bounds in (HOMES, sketch, declare(PRESENCE_BY_HOUR, {}, 25)):
        for mechanism in (GAUSSIAN, LAPLACE):
            made = charge(bounds, mechanism, day, day, RHO)
            assert (made.by_period, made.by_day) == (RHO, RHO)


def test_laplace_noise_costs_a_day_of_residents_four_times_its_period() -> None:
    """It is ε-DP by the L1 distance: a day has twice the ε of the period, and ρ is ε²/2."""
    made = charge(HOMES, LAPLACE, *FEBRUARY, RHO)
    assert (made.by_period, made.by_day) == (RHO, 4 * RHO)


@pytest.mark.parametrize(("limit", "gaussian", "laplace"), [(1, 2, 4), (8, 2, 4)])
def test_a_sketch_by_zone_costs_a_day_as_a_home_does_and_a_single_one_no_more_than_its_period(
    limit: int, gaussian: int, laplace: int
) -> None:
    zoned = declare(UNION_SKETCH, {"by_zone": True, "limit": limit}, 24)
    assert charge(zoned, GAUSSIAN, *FEBRUARY, RHO).by_day == gaussian * RHO
    assert charge(zoned, LAPLACE, *FEBRUARY, RHO).by_day == laplace * RHO
    single = declare(UNION_SKETCH, {"by_zone": False}, 24)
    assert charge(single, GAUSSIAN, *FEBRUARY, RHO).by_day == RHO


@pytest.mark.parametrize(("asked", "by_day"), [(100, 134), (99, 132), (1, 2), (2, 3), (3, 4)])
def test_the_cost_of_a_day_is_rounded_up_to_whole_nano_rho(asked: int, by_day: int) -> None:
    four_thirds = Declaration(cells_by_period=3, cells_by_day=4)
    assert charge(four_thirds, GAUSSIAN, *FEBRUARY, asked).by_day == by_day


def test_a_cost_of_a_day_that_is_no_privacy_at_all_is_an_error() -> None:
    with pytest.raises(UsageProblem, match="outside 0 < rho"):
        charge(HOMES, GAUSSIAN, *FEBRUARY, 501 * 10**9)


def test_a_charge_with_its_days_in_the_wrong_order_or_without_a_cost_is_refused() -> None:
    first, last = FEBRUARY
    with pytest.raises(ValidationError, match="last_day is before first_day"):
        Charge(first_day=last, last_day=first, by_period=1, by_day=1)
    for by_period, by_day in ((0, 1), (1, 0), (-1, 1), (1, -1)):
        with pytest.raises(ValidationError):
            Charge(first_day=first, last_day=last, by_period=by_period, by_day=by_day)


# --- windows ----------------------------------------------------------------------------------------------


def test_february_lies_inside_four_windows_of_31_days_and_overlaps_54_more() -> None:
    windows = dict(month(FEBRUARY).windows(MONTH))
    inside = [first for first, cost in windows.items() if cost == RHO]
    assert inside == [date(2026, 1, 29), date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 1)]
    partly = [first for first, cost in windows.items() if cost == 2 * RHO]
    assert (len(partly), partly[0], partly[-1]) == (54, date(2026, 1, 2), date(2026, 2, 28))
    assert len(windows) == 58


def test_every_day_of_february_costs_two_rho() -> None:
    days = dict(month(FEBRUARY).windows(DAY))
    assert days == {date(2026, 2, day): 2 * RHO for day in range(1, 29)}


def test_from_30_january_to_1_march_three_months_of_residents_cost_five_rho() -> None:
    spent = spent_on(month(JANUARY), month(FEBRUARY), month(MARCH))
    assert date(2026, 1, 30) + timedelta(days=MONTH - 1) == date(2026, 3, 1)
    assert spent[MONTH, date(2026, 1, 30)] == (2 + 1 + 2) * RHO
    assert max(spent.values()) == 5 * RHO
    dearest = {first for (_length, first), nano in spent.items() if nano == 5 * RHO}
    assert dearest == {date(2026, 1, 30), date(2026, 1, 31)}, "only these hold February and touch both others"


@given(
    first=st.integers(0, 40),
    days=st.integers(1, 40),
    length=st.integers(1, 35),
    by_period=st.integers(1, 50),
    by_day=st.integers(51, 99),
)
def test_windows_are_charged_by_which_of_their_days_the_release_reads(
    first: int, days: int, length: int, by_period: int, by_day: int
) -> None:
    origin = date(2026, 3, 1)
    read = {origin + timedelta(days=first + n) for n in range(days)}
    made = Charge(first_day=min(read), last_day=max(read), by_period=by_period, by_day=by_day)
    expected = {}
    for offset in range(-40, 120):
        window = {origin + timedelta(days=offset + n) for n in range(length)}
        if read <= window:
            expected[min(window)] = by_period
        elif read & window:
            expected[min(window)] = by_day
    assert dict(made.windows(length)) == expected


@given(
    st.lists(
        st.tuples(
            st.integers(0, 364), st.integers(1, 60), st.integers(1, 9), st.sampled_from([GAUSSIAN, LAPLACE])
        ),
        max_size=8,
    )
)
def test_twelve_windows_pay_at_least_what_a_year_of_releases_costs(
    releases: list[tuple[int, int, int, Mechanism]],
) -> None:
    """So twelve times the cap of a month bounds a year, as docs/calculus.md says."""
    first = date(2026, 1, 1)
    made = [
        charge(
            HOMES,
            mechanism,
            first + timedelta(days=at),
            first + timedelta(days=min(364, at + days - 1)),
            nano,
        )
        for at, days, nano, mechanism in releases
    ]
    spent = spent_on(*made)
    paid = sum(spent.get((MONTH, first + timedelta(days=MONTH * number)), 0) for number in range(12))
    assert sum(one.by_period for one in made) <= paid


# --- budgets ----------------------------------------------------------------------------------------------


def budgets(day: int, month: int) -> Budgets:
    return Budgets(day=day, month=month, **YEAR)


def test_the_caps_are_of_one_day_and_of_31_days() -> None:
    assert budgets(30, 600).caps() == ((1, 30), (31, 600))


def test_five_rho_of_a_month_bear_three_months_of_residents_and_one_nano_less_does_not() -> None:
    spent = spent_on(month(JANUARY), month(FEBRUARY))
    require_room(month(MARCH), budgets(2 * RHO, 5 * RHO), spent)
    with pytest.raises(BudgetExhausted, match=r"the 31 days from 2026-01-30 cannot bear this release"):
        require_room(month(MARCH), budgets(2 * RHO, 5 * RHO - 1), spent)


def test_a_charge_exactly_at_the_cap_of_a_day_passes_and_one_nano_more_fails() -> None:
    day = date(2026, 5, 5)
    made = Charge(first_day=day, last_day=day, by_period=10, by_day=10)
    require_room(made, budgets(30, 600), {(DAY, day): 20})
    with pytest.raises(BudgetExhausted) as caught:
        require_room(made, budgets(30, 600), {(DAY, day): 21})
    assert "day 2026-05-05 cannot bear this release (spent 21, asked 10, cap 30 nano-rho)" in str(
        caught.value
    )
    assert caught.value.means == "nothing was computed, charged or sent"
    require_room(made, budgets(10, 10), {})
    for tight in (budgets(9, 600), budgets(30, 9)):
        with pytest.raises(BudgetExhausted):
            require_room(made, tight, {})


@pytest.mark.parametrize("first", [date(2026, 4, 5), date(2026, 4, 20), date(2026, 5, 5)])
def test_any_of_the_31_windows_around_a_day_can_refuse_it(first: date) -> None:
    day = date(2026, 5, 5)
    made = Charge(first_day=day, last_day=day, by_period=10, by_day=10)
    require_room(made, budgets(30, 100), {(MONTH, first): 90})
    with pytest.raises(BudgetExhausted, match=f"the 31 days from {first}"):
        require_room(made, budgets(30, 100), {(MONTH, first): 91})


@pytest.mark.parametrize("first", [date(2026, 4, 4), date(2026, 5, 6)])
def test_a_full_window_that_a_day_is_not_in_does_not_refuse_it(first: date) -> None:
    day = date(2026, 5, 5)
    made = Charge(first_day=day, last_day=day, by_period=10, by_day=10)
    require_room(made, budgets(30, 100), {(MONTH, first): 100, (DAY, first): 30})


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2025, 12, 31), date(2025, 12, 31)),
        (date(2027, 1, 1), date(2027, 1, 1)),
        (date(2025, 12, 31), date(2026, 1, 5)),
        (date(2026, 12, 20), date(2027, 1, 1)),
    ],
)
def test_an_unknown_day_has_no_budget_however_small_the_charge(first: date, last: date) -> None:
    made = Charge(first_day=first, last_day=last, by_period=1, by_day=1)
    with pytest.raises(BudgetExhausted, match="days outside 2026-01-01 to 2026-12-31 have no privacy budget"):
        require_room(made, budgets(10**9, 10**9), {})


@pytest.mark.parametrize("day", [date(2026, 1, 1), date(2026, 12, 31)])
def test_the_first_and_the_last_known_day_have_a_budget(day: date) -> None:
    require_room(Charge(first_day=day, last_day=day, by_period=1, by_day=1), budgets(1, 1), {})


@pytest.mark.parametrize("bad", [0, -1, 1.0, True])
def test_a_budget_is_a_positive_whole_number(bad: int) -> None:
    for pair in ((bad, 1), (1, bad)):
        with pytest.raises(ValidationError):
            budgets(*pair)


# --- the bound of a person --------------------------------------------------------------------------------


def test_a_person_pays_the_squares_of_the_subscriptions_at_each_operator() -> None:
    assert person_bound({"alpha": RHO}, {"alpha": 1}) == RHO
    assert person_bound({"alpha": RHO}, {"alpha": 3}) == 9 * RHO
    assert person_bound({"alpha": 5, "beta": 7, "gamma": 11}, {"gamma": 0, "beta": 2, "alpha": 1}) == 5 + 28
    assert person_bound({"alpha": 0}, {"alpha": 4}) == 0
    assert person_bound({}, {}) == 0


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(0, 10**9), st.integers(0, 3))
def test_a_group_of_subscriptions_moves_gaussian_noise_by_no_more_than_the_bound(
    together: list[int], rho: int, other: int
) -> None:
    """Each subscription moves the vector by 1 in some direction; all in one is the worst: a², not a."""
    cells = max(together) + 1
    squared = sum(together.count(cell) ** 2 for cell in range(cells))
    a = len(together)
    assert squared * rho + other**2 * rho <= person_bound({"k": rho, "l": rho}, {"k": a, "l": other})
    assert a * a * rho == person_bound({"k": rho}, {"k": a})


@pytest.mark.parametrize(
    ("losses", "subscriptions", "says"),
    [
        ({"alpha": -1}, {"alpha": 1}, "the loss of alpha is not a whole number from zero on"),
        ({"alpha": 1.0}, {"alpha": 1}, "the loss of alpha"),
        ({"alpha": 1}, {"alpha": -2}, "the number of subscriptions of alpha is not a whole number"),
        ({"alpha": 1}, {"alpha": True}, "the number of subscriptions of alpha"),
        ({"alpha": 1, "beta": 1}, {"alpha": 1}, "losses or subscriptions of beta are missing"),
        ({"alpha": 1}, {"alpha": 1, "gamma": 1, "beta": 2}, "subscriptions of beta, gamma are missing"),
        ({"alpha": LARGEST + 1}, {"alpha": 1}, "above rho = 1000"),
        ({"alpha": 1}, {"alpha": 10**6 + 1}, "above rho = 1000"),
        ({"alpha": 2**62, "beta": 2**62}, {"alpha": 2**40, "beta": 2**40}, "above rho = 1000"),
    ],
)
def test_a_person_bound_of_wrong_numbers_is_an_error(
    losses: dict[str, int], subscriptions: dict[str, int], says: str
) -> None:
    with pytest.raises(UsageProblem, match=says):
        person_bound(losses, subscriptions)


def test_the_largest_person_bound_is_the_largest_loss() -> None:
    assert person_bound({"alpha": LARGEST // 4}, {"alpha": 2}) == LARGEST
