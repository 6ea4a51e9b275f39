"""A plan says what a release costs, how accurate it is and what remains, and agrees with the ledger."""

from __future__ import annotations

import json
import math
import re
import sys
from contextlib import closing
from datetime import date, timedelta
from fractions import Fraction
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vl_convert
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from node.cli import commands
from node.config import Home
from node.enrolment import load
from node.planning import Planned, print_plan
from node.statistics.registry import algorithms
from privacy.accuracy import (
    SIZES,
    Measured,
    cv,
    error_against_rho,
    level_plan,
    losses_around,
    smallest_count,
)
from privacy.calculus import DAY, MONTH, Budgets, Charge, charge, require_room
from privacy.errors import BudgetExhausted, UsageProblem
from privacy.ledger import Ledger
from privacy.noise import gaussian, noised
from privacy.planner import Plan, Proposal, charge_of, plan
from privacy.planner_chart import chart, panel
from privacy.sensitivity import Declaration, Mechanism
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS, UNION_SKETCH, WEIGHTED_PRESENCE, declare
from privacy.terms import Level
from quorate.contract.order import terms_of
from tests.support_node import enrolled, network_at, products_of
from tests.unit.privacy.builders import presence, request_for

GAUSSIAN: Mechanism = "discrete-gaussian"
LAPLACE: Mechanism = "discrete-laplace"
RHO = 5_000_000
HOMES = declare(RESIDENTS, {}, 24)
HOURS = declare(PRESENCE_BY_HOUR, {}, 24)
GRID = 10
DOCUMENT = Path(__file__).parents[3] / "docs" / "planning.md"
MARCH = date(2026, 3, 1), date(2026, 3, 31)
#: The split that PRIVACY.md found best, from nation to zone.
SPLIT = (("nation", 50), ("region", 100), ("district", 250), ("zone", 600))


def measured(
    bounds: Declaration, name: str = "zone", share: int = 1000, mechanism: Mechanism = GAUSSIAN
) -> Measured:
    return Measured(level=Level(name=name, share_permille=share), bounds=bounds, mechanism=mechanism)


def proposal(
    bounds: Declaration = HOMES, days: tuple[date, date] = MARCH, by_period: int = RHO, **changes: Any
) -> Proposal:
    fields: dict[str, Any] = {
        "product": "residents",
        "grid_milli": GRID,
        "measured": (measured(bounds),),
    } | changes
    return Proposal(first_day=days[0], last_day=days[1], by_period=by_period, **fields)


def budgets(day: int = 30_000_000, month: int = 600_000_000) -> Budgets:
    return Budgets(day=day, month=month, first_day=date(2026, 1, 1), last_day=date(2026, 12, 31))


def spent_on(*charges: Charge) -> dict[tuple[int, date], int]:
    spent: dict[tuple[int, date], int] = {}
    for made in charges:
        for length in (DAY, MONTH):
            for first, cost in made.windows(length):
                spent[length, first] = spent.get((length, first), 0) + cost
    return spent


def planned(asked: Proposal | None = None, caps: Budgets | None = None, **more: Any) -> Plan:
    return plan(asked or proposal(), caps or budgets(), more.pop("spent", {}), **more)


# --- losses -----------------------------------------------------------------------------------------------


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


# --- noise and accuracy -----------------------------------------------------------------------------------


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


# --- budgets ----------------------------------------------------------------------------------------------


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


# --- what is refused --------------------------------------------------------------------------------------


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


# --- the picture ------------------------------------------------------------------------------------------


def test_error_falls_with_the_loss_and_meets_the_plan() -> None:
    points = error_against_rho(measured(HOMES), GRID, losses_around(RHO), operators=3)
    level = planned(operators=(3,)).levels[0]
    for size in SIZES:
        errors = [point.cv for point in points if point.size == size]
        assert errors == sorted(errors, reverse=True)
        assert [point.cv for point in points if (point.nano, point.size) == (RHO, size)] == [
            level.accuracy[0].cv[size]
        ]


def test_losses_too_small_for_the_share_of_a_level_are_left_out() -> None:
    points = error_against_rho(measured(HOMES, share=100), GRID, (1, 9, 10, 11), sizes=(10,))
    assert [point.nano for point in points] == [10, 11]


