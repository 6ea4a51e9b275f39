"""The gate: holds a day's exact indicators against declared limits and the days before.

It works before any order is looked at, and nothing of it leaves the node.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from node.sources.quality import rejected_share
from node.sources.reading import no_rows
from node.sources.rules import Gate
from privacy.errors import DataProblem

#: Days that control limits look back, and the fewest that give any.
LOOK_BACK, FEWEST = 28, 8
#: Mean moving range of two → standard deviation (Shewhart's d₂ for samples of two, ISO 7870-2).
_D2 = 1.128


@dataclass(frozen=True)
class Limits:
    """Control limits of an individuals chart.

    Attributes
    ----------
    value
        Of the day.
    mean, low, high
        Mean of the days before, and three standard deviations to each side, from the mean moving range.
    days
        Number of days before.
    """

    value: float
    mean: float
    low: float
    high: float
    days: int

    @property
    def outside(self) -> bool:
        """Whether the day is outside the limits."""
        return not self.low <= self.value <= self.high


def limits(value: float, before: Sequence[float]) -> Limits | None:
    """Return the control limits that days before give to a value, None for fewer than `FEWEST` days.

    Parameters
    ----------
    value
        Of the day.
    before
        Of the days before, in order.
    """
    if len(before) < FEWEST:
        return None
    mean = fmean(before)
    moving = fmean(abs(after - one) for one, after in pairwise(before))
    reach = 3 * moving / _D2
    return Limits(value, mean, mean - reach, mean + reach, len(before))


def watched(indicators: Mapping[str, Any]) -> dict[str, float]:
    """Return the indicators that have control limits."""
    return {
        "subscribers": float(indicators["subscribers"]),
        "events_per_subscriber": float(indicators["events_per_subscriber"]["mean"]),
        "active_cells": float(indicators["cells"]["active"]),
        "rejected_permille": float(indicators["rejected_permille"]),
    }


def drift(indicators: Mapping[str, Any], quality: Path, day: date) -> dict[str, dict[str, Any]]:
    """Return the control limits of every watched indicator, from the quality files of the days before.

    Parameters
    ----------
    indicators
        Of the day.
    quality
        Directory of the quality files.
    day
        The local day.
    """
    before: list[dict[str, float]] = []
    for back in range(LOOK_BACK, 0, -1):
        path = quality / f"{day - timedelta(days=back)}.json"
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            # A day that was not used says nothing about what is usual.
            if "indicators" in found and not found["blocked"]:
                before.append(watched(found["indicators"]))
    charts = {
        name: limits(value, [one[name] for one in before]) for name, value in watched(indicators).items()
    }
    return {
        name: {**asdict(chart), "outside": chart.outside}
        for name, chart in charts.items()
        if chart is not None
    }


def passed(quality: Mapping[str, Any], rules: Gate, day: date) -> list[str]:
    """Return what the gate warns of, if it lets a day pass.

    Parameters
    ----------
    quality
        `rows`, `indicators` and `drift` of the day.
    rules
        The limits.
    day
        The local day.

    Raises
    ------
    DataProblem
        Says which rule; the figures themselves are in the operator's quality file only.
    """
    details = f"the figures are in quality/{day}.json of the node's directory"
    rows = quality["rows"]
    if rows["total"] == 0:
        raise no_rows(day)
    if rows["accepted"] == 0:
        raise DataProblem(
            f"no row of {day} is accepted", means=details, todo="correct the mapping or the delivery"
        )
    blocked = next(_blocks(quality, rules, day), None)
    if blocked:
        raise DataProblem(blocked[0], means=details, todo=f"correct the delivery, or {blocked[1]}")
    outside = [name for name, chart in quality["drift"].items() if chart["outside"]]
    if outside and rules.drift == "block":
        raise DataProblem(
            f"{', '.join(outside)} of {day} is outside the control limits of the last {LOOK_BACK} days",
            means=details,
            todo='find out why; say [source.gate] drift = "warn" if the day is right',
        )
    return [f"{name} is outside its control limits" for name in outside] if rules.drift == "warn" else []


def _blocks(quality: Mapping[str, Any], rules: Gate, day: date) -> Any:
    """Yield what is beyond a limit, and the setting that would allow it."""
    rejected, relevant = rejected_share(quality["rows"])
    indicators = quality["indicators"]
    if rejected * 1000 > rules.max_rejected_permille * relevant:
        yield (
            f"more than {rules.max_rejected_permille / 10:g} % of the rows of {day} are rejected",
            "raise gate.max_rejected_permille in [source] if this is normal",
        )
    if rules.max_gap_minutes and indicators["longest_gap_minutes"] > rules.max_gap_minutes:
        yield (
            f"{day} has more than {rules.max_gap_minutes} minutes without any event",
            "raise gate.max_gap_minutes in [source] if this is normal",
        )
    cells = indicators["cells"]
    if cells["active"] * 1000 < rules.min_active_cells_permille * cells["registered"]:
        yield (
            f"fewer than {rules.min_active_cells_permille / 10:g} % of the cells have events on {day}",
            "lower gate.min_active_cells_permille in [source] if this is normal",
        )
