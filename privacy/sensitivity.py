"""How far one subscriber can move a vector: declared bounds, and nothing else, make a sensitivity.

A `Declaration` is the bounds themselves; `Bounds` are the rules that make one of a product's parameters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from privacy.errors import UsageProblem

#: Largest L and largest weight that a charter can declare.
LARGEST_LIMIT = 2**20
LARGEST_WEIGHT = 2**20
#: Most elapsed hours of a local day.
MOST_HOURS = 25
#: Noise that a release can carry.
Mechanism = Literal["discrete-gaussian", "discrete-laplace"]


class Declaration(BaseModel):
    """The bounds of one statistic, from which its sensitivities follow.

    Attributes
    ----------
    cells_by_period
        Most cells that all data of one subscriber in the period can fill.
    cells_by_day
        Most cells that can change when the data of one subscriber on one day, or on any part of the period,
        are added or removed. Never fewer than `cells_by_period`, because a part can hold all data that there
        are. May be more: one day can move a home, which empties one cell and fills another.
    cell_maximum
        Largest change of one such cell.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells_by_period: int = Field(strict=True, ge=1, le=2**31)
    cells_by_day: int = Field(strict=True, ge=1, le=2**31)
    cell_maximum: int = Field(default=1, strict=True, ge=1, le=2**20)

    @model_validator(mode="after")
    def _part_not_below_whole(self) -> Declaration:
        if self.cells_by_day < self.cells_by_period:
            raise ValueError("a part of a period can hold all of its data, so it cannot move fewer cells")
        return self

    @property
    def period_squared(self) -> int:
        """Δ₂² for adding or removing all data of one subscriber in the period."""
        return self.cells_by_period * self.cell_maximum**2

    @property
    def day_squared(self) -> int:
        """Δ₂² for adding or removing the data of one subscriber on one day or a part of the period."""
        return self.cells_by_day * self.cell_maximum**2

    @property
    def period_absolute(self) -> int:
        """Δ₁ for adding or removing all data of one subscriber in the period."""
        return self.cells_by_period * self.cell_maximum

    @property
    def day_absolute(self) -> int:
        """Δ₁ for adding or removing the data of one subscriber on one day or a part of the period."""
        return self.cells_by_day * self.cell_maximum

    def distances_squared(self, mechanism: Mechanism) -> tuple[int, int]:
        """Return Δ² by period and by day in the norm of a mechanism: ρ = Δ²/(2·scale²) for both.

        Gaussian noise is made for Δ₂ (Bun and Steinke 2016, proposition 1.6). Laplace noise is made for Δ₁:
        it is ε-DP with ε = Δ₁/scale, and so ε²/2-zCDP (proposition 1.4).

        Raises
        ------
        UsageProblem
            If there is no such mechanism.
        """
        require_mechanism(mechanism)
        if mechanism == "discrete-gaussian":
            return self.period_squared, self.day_squared
        return self.period_absolute**2, self.day_absolute**2


def require_mechanism(mechanism: str) -> None:
    """Refuse what is not the name of a mechanism (UsageProblem)."""
    if mechanism not in get_args(Mechanism):
        raise UsageProblem(f"there is no such mechanism; it is one of {', '.join(get_args(Mechanism))}")


class Bounds(BaseModel, ABC):
    """The parameters of a product that bound one subscriber; its other parameters are ignored here.

    `by_hour` says whether there is a cell in each hour, so that the hours of the day must be known.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    by_hour: ClassVar[bool] = False

    @abstractmethod
    def declaration(self, hours: int) -> Declaration:
        """Return the declared bounds; `hours` are the elapsed hours of the day that is read."""


class OneCell(Bounds):
    """One cell of one day."""

    def declaration(self, hours: int) -> Declaration:  # noqa: ARG002
        """Return one cell, whole or part: of one day there is no part."""
        return Declaration(cells_by_period=1, cells_by_day=1)


class FourCells(Bounds):
    """Four counts of one day, in each of which a subscriber is once or not at all."""

    def declaration(self, hours: int) -> Declaration:  # noqa: ARG002
        """Return four cells, whole or part: of one day there is no part."""
        return Declaration(cells_by_period=4, cells_by_day=4)


class OneMovableCell(Bounds):
    """One cell of a period; a part of the period decides which."""

    def declaration(self, hours: int) -> Declaration:  # noqa: ARG002
        """Return one cell by period, two by day: the one that is left and the one that is filled."""
        return Declaration(cells_by_period=1, cells_by_day=2)


class CellByHour(Bounds):
    """One cell in each elapsed hour of one day."""

    by_hour: ClassVar[bool] = True

    def declaration(self, hours: int) -> Declaration:
        """Return as many cells as there are hours."""
        return Declaration(cells_by_period=hours, cells_by_day=hours)


class WeightByHour(Bounds):
    """One cell in each elapsed hour of one day, which counts with a weight.

    Attributes
    ----------
    weight_maximum
        w, the largest weight, in the fixed point in which the cells are counted.
    """

    by_hour: ClassVar[bool] = True
    weight_maximum: int = Field(ge=1, le=LARGEST_WEIGHT)

    def declaration(self, hours: int) -> Declaration:
        """Return as many cells as there are hours, each changed by the largest weight."""
        return Declaration(cells_by_period=hours, cells_by_day=hours, cell_maximum=self.weight_maximum)


class FewCells(Bounds):
    """At most L cells of one day.

    Attributes
    ----------
    limit
        L, the most cells of one subscriber; all others are dropped by `privacy.truncation`.
    """

    limit: int = Field(ge=1, le=LARGEST_LIMIT)

    def declaration(self, hours: int) -> Declaration:  # noqa: ARG002
        """Return L cells."""
        return Declaration(cells_by_period=self.limit, cells_by_day=self.limit)


class SketchBins(Bounds):
    """One bin of a sketch that the person's identity alone decides, once or in several zones.

    Attributes
    ----------
    by_zone
        Whether there is a sketch of each zone, or a single one.
    limit
        L, the most zones of one subscriber; only for sketches by zone. A subscriber's zones are truncated
        *before* subscribers are joined to persons; otherwise all data of one subscriber could move 2L bins.
    """

    by_zone: bool
    limit: int | None = Field(default=None, ge=1, le=LARGEST_LIMIT)

    @model_validator(mode="after")
    def _limited(self) -> SketchBins:
        if self.by_zone and self.limit is None:
            raise ValueError("a sketch by zone needs the bound limit")
        if not self.by_zone and self.limit is not None:
            raise ValueError("a sketch that is not by zone has no limit")
        return self

    def declaration(self, hours: int) -> Declaration:  # noqa: ARG002
        """Return one bin that is there or not, or L bins of which a part of the period can move each."""
        if not self.by_zone or self.limit is None:
            return Declaration(cells_by_period=1, cells_by_day=1)
        return Declaration(cells_by_period=self.limit, cells_by_day=2 * self.limit)
