"""Reads what a demo has left in its directory: estimates beside the truth, ledgers, and its settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.demo.compare import read_rows
from privacy.errors import UsageProblem

RESIDENTS, PRESENCE = "residents", "presence"


@dataclass(frozen=True)
class Cell:
    """One estimate, with what only a simulation knows.

    Attributes
    ----------
    estimate, lower, upper
        Value and 95 % interval; None where suppressed.
    std_error
        None where it is infinite.
    status
        E, U or Q.
    truth
        None where the simulation has no such cell.
    """

    estimate: float | None
    lower: float | None
    upper: float | None
    std_error: float | None
    status: str
    truth: float | None

    @property
    def covered(self) -> bool:
        """Whether the truth is in the interval; False where there is none."""
        if self.lower is None or self.upper is None or self.truth is None:
            return False
        return self.lower <= self.truth <= self.upper


NOTHING = Cell(None, None, None, None, "Q", None)
Table = Mapping[str, Mapping[str, Cell]]
"""Cells by area and time_period, both in the order of the file."""


@dataclass(frozen=True)
class Outputs:
    """What a demo has left.

    Attributes
    ----------
    residents, presence
        Cells by area and period.
    settings
        settings.json: what was asked for and how much came of it.
    ledgers
        ledger.json: the summary of each operator's ledger.
    """

    residents: Table
    presence: Table
    settings: Mapping[str, Any]
    ledgers: Mapping[str, Any]

    def resident(self, area: str) -> Cell:
        """Return the residents of an area; an area without a row is suppressed."""
        return next(iter(self.residents.get(area, {}).values()), NOTHING)

    @property
    def hours(self) -> list[str]:
        """time_period of each elapsed hour of the day of presence."""
        return list(next(iter(self.presence.values()), {}))


def read_outputs(out: Path) -> Outputs:
    """Read the directory of a demo.

    Raises
    ------
    UsageProblem
        If a file is missing, or is not what a demo writes.
    """
    try:
        return Outputs(
            residents=_table(out, RESIDENTS),
            presence=_table(out, PRESENCE),
            settings=json.loads((out / "settings.json").read_text(encoding="utf-8")),
            ledgers=json.loads((out / "ledger.json").read_text(encoding="utf-8")),
        )
    except (OSError, ValueError, KeyError) as error:
        raise UsageProblem(
            f"{out} lacks something that a demo writes ({type(error).__name__}: {error})",
            means="There is nothing to draw a report from.",
            todo="Run the demo again, into an empty directory.",
        ) from error


def _table(out: Path, product: str) -> Table:
    truth = {
        (row["ref_area"], row["time_period"]): float(row["value"])
        for row in read_rows(out / "truth" / f"{product}.csv")
    }
    table: dict[str, dict[str, Cell]] = {}
    for row in read_rows(out / "estimates" / f"{product}.csv"):
        area, time = row["ref_area"], row["time_period"]
        table.setdefault(area, {})[time] = Cell(
            estimate=_number(row["estimate"]),
            lower=_number(row["lower_95"]),
            upper=_number(row["upper_95"]),
            std_error=_number(row["std_error"]),
            status=row["obs_status"],
            truth=truth.get((area, time)),
        )
    return table


def _number(text: str) -> float | None:
    return float(text) if text else None
