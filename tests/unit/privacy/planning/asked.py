"""What is planned, and within which budgets."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from privacy.accuracy import Measured
from privacy.calculus import Budgets
from privacy.planner import Plan, Proposal, plan
from privacy.sensitivity import Declaration, Mechanism
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS, declare
from privacy.terms import Level

GAUSSIAN: Mechanism = "discrete-gaussian"
LAPLACE: Mechanism = "discrete-laplace"
RHO = 5_000_000
HOMES = declare(RESIDENTS, {}, 24)
HOURS = declare(PRESENCE_BY_HOUR, {}, 24)
GRID = 10
DOCUMENT = Path(__file__).parents[4] / "docs" / "planning.md"
DAYS = date(2026, 10, 19), date(2026, 10, 25)
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


def planned(asked: Proposal | None = None, caps: Budgets | None = None, **more: Any) -> Plan:
    return plan(asked or proposal(), caps or budgets(), more.pop("spent", {}), **more)
