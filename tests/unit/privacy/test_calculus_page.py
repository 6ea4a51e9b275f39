"""docs/calculus.md says what the code says: the table of bounds, and every number of its examples."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from pydantic import JsonValue

from privacy.calculus import MONTH, charge, person_bound
from privacy.levels import split
from privacy.noise import calibrate
from privacy.sensitivity import Declaration, Mechanism
from privacy.statistics import CONTRIBUTION_BOUND, STATISTICS, declare
from privacy.terms import Level
from privacy.units import NANO, epsilon, nano_rho

PAGE = (Path(__file__).parents[3] / "docs" / "calculus.md").read_text(encoding="utf-8")
GRID = 10
DELTA = 1e-6
GAUSSIAN: Mechanism = "discrete-gaussian"
LAPLACE: Mechanism = "discrete-laplace"
RESIDENTS = declare("residents", {}, 24)
MONTHS = (
    (date(2026, 1, 1), date(2026, 1, 31)),
    (date(2026, 2, 1), date(2026, 2, 28)),
    (date(2026, 3, 1), date(2026, 3, 31)),
)


def section(title: str) -> str:
    """Return a section of the page on one line."""
    return " ".join(PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0].split())


def rows(title: str) -> list[list[str]]:
    """Return the cells of the table of a section, without its header."""
    body = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in body.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def decimal(nano: float) -> str:
    """Return a loss as the page writes it."""
    return f"{nano / NANO:.10f}".rstrip("0").rstrip(".")


# --- the table of statistics ------------------------------------------------------------------------------


def value(formula: str, symbols: dict[str, int]) -> int:
    """Return the value of a product of numbers, symbols and their squares."""
    assert re.fullmatch(r"(\d+|[HLw]²?|·)+", formula), formula
    factors = re.findall(r"(\d+|[HLw])(²?)", formula)
    return math.prod((symbols.get(base) or int(base)) ** (2 if square else 1) for base, square in factors)


def parameters_of(cell: str, symbols: dict[str, int]) -> dict[str, JsonValue]:
    """Return parameters for the column of bounds."""
    found: dict[str, JsonValue] = {"limit": symbols["L"], "weight_maximum": symbols["w"]}
    wanted = {name: bound for name, bound in found.items() if f"`{name}`" in cell}
    return wanted | ({"by_zone": "true" in cell} if "`by_zone`" in cell else {})


@pytest.mark.parametrize("row", rows("The statistics"), ids=lambda row: f"{row[0]} {row[2]}")
@pytest.mark.parametrize("symbols", [{"H": 24, "L": 8, "w": 5}, {"H": 25, "L": 1, "w": 7}])
def test_the_table_gives_the_bounds_of_the_code(row: list[str], symbols: dict[str, int]) -> None:
    name, reads, needs, *formulas, why = row
    statistic = STATISTICS[name.strip("`")]
    bounds = declare(name.strip("`"), parameters_of(needs, symbols), symbols["H"])
    found = [value(formula, symbols) for formula in formulas]
    assert found == [*bounds.distances_squared(GAUSSIAN), *bounds.distances_squared(LAPLACE)]
    assert (reads, why) == (statistic.reads, statistic.reason)
    assert set(re.findall(r"`(\w+)`", needs)) <= set(statistic.parameters)


def test_the_table_has_every_statistic_of_counts_in_the_order_of_the_code() -> None:
    names = [row[0].strip("`") for row in rows("The statistics")]
    assert list(dict.fromkeys(names)) == [name for name in STATISTICS if name != CONTRIBUTION_BOUND]
    assert f"`{CONTRIBUTION_BOUND}`" in section("The statistics")


# --- the numbers ------------------------------------------------------------------------------------------


def shown(nano: int, digits: int = 2) -> str:
    return f"{epsilon(nano, DELTA):.{digits}f}"


def window_cost(bounds: Declaration, mechanism: Mechanism, nano: int) -> tuple[int, ...]:
    """Return what each month's release costs the 31 days from 30 January."""
    made = (charge(bounds, mechanism, *month, nano) for month in MONTHS)
    return tuple(dict(one.windows(MONTH))[date(2026, 1, 30)] for one in made)


def residents_and_presence() -> Iterator[str]:
    rho, daily = 5_000_000, 15_000_000
    by_day, laplace = (charge(RESIDENTS, kind, *MONTHS[1], rho).by_day for kind in (GAUSSIAN, LAPLACE))
    costs, of_laplace = (window_cost(RESIDENTS, kind, rho) for kind in (GAUSSIAN, LAPLACE))
    assert date(2026, 1, 30) + timedelta(days=MONTH - 1) == date(2026, 3, 1)
    yield f"costs ρ = {decimal(rho)} by period, so each of its days costs {decimal(by_day)}. The 31 days from"
    yield "30 January 2026"
    yield f"{' + '.join(map(decimal, costs))} = {decimal(sum(costs))}, which is {sum(costs) // rho}ρ"
    yield f"a day costs {laplace // rho}ρ = {decimal(laplace)}"
    yield f"the same window {sum(of_laplace) // rho}ρ = {decimal(sum(of_laplace))}"
    both, month = daily + by_day, MONTH * daily
    yield f"Presence at ρ = {decimal(daily)} a day"
    yield f"{decimal(daily)} + {decimal(by_day)} = {decimal(both)} (ε = {shown(both)})"
    total = month + sum(costs)
    yield (
        f"the 31 days from 30 January {decimal(month)} + {decimal(sum(costs))} = {decimal(total)} "
        f"(ε = {shown(total)})"
    )
    assert both <= 30_000_000
    assert total <= 600_000_000