@pytest.mark.parametrize("nano", [1, 7, RHO, 10**12])
def test_losses_around_one_have_it_among_them_and_stay_losses(nano: int) -> None:
    losses = losses_around(nano)
    assert nano in losses
    assert losses == sorted(set(losses))
    assert losses[0] >= 1
    assert losses[-1] <= 10**12


def test_the_picture_marks_the_planned_loss_and_carries_its_data() -> None:
    points = error_against_rho(measured(HOMES), GRID, losses_around(RHO), sizes=(10, 1000))
    spec = chart([panel(points, RHO, "Residents", "level zone")] * 2)
    assert set(spec["vconcat"][0]["layer"][1]["data"]["values"][0]) == {"rho", "cv", "size"}
    assert '"url"' not in json.dumps(spec)
    image = vl_convert.vegalite_to_svg(spec, vl_version="6.4")
    for text in ("planned: ρ = 0.005", "count of 1,000", "Residents", "level zone", "25%"):
        assert image.count(text) >= 2, text
    # A line per size and panel, which falls: a flat one would mean that its data were not read.
    lines = [
        re.findall(r"[ML]([\d.]+),([\d.]+)", path) for path in re.findall(r'<path[^>]* d="([^"]+)"', image)
    ]
    falling = [line for line in lines if len({height for _across, height in line}) > 5]
    assert len(falling) == 4


# --- the command ------------------------------------------------------------------------------------------

