"""The public list of cells of a release; its order is the order of the numbers on the wire.

Areas are the zones by code ascending, then one special area for what has no zone; within an area the
elapsed hours ascend. Every cell is there, whatever the data are, so that the list tells nothing.
"""

from __future__ import annotations

from datetime import date

from pydantic import Field

from privacy.errors import UsageProblem
from privacy.ledger.entry import Digest
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS
from quorate.contract.calendar import hours_of
from quorate.contract.canonical import Document
from quorate.contract.zoning import Zoning

#: The special area of each statistic.
SPECIAL = {PRESENCE_BY_HOUR: "unobserved", RESIDENTS: "unanchored"}


class Keyset(Document):
    """Cells of one release.

    Attributes
    ----------
    zoning
        Digest of the zoning.
    zones
        Number of zones.
    special
        Name of the area after the last zone.
    hours
        Elapsed hours in each area; 1 for a statistic without hours.
    """

    zoning: Digest
    zones: int = Field(ge=1)
    special: str
    hours: int = Field(ge=1, le=25)

    @property
    def shape(self) -> tuple[int, int]:
        """(areas, hours); the vector is this array in row-major order."""
        return self.zones + 1, self.hours

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.shape[0] * self.shape[1]


def keyset_of(statistic: str, zoning: Zoning, first_day: date, time_zone: str) -> Keyset:
    """Return the cells of a statistic over a zoning.

    Raises
    ------
    UsageProblem
        If the statistic has no keyset.
    """
    if statistic not in SPECIAL:
        raise UsageProblem(f"there is no statistic called {statistic}")
    hours = hours_of(first_day, time_zone) if statistic == PRESENCE_BY_HOUR else 1
    if hours not in {1, 23, 24, 25}:
        raise UsageProblem(f"{first_day} has {hours} hours in {time_zone}; only 23, 24 and 25 are supported")
    return Keyset(zoning=zoning.digest(), zones=len(zoning.zones), special=SPECIAL[statistic], hours=hours)
