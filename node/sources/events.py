"""A local day, and what the door and the cleaning rules make of it: clean events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from ibis.expr.types import Table

from node.sources.reasons import Reason
from node.tables import CELL, ORIGIN, REASON, SUBSCRIBER, TIME, ZONE
from privacy.errors import UsageProblem
from quorate.contract.calendar import midnight_us

LONGEST_US = 25 * 3600 * 1_000_000


@dataclass(frozen=True)
class Day:
    """A local day in absolute time: [start_us, end_us) in microseconds since the epoch."""

    local: date
    start_us: int
    end_us: int

    @classmethod
    def of(cls, day: date, time_zone: str) -> Day:
        """Return a local day of a time zone.

        Raises
        ------
        UsageProblem
            If it has more than 25 hours, for which a mask of hours has no place.
        """
        found = cls(day, midnight_us(day, time_zone), midnight_us(day + timedelta(days=1), time_zone))
        if found.end_us - found.start_us > LONGEST_US:
            raise UsageProblem(
                f"{day} has more than 25 hours in {time_zone}",
                todo="declare the day in unavailable_days, or correct the time zone of the charter",
            )
        return found


def clean(rows: Table) -> Table:
    """Return the clean events of judged rows: subscriber, t_us, cell, zone, origin; distinct by the first three."""
    return rows.filter(rows[REASON] == int(Reason.ACCEPTED)).select(SUBSCRIBER, TIME, CELL, ZONE, ORIGIN)