def noise() -> Iterator[str]:
    flows, weighted = declare("flows", {"limit": 8}, 24), {"weight_maximum": 2000}
    weights = declare("weighted-presence", weighted, 24)
    for title, nano, bounds in (
        ("residents of a month", 5_000_000, RESIDENTS),
        ("presence of a day of 24 hours", 20_000_000, declare("presence-by-hour", {}, 24)),
        ("presence of a day of 25 hours", 20_000_000, declare("presence-by-hour", {}, 25)),
        ("flows of a day, L = 8", 20_000_000, flows),
        ("weighted presence of 24 hours, w = 2000", 20_000_000, weights),
    ):
        sigma = calibrate(bounds, GAUSSIAN, nano, GRID)
        yield f"| {title} | {decimal(nano)} | {bounds.period_squared} | {sigma / 1000:g} |".replace(
            f"{sigma / 1000:g}", f"{sigma / 1000:.2f}".rstrip("0").rstrip(".")
        )
    yield f"On the grid of {GRID / 1000:g}, with"
    yield "A weight of 2000 in thousandths is 2 persons for one phone"
    yield f"the last σ is {calibrate(weights, GAUSSIAN, 20_000_000, GRID) / 1e6:.4f} persons"
    yield f"The smallest σ by the formula is {math.sqrt(1 / (2 * 0.005)):g} for residents"


def levels() -> Iterator[str]:
    rho = 5_000_000
    shares = (("nation", 50), ("region", 100), ("district", 250), ("zone", 600))
    asked = [Level(name=name, share_permille=share) for name, share in shares]
    parts = split(asked, RESIDENTS, GAUSSIAN, rho, GRID)
    for part in parts:
        yield (
            f"| {part.name} | {part.share_permille / 10:g} % | {decimal(part.by_period)} | "
            f"{part.scale_milli / 1000:.2f} |"
        )
    assert sum(part.by_period for part in parts) == rho
    by_day = sum(charge(RESIDENTS, GAUSSIAN, *MONTHS[1], part.by_period).by_day for part in parts)
    yield f"Residents at ρ = {decimal(rho)}:"
    yield f"Together they cost {decimal(rho)} by period and {decimal(by_day)} by day"


def persons() -> Iterator[str]:
    rho = 600_000_000
    two = person_bound({"alpha": rho, "beta": rho}, {"alpha": 2, "beta": 1})
    three = person_bound(dict.fromkeys("abc", rho), dict.fromkeys("abc", 1))
    yield f"a loss of {decimal(rho)} a month"
    yield f"it is 4·{decimal(rho)} + {decimal(rho)} = {decimal(two)} (ε = {shown(two)})"
    yield f"it is {decimal(three)} (ε = {shown(three)})"
    yield "(Bun and Steinke 2016, proposition 1.9)"


def repetition() -> Iterator[str]:
    for daily, digits in ((100_000_000, (3, 1, 1)), (15_000_000, (3, 2, 1)), (1_000_000, (3, 2, 2))):
        cells = (shown(daily * days, places) for days, places in zip((1, 31, 365), digits, strict=True))
        yield f"| {decimal(daily)} | {' | '.join(cells)} |"
    yield "ε at δ = 10⁻⁶ of"
    yield "| ρ a day | a day | 31 days | 365 days |"
    yield "The cap of 31 days"
    count, cap = -(-365 // MONTH), 600_000_000
    yield f"365 days is covered by {count} windows"
    yield f"with B_month = {decimal(cap)} a subscriber's loss in a year is at most {decimal(count * cap)}"
    yield f"(ε = {shown(count * cap)})"


def defaults() -> Iterator[str]:
    day, month = nano_rho(0.03), nano_rho(0.6)
    yield f"B_day = {decimal(day)} (ε = {shown(day)}) and B_month = {decimal(month)} (ε = {shown(month)})"
    yield "both at δ = 10⁻⁶"
    yield f"Wikimedia is ρ = 0.015 (ε = {shown(15_000_000)})"
    yield f"Census of 2020 is ρ = 2.63 (ε = {shown(2_630_000_000)})"
    # Both of these are asserted in test_accountants.py.
    yield "For the losses from 0.0001 to 36.5 at δ = 10⁻⁶ it is at most 10 % above"


@pytest.mark.parametrize(
    ("title", "fragments"),
    [
        ("Worked examples", [*residents_and_presence(), *noise()]),
        ("Levels and shares", list(levels())),
        ("A person with several subscriptions", list(persons())),
        ("What repetition costs", list(repetition())),
        ("Defaults", list(defaults())),
    ],
)
def test_every_number_of_the_examples_is_recomputed(title: str, fragments: list[str]) -> None:
    """What is computed is on the page, and the page has no other number."""
    text = section(title)
    for fragment in fragments:
        assert fragment in text
    for fragment in sorted(fragments, key=len, reverse=True):
        text = text.replace(fragment, "")
    # Symbols such as Δ₂² and σ² are no numbers; powers of the formula neither.
    assert re.findall(r"\d[\d.]*", text) == []


def test_the_picture_adds_up() -> None:
    costs = window_cost(RESIDENTS, GAUSSIAN, NANO)
    shares = [f"{cost // NANO}ρ".removeprefix("1") for cost in costs]
    (said,) = re.findall(r"^ it pays +(.+)$", PAGE, re.MULTILINE)
    assert " ".join(said.split()) == f"{' + '.join(shares)} = {sum(costs) // NANO}ρ"
