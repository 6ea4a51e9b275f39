"""How far the estimates are from the simulated truth; nobody but a simulation can know this."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Distance:
    """Estimates of one product and level against the truth.

    Attributes
    ----------
    product, level
        What is compared.
    cells, published
        All cells, and those with a value (the others are suppressed, status Q).
    wmape
        Σ|estimate − truth| / Σ truth over published cells.
    mape
        Mean of |estimate − truth| / truth over published cells with a truth above zero.
    coverage
        Share of published cells whose 95 % interval has the truth in it.
    """

    product: str
    level: str
    cells: int
    published: int
    wmape: float
    mape: float
    coverage: float


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def distance(
    product: str,
    level: str,
    areas: Collection[str],
    estimates: list[dict[str, str]],
    truth: list[dict[str, str]],
) -> Distance:
    """Compare the estimates of the areas of a level with the truth.

    Raises
    ------
    KeyError
        If a published cell has no truth.
    """
    known = {(row["ref_area"], row["time_period"]): float(row["value"]) for row in truth}
    rows = [row for row in estimates if row["ref_area"] in areas]
    values = np.array(
        [
            [float(row[name]) for name in ("estimate", "lower_95", "upper_95")]
            + [known[row["ref_area"], row["time_period"]]]
            for row in rows
            if row["estimate"]
        ],
        dtype=np.float64,
    ).reshape(-1, 4)
    wmape, mape, coverage = _figures(values)
    return Distance(product, level, len(rows), len(values), wmape, mape, coverage)


def _figures(values: NDArray[np.float64]) -> tuple[float, float, float]:
    if not len(values):
        return float("nan"), float("nan"), float("nan")
    estimate, lower, upper, truth = values.T
    error, some = np.abs(estimate - truth), truth > 0
    wmape = float(error.sum() / truth.sum()) if truth.sum() else float("nan")
    mape = float((error[some] / truth[some]).mean()) if some.any() else float("nan")
    return wmape, mape, float(((lower <= truth) & (truth <= upper)).mean())
