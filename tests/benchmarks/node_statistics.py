"""Every statistic from presence that is built: of a day, and residents and commuting of a month."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from node.config import Engine
from node.engine import connect, read_one
from node.statistics.registry import STATISTICS, Files, Inputs, exact_vector
from privacy.statistics import STATISTICS as DECLARED
from quorate.contract.zoning import Zone, Zoning
from tests.benchmarks.node_world import COLUMNS, DAY, SPACING_M, ZONES
from tests.benchmarks.processes import Work, work
from tests.unit.node.statistics.cases import terms_for

#: Five by two cells each; twenty zones side by side make a district.
ZONING = Zoning(
    name="Bench",
    version="1",
    levels=("zone", "district"),
    zones=tuple(Zone(code=f"Z{n:03d}", parents={"district": f"D{n // 20:02d}"}) for n in range(ZONES)),
)
TIME_ZONE = "Europe/Brussels"
MONTH_DAYS = 30
FIRST = date(2026, 10, 1)
_MONTHLY: dict[str, dict[str, Any]] = {
    "residents": {"min_nights": 10},
    "commuting": {"min_nights": 10, "min_days": 8},
}


def of_day(presence: Path, visits: Path, scratch: Path, memory: str) -> dict[str, Work]:
    """Return what each statistic of one day costs, with an engine of its own as in the node's worker."""
    return {name: one_of_day(name, presence, visits, scratch, memory)[name] for name in daily()}


def daily() -> list[str]:
    """Return the statistics of one day."""
    return [name for name in STATISTICS if DECLARED[name].reads == "day"]


def one_of_day(name: str, presence: Path, visits: Path, scratch: Path, memory: str) -> dict[str, Work]:
    """Return what one statistic of one day costs."""
    return {name: _cost(name, [presence], [visits], [DAY.local], scratch, memory)}


def of_month(presence: Sequence[Path], scratch: Path, memory: str) -> dict[str, Work]:
    """Return what residents and commuting of a month cost."""
    days = [FIRST + timedelta(days=number) for number in range(len(presence))]
    return {name: _cost(name, presence, [], days, scratch, memory) for name in _MONTHLY}


def _cost(  # noqa: PLR0917 - what is asked, of which days, and where
    name: str,
    presence: Sequence[Path],
    visits: Sequence[Path],
    days: Sequence[date],
    scratch: Path,
    memory: str,
) -> Work:
    parameters = {**STATISTICS[name].module.GOLDEN.parameters, **_MONTHLY.get(name, {})}
    terms = terms_for(name, parameters, days, ZONING)
    zone = np.arange(ZONES)
    across = COLUMNS // 5
    with ExitStack() as stack:
        found = stack.enter_context(work())
        db = stack.enter_context(connect(Engine(memory_limit=memory, threads=2), scratch))
        inputs = Inputs(
            presence=[read_one(db, path) for path in presence],
            visits=[read_one(db, path) for path in visits],
            # As if everybody had a rejected row: more is not to be counted.
            rejected=[read_one(db, path) for path in presence],
            zoning=ZONING,
            time_zone=TIME_ZONE,
            key=7,
            sampling_key=8,
            positions=pa.table(
                {"zone": zone, "x_m": zone % across * 5 * SPACING_M, "y_m": zone // across * 2 * SPACING_M}
            ),
            weights=np.arange(ZONES + 1) % 6,
            files=Files(presence, visits),
        )
        exact_vector(terms, inputs)
    return found
