"""How far one subscriber can move a vector: declared bounds, and nothing else, make a sensitivity."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Declaration(BaseModel):
    """The bounds of one statistic, from which its sensitivities follow.

    Attributes
    ----------
    cells_by_period
        Most cells that all data of one subscriber in the period can fill.
    cells_by_day
        Most cells that can change when the data of one subscriber on one day are added or removed. May be
        larger than `cells_by_period`: one day can move a home, which empties one cell and fills another.
    cell_maximum
        Largest change of one such cell.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells_by_period: int = Field(strict=True, ge=1, le=2**31)
    cells_by_day: int = Field(strict=True, ge=1, le=2**31)
    cell_maximum: int = Field(default=1, strict=True, ge=1, le=2**20)

    @property
    def period_squared(self) -> int:
        """Δ₂² for adding or removing all data of one subscriber in the period."""
        return self.cells_by_period * self.cell_maximum**2

    @property
    def day_squared(self) -> int:
        """Δ₂² for adding or removing the data of one subscriber on one day."""
        return self.cells_by_day * self.cell_maximum**2

    @property
    def period_absolute(self) -> int:
        """Δ₁ for adding or removing all data of one subscriber in the period."""
        return self.cells_by_period * self.cell_maximum
