"""The public list of cells of a release; its order is the order of the numbers on the wire.

One level of the zoning follows another, as the terms name them. A level is a table: its rows are the areas,
ordered by code, and after them the special ones for what has no zone, most often a single one; its columns are
what the statistic says, hours of the day for example, or the same areas again for pairs. Every cell is there,
whatever the data are, so that the list tells nothing. The bins of a sketch are too many for names: their number
is all that is said of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Self

from pydantic import Field, JsonValue, model_validator

from privacy.errors import UsageProblem
from privacy.terms import Digest, Name
from quorate.contract.calendar import hours_of
from quorate.contract.canonical import Document
from quorate.contract.columns import (
    LAYOUTS,
    MOST_CELLS,
    By,
    is_national,
    labels_of,
    silent_level_of,
    sketch_bins,
    specials_of,
)
from quorate.contract.zoning import ZONE, Zoning


class LevelCells(Document):
    """A level of the zoning, and how many areas it has, the special ones not counted."""

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
    specials
        Names of the rows after the areas of each level.
    by
        What the columns are.
    labels
        Names of the columns in their order; none where they are the areas of the level, or have no names.
    columns
        Number of the columns that have no names; 0 where they have, or are the areas.
    """

    zoning: Digest
    levels: tuple[LevelCells, ...] = Field(min_length=1)
    specials: tuple[str, ...]
    by: By
    labels: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...]
    columns: int = Field(default=0, strict=True, ge=0, le=MOST_CELLS)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.by in {"area", "sketch"}) == bool(self.labels):
            raise ValueError("columns have names, unless they are the areas or those of a sketch")
        if (self.by == "sketch") != bool(self.columns):
            raise ValueError("the number of columns is said of a sketch, and of nothing else")
        if len(set(self.specials)) != len(self.specials):
            raise ValueError("a special row is named twice")
        if self.by == "hour" and len(self.labels) not in {23, 24, 25}:
            raise ValueError("a day has 23, 24 or 25 hours")
        return self

    @property
    def hours(self) -> int:
        """Elapsed hours of the day; 1 where the columns are no hours."""
        return len(self.labels) if self.by == "hour" else 1

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of each level, special rows among them; a level is this table in row-major order."""
        rows = [level.areas + len(self.specials) for level in self.levels]
        return tuple((count, len(self.labels) or self.columns or count) for count in rows)

    @property
    def size(self) -> int:
        """Number of cells."""
        return sum(rows * columns for rows, columns in self.shapes)

    def parts(self) -> Iterator[tuple[str, slice, tuple[int, int]]]:
        """Yield name, place in the vector and shape of each level."""
        start = 0
        for level, (rows, columns) in zip(self.levels, self.shapes, strict=True):
            yield level.name, slice(start, start + rows * columns), (rows, columns)
            start += rows * columns


def keyset_of(
    statistic: str,
    parameters: Mapping[str, JsonValue],
    zoning: Zoning,
    levels: Sequence[str],
    *,
    first_day: date,
    time_zone: str,
) -> Keyset:
    """Return the cells of a statistic over levels of a zoning.

    Parameters
    ----------
    statistic, parameters
        Of the product.
    zoning, levels
        The zoning and those of its levels that are measured, in the order of the vector.
    first_day, time_zone
        The day, or the first one of the period, and where.

    Raises
    ------
    UsageProblem
        If the statistic has no cells, the zoning no such level, a parameter that decides the cells is wrong, or
        there are too many of them.
    """
    if statistic not in LAYOUTS:
        raise UsageProblem(f"there is no statistic called {statistic}")
    layout, silent = LAYOUTS[statistic], silent_level_of(statistic, parameters)
    if silent:
        _areas(zoning, silent)
    national = is_national(statistic, parameters)
    hours = hours_of(first_day, time_zone) if layout.by == "hour" else 1
    if hours not in {1, 23, 24, 25}:
        raise UsageProblem(f"{first_day} has {hours} hours in {time_zone}; only 23, 24 and 25 are supported")
    keyset = Keyset(
        zoning=zoning.digest(),
        levels=tuple(
            LevelCells(name=level, areas=1 if national else _areas(zoning, level)) for level in levels
        ),
        specials=specials_of(statistic, parameters, zoning),
        by=layout.by,
        labels=labels_of(statistic, parameters, hours),
        columns=sketch_bins(statistic, parameters),
    )
    if keyset.size > MOST_CELLS:
        raise UsageProblem(
            f"{statistic} has {keyset.size} cells over these levels, more than {MOST_CELLS}",
            todo="agree on fewer bins" if layout.by == "sketch" else "measure it over a coarser zoning",
        )
    return keyset


def _areas(zoning: Zoning, level: str) -> int:
    areas = len(zoning.zones) if level == ZONE else len(zoning.members(level))
    if not areas:
        raise UsageProblem(
            f"the zoning has no areas of the level {level}",
            todo=f"measure at one of its levels: {', '.join(zoning.levels)}",
        )
    return areas
