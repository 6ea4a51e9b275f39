"""The public list of cells of a release; its order is the order of the numbers on the wire.

One level of the zoning follows another, as the terms name them. In a level the areas are ordered by code, and
after them comes one special area for what has no zone; within an area the elapsed hours ascend. Every cell is
there, whatever the data are, so that the list tells nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from pydantic import Field

from privacy.errors import UsageProblem
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS
from privacy.terms import Digest, Name
from quorate.contract.calendar import hours_of
from quorate.contract.canonical import Document
from quorate.contract.zoning import Zoning

#: The special area of each statistic.
SPECIAL = {PRESENCE_BY_HOUR: "unobserved", RESIDENTS: "unanchored"}
#: Statistics of which a larger area is the sum of its zones, because a subscriber fills one zone at a time.
ADDITIVE = frozenset({PRESENCE_BY_HOUR, RESIDENTS})


class LevelCells(Document):
    """A level of the zoning, and how many areas it has."""

    name: Name
    areas: int = Field(ge=1)


class Keyset(Document):
    """Cells of one release.

    Attributes
    ----------
    zoning
        Digest of the zoning.
    levels
        Levels that are measured, in the order of the vector.
    special
        Name of the area after the last one of each level.
    hours
        Elapsed hours in each area; 1 for a statistic without hours.
    """

    zoning: Digest
    levels: tuple[LevelCells, ...] = Field(min_length=1)
    special: str
    hours: int = Field(ge=1, le=25)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(areas, hours) of each level, the special area among them; a level is this array in row-major order."""
        return tuple((level.areas + 1, self.hours) for level in self.levels)

    @property
    def size(self) -> int:
        """Number of cells."""
        return sum(areas * hours for areas, hours in self.shapes)

    def parts(self) -> Iterator[tuple[str, slice, tuple[int, int]]]:
        """Yield name, place in the vector and shape of each level."""
        start = 0
        for level, (areas, hours) in zip(self.levels, self.shapes, strict=True):
            yield level.name, slice(start, start + areas * hours), (areas, hours)
            start += areas * hours


def keyset_of(
    statistic: str, zoning: Zoning, levels: Sequence[str], first_day: date, time_zone: str
) -> Keyset:
    """Return the cells of a statistic over levels of a zoning.

    Raises
    ------
    UsageProblem
        If the statistic has no keyset, or the zoning no such level.
    """
    if statistic not in SPECIAL:
        raise UsageProblem(f"there is no statistic called {statistic}")
    hours = hours_of(first_day, time_zone) if statistic == PRESENCE_BY_HOUR else 1
    if hours not in {1, 23, 24, 25}:
        raise UsageProblem(f"{first_day} has {hours} hours in {time_zone}; only 23, 24 and 25 are supported")
    return Keyset(
        zoning=zoning.digest(),
        levels=tuple(LevelCells(name=level, areas=_areas(zoning, level)) for level in levels),
        special=SPECIAL[statistic],
        hours=hours,
    )


def _areas(zoning: Zoning, level: str) -> int:
    areas = len(zoning.members(level))
    if not areas:
        raise UsageProblem(
            f"the zoning has no areas of the level {level}",
            todo=f"measure at one of its levels: {', '.join(zoning.levels)}",
        )
    return areas