DAYS = date(2026, 10, 19), date(2026, 10, 25)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An enrolled node that has released residents of a week."""
    made = enrolled(network_at(tmp_path / "hub"), tmp_path / "node")
    own = load(made)
    with closing(Ledger(made.ledger, own.ledger_identity, own.budgets)) as ledger:
        terms = terms_of(own.charter, own.zoning, "residents", DAYS, 0)
        ledger.commit(request_for(terms), date(2026, 11, 2))
    return made


def quorate_node(home: Home, *words: str) -> Result:
    result = CliRunner().invoke(commands, [*words, "--dir", str(home.root)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def ask(home: Home, product: str, first: date, *words: str) -> dict[str, Any]:
    told = quorate_node(home, "plan", product, "--from", str(first), "--json", *words).stdout
    return dict(json.loads(told))


def test_a_plan_for_a_program(home: Home) -> None:
    found = ask(home, "presence", DAYS[0])
    assert (found["outcome"], found["refused"], found["revision"]) == ("charged", None, 0)
    assert found["charge"]["by_day"] == 10_000_000
    day, month = found["rooms"]
    # The policy's cap of a day is below the charter's; residents have spent half of it.
    assert (day["first_day"], day["spent"], day["cap"], day["remains"]) == ("2026-10-19", 10**7, 2 * 10**7, 0)
    assert (month["length"], month["spent"]) == (31, 10_000_000)
    assert [level["operators"] for level in found["levels"][0]["accuracy"]] == [1, 2]


def test_what_is_in_the_ledger_comes_again_and_a_revision_is_charged_again(home: Home) -> None:
    again = ask(home, "residents", DAYS[0], "--to", str(DAYS[1]))
    revised = ask(home, "residents", DAYS[0], "--to", str(DAYS[1]), "--revision", "1")
    assert (again["outcome"], revised["outcome"]) == ("repeated", "charged")
    assert again["release_id"] != revised["release_id"]


def test_a_plan_names_the_day_that_cannot_bear_it(home: Home) -> None:
    own = load(home)
    with closing(Ledger(home.ledger, own.ledger_identity, own.budgets)) as ledger:
        terms = terms_of(own.charter, own.zoning, "presence", (DAYS[0], DAYS[0]), 0)
        ledger.commit(request_for(terms, "other"), date(2026, 11, 2))
    words = ("plan", "presence", "--from", str(DAYS[0]), "--revision", "1")
    text = quorate_node(home, *words).stdout
    assert "It would be refused: the privacy budget of day 2026-10-19 cannot bear this release" in text


def test_a_plan_for_a_person(home: Home) -> None:
    text = quorate_node(home, "plan", "residents", "--from", "2026-11-01", "--to", "2026-11-07").stdout
    for part in ("Residents (residents), 2026-11-01 to 2026-11-07", "the whole period", "0.005", "0.430"):
        assert part in text
    assert "σ = 10.01 in each cell" in text
    assert "smallest with 25 %" in text
    assert text.endswith("The budgets can bear it.\n")
    repeated = quorate_node(home, "plan", "residents", "--from", str(DAYS[0]), "--to", str(DAYS[1])).stdout
    assert "the same bytes would come again, at no charge" in repeated


def test_a_plan_of_several_levels_has_a_table_for_each(tmp_path: Path) -> None:
    levels = (Level(name="zone", share_permille=600), Level(name="district", share_permille=400))
    products = tuple(
        product.model_copy(update={"levels": levels, "mechanism": LAPLACE})
        for product in products_of(algorithms())
    )
    home = enrolled(network_at(tmp_path / "hub", products=products), tmp_path / "node")
    own = load(home)
    Ledger(home.ledger, own.ledger_identity, own.budgets).close()
    found = ask(home, "residents", DAYS[0], "--to", str(DAYS[1]))
    terms = terms_of(own.charter, own.zoning, "residents", DAYS, 0)
    assert found["release_id"] == terms.release_id()
    assert found["charge"] == terms.charge().model_dump(mode="json")
    assert (found["charge"]["by_period"], found["charge"]["by_day"]) == (RHO, 4 * RHO)
    for planned_level, level in zip(found["levels"], terms.levels, strict=True):
        shown = {name: planned_level[name] for name in level.model_dump()}
        assert (shown, planned_level["mechanism"]) == (level.model_dump(), LAPLACE)
    text = quorate_node(home, "plan", "residents", "--from", str(DAYS[0]), "--to", str(DAYS[1])).stdout
    # b = 12.91 and 15.82; the standard deviations are √2 times as much and less than a hundredth below.
    assert "Error by noise at level zone, σ = 18.2" in text
    assert "Error by noise at level district, σ = 22.3" in text


def with_product(tmp_path: Path, **product: Any) -> Home:
    """Return an enrolled node with a ledger, and one more product in the charter."""
    first = products_of(algorithms())[0]
    added = first.model_copy(
        update={"product_id": "more", "algorithm": algorithms()[product["statistic"]], **product}
    )
    products = (*products_of(algorithms()), added)
    home = enrolled(network_at(tmp_path / "hub", products=products), tmp_path / "node")
    own = load(home)
    Ledger(home.ledger, own.ledger_identity, own.budgets).close()
    return home


def test_a_plan_of_a_sketch_says_its_bins_and_the_noise_of_their_sum(tmp_path: Path) -> None:
    home = with_product(
        tmp_path,
        statistic=UNION_SKETCH,
        parameters={"bins": 1_000_000, "by_zone": False},
        levels=(Level(name="nation", share_permille=1000),),
    )
    found = ask(home, "more", DAYS[0], "--to", str(DAYS[1]))
    assert (found["bins"], found["outcome"]) == (1_000_000, "charged")
    # Δ² is 1 by period and by day, so that a day costs as much as the whole.
    assert found["charge"]["by_day"] == found["charge"]["by_period"] == RHO
    assert found["levels"][0]["name"] == "nation"
    text = quorate_node(home, "plan", "more", "--from", str(DAYS[0]), "--to", str(DAYS[1])).stdout
    assert "Error by noise at level nation, σ = 10.01 in each cell" in text
    # 10.01 · √10⁶.
    assert "A row has 1,000,000 bins" in text
    assert "1,000 times σ: 10,010 persons at level nation" in text


def test_a_plan_of_weighted_presence_needs_no_weights_and_finds_what_was_charged(tmp_path: Path) -> None:
    home = with_product(
        tmp_path,
        statistic=WEIGHTED_PRESENCE,
        parameters={"weight_maximum": 9, "night_hours": [0, 1], "silent_level": "district"},
        max_days=1,
    )
    found = ask(home, "more", DAYS[0])
    assert (found["outcome"], found["release_id"], found["bins"]) == ("charged", None, None)
    assert found["levels"][0]["period_squared"] == 24 * 9**2
    text = quorate_node(home, "plan", "more", "--from", str(DAYS[0])).stdout
    assert "A count is a sum of weights in their fixed point." in text
    own = load(home)
    terms = terms_of(own.charter, own.zoning, "more", (DAYS[0], DAYS[0]), 0, weights="ab" * 32)
    with closing(Ledger(home.ledger, own.ledger_identity, own.budgets)) as ledger:
        ledger.commit(request_for(terms, "weighted"), date(2026, 11, 2))
    again, revised = (ask(home, "more", DAYS[0], "--revision", revision) for revision in "01")
    assert (again["outcome"], again["release_id"]) == ("repeated", terms.release_id())
    assert (revised["outcome"], revised["release_id"]) == ("charged", None)
    assert ask(home, "more", DAYS[1])["outcome"] == "charged"


def test_a_plan_while_the_node_runs_changes_nothing(home: Home) -> None:
    own, before = load(home), home.ledger.read_bytes()
    with closing(Ledger(home.ledger, own.ledger_identity, own.budgets)):
        ask(home, "presence", DAYS[0])
    assert home.ledger.read_bytes() == before


@pytest.mark.parametrize(("name", "start"), [("a.svg", b"<svg"), ("a.png", b"\x89PNG"), ("a.html", b"<!")])
def test_a_picture_is_what_its_name_says(home: Home, tmp_path: Path, name: str, start: bytes) -> None:
    path = tmp_path / name
    quorate_node(home, "plan", "presence", "--from", str(DAYS[0]), "--picture", str(path))
    assert path.read_bytes().lstrip().startswith(start)
    assert b'src="http' not in path.read_bytes()


def test_pictures_that_cannot_be_drawn_say_why(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("plan", "presence", "--from", str(DAYS[0]), "--picture")
    with pytest.raises(UsageProblem, match="what kind of picture"):
        quorate_node(home, *words, str(tmp_path / "a.jpg"))
    with pytest.raises(UsageProblem, match="cannot be written"):
        quorate_node(home, *words, str(tmp_path / "nowhere" / "a.svg"))
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(UsageProblem, match="vl-convert, which is not installed") as caught:
        quorate_node(home, *words, str(tmp_path / "a.svg"))
    assert caught.value.todo == "install it: pip install 'quorate[demo]'"


def test_the_example_of_the_documentation_is_what_the_command_prints() -> None:
    long_day, week = date(2026, 10, 25), (date(2026, 10, 19), date(2026, 10, 25))
    terms = presence(long_day, 20_000_000, bounds=declare(PRESENCE_BY_HOUR, {}, 25))
    asked = proposal(terms.bounds, (long_day, long_day), terms.by_period, product="presence")
    wednesday = charge(HOURS, GAUSSIAN, date(2026, 10, 21), date(2026, 10, 21), 20_000_000)
    before = spent_on(charge(HOMES, GAUSSIAN, *week, RHO), wednesday)
    found = Planned(
        title="Persons present by zone and hour",
        terms=terms.model_copy(update={"product": "presence"}),
        proposal=asked,
        plan=planned(asked, spent=before, operators=(1, 3)),
        recorded=False,
        lost=False,
        operators=3,
    )
    printed = StringIO()
    print_plan(found, Console(file=printed, width=80, markup=False, emoji=False, highlight=False))
    assert printed.getvalue() in DOCUMENT.read_text(encoding="utf-8")


def test_what_the_charter_does_not_have_is_refused(home: Home) -> None:
    for words, said in (
        (("nothing", "--from", "2026-10-19"), "no product called nothing"),
        (("presence", "--from", "2026-10-19", "--to", "2026-10-20"), "released for up to 1 day"),
    ):
        with pytest.raises(UsageProblem, match=said):
            quorate_node(home, "plan", *words)


def test_a_node_without_a_ledger_is_told_so(tmp_path: Path) -> None:
    home = enrolled(network_at(tmp_path / "hub"), tmp_path / "node")
    with pytest.raises(UsageProblem, match="no ledger"):
        ask(home, "presence", DAYS[0])
