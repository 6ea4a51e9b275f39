"""What every statistic reads and how far one subscriber can move it: the table of docs/calculus.md.

A statistic that is not here has no sensitivity, so nothing of it can be noised or charged. Vectors of counts
have a `Declaration`. The choice of a contribution bound is no vector of counts: its loss follows from how far
one subscriber moves a score (`privacy.quantile.Choice.sensitivity`), so it is named here without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pydantic import JsonValue, ValidationError

from privacy.errors import UsageProblem
from privacy.sensitivity import (
    MOST_HOURS,
    Bounds,
    CellByHour,
    Declaration,
    FewCells,
    FourCells,
    OneCell,
    OneMovableCell,
    SketchBins,
    WeightByHour,
)

PRESENCE_BY_HOUR = "presence-by-hour"
PRESENCE_BY_DAY = "presence-by-day"
ANCHORS_BY_DAY = "anchors-by-day"
WEIGHTED_PRESENCE = "weighted-presence"
RESIDENTS = "residents"
COMMUTING = "commuting"
FLOWS = "flows"
VISITORS = "visitors"
STAY_DURATIONS = "stay-durations"
TRAVELLED_DISTANCES = "travelled-distances"
GYRATION = "gyration"
ACTIVITY = "activity"
UNION_SKETCH = "union-sketch"
QUALITY_INDICATORS = "quality-indicators"
CONTRIBUTION_BOUND = "contribution-bound"

Reads = Literal["day", "period"]
"""What a release reads: exactly one local day, or a period of one day or more."""


@dataclass(frozen=True)
class Statistic:
    """What one statistic reads, and why it is bounded as it is.

    Attributes
    ----------
    reads
        Exactly one local day, or a period.
    bounds
        Parameters that its bounds need, and the rule that makes a declaration of them; None if it is no
        vector of counts.
    reason
        Why the bounds hold, in one sentence.
    """

    reads: Reads
    bounds: type[Bounds] | None
    reason: str

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that its bounds need."""
        return tuple(self.bounds.model_fields) if self.bounds else ()


_ONE_BIN = Statistic("day", OneCell, "A subscriber fills one public bin, in the anchor zone of the same day.")
#: Every statistic that can be noised.
STATISTICS: Mapping[str, Statistic] = MappingProxyType(
    {
        PRESENCE_BY_HOUR: Statistic(
            "day",
            CellByHour,
            "A subscriber has one dominant zone, or is unobserved, in each of the H elapsed hours of the day.",
        ),
        PRESENCE_BY_DAY: Statistic(
            "day", FewCells, "A subscriber counts once in each zone of the day, in at most L of them."
        ),
        ANCHORS_BY_DAY: Statistic(
            "day", OneCell, "A subscriber has one night zone of the date, or is unanchored."
        ),
        WEIGHTED_PRESENCE: Statistic(
            "day",
            WeightByHour,
            "As presence by hour, and each cell counts with the weight of the same day's anchor, at most w.",
        ),
        RESIDENTS: Statistic(
            "period",
            OneMovableCell,
            "A subscriber has one home in the period, or is unanchored; a part of the days can move it from "
            "one cell to another.",
        ),
        COMMUTING: Statistic(
            "period",
            OneMovableCell,
            "A subscriber has one pair of home and day zone in the period, or is unanchored; a part of the "
            "days can move it from one cell to another.",
        ),
        FLOWS: Statistic(
            "day",
            FewCells,
            "A subscriber counts once in each pair of origin and destination of the day, in at most L of them.",
        ),
        VISITORS: Statistic(
            "day", OneCell, "An inbound roamer has one country and one zone in the night hours of the date."
        ),
        STAY_DURATIONS: _ONE_BIN,
        TRAVELLED_DISTANCES: _ONE_BIN,
        GYRATION: _ONE_BIN,
        ACTIVITY: Statistic("day", OneCell, "A subscriber fills one public bin of activity on the day."),
        UNION_SKETCH: Statistic(
            "period",
            SketchBins,
            "The identity alone decides the bin, so a part of the days can only empty it; by zone a subscriber "
            "has it in at most L zones, and a part of the days can put L others in their place.",
        ),
        QUALITY_INDICATORS: Statistic(
            "day",
            FourCells,
            "A subscriber is in each of the four counts once or not at all.",
        ),
        CONTRIBUTION_BOUND: Statistic(
            "day",
            None,
            "No count leaves: a subscriber moves the score of each public candidate by at most max(q, 1 - q), "
            "and one candidate is chosen.",
        ),
    }
)


def declare(statistic: str, parameters: Mapping[str, JsonValue], hours: int) -> Declaration:
    """Return the declared bounds of a statistic.

    Parameters
    ----------
    statistic
        Its name.
    parameters
        Of the product; those that bound nothing are ignored.
    hours
        Elapsed hours of the local day that is read, up to 25; statistics without hours ignore it, and 1 is
        refused for the others.

    Raises
    ------
    UsageProblem
        If there is no such statistic, it has no vector of counts, or a bound is missing or malformed.
    """
    bounds = _bounds_of(statistic)
    if type(hours) is not int or not 1 <= hours <= MOST_HOURS:
        raise UsageProblem(f"a day of {hours} hours is not between 1 and {MOST_HOURS}")
    if bounds.by_hour and hours == 1:
        # A list of cells without hours has 1; bounds of one hour would be far too small for a day.
        raise UsageProblem(f"{statistic} is counted by hour, and the hours of its day are not given")
    try:
        return bounds.model_validate(dict(parameters)).declaration(hours)
    except ValidationError as error:
        raise UsageProblem(
            f"{statistic} has no bounds: {_problems(error)}",
            means="one subscriber could move any number of cells, so nothing can be noised or charged",
            todo=f"give the product the parameters {', '.join(bounds.model_fields)}; see docs/calculus.md",
        ) from error


def _bounds_of(statistic: str) -> type[Bounds]:
    counted = {name: found.bounds for name, found in STATISTICS.items() if found.bounds is not None}
    if statistic in counted:
        return counted[statistic]
    what = "is not a vector of counts" if statistic in STATISTICS else "is not a statistic"
    raise UsageProblem(
        f"{statistic} {what}",
        means="without declared bounds no noise can be added, and nothing can be charged",
        todo=f"use one of: {', '.join(sorted(counted))}",
    )


def _problems(error: ValidationError) -> str:
    """Return what is wrong with each bound, without its value."""
    return "; ".join(
        f"{found['loc'][0]} is missing"
        if found["type"] == "missing"
        else ": ".join([*map(str, found["loc"]), found["msg"].removeprefix("Value error, ")])
        for found in error.errors(include_url=False, include_input=False, include_context=False)
    )
