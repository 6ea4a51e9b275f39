r"""Iterative proportional fitting: the table that has given sums and differs least from a first one.

Each sweep scales the cells of every class of every margin so that their sum is right:

    x ← x · b_c / Σ_{i∈c} x_i

If there is a table with these sums and the zeros of the seed, it converges to the one with the least discrimination
information Σ x·log(x/seed) (Deming and Stephan 1940, Annals of Mathematical Statistics 11, 427-444; Ireland and
Kullback 1968, Biometrika 55, 179-188). It needs a seed and sums that are not negative: it is for tables far above
their noise, and for models of a table, never for noisy cells, which `hub.estimation.od_margins` moves by least
squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Margin:
    """Known sums over classes of cells.

    Attributes
    ----------
    of
        Class of each cell, int64 of the shape of the table; classes count from 0.
    sums
        Of each class, not negative, float64 of shape (classes,).
    """

    of: NDArray[np.int64]
    sums: Values

    def found(self, table: Values) -> Values:
        """Return the sums of a table over the classes."""
        return np.bincount(self.of.ravel(), table.ravel(), self.sums.size).astype(np.float64)


def rows_and_columns(rows: Values, columns: Values) -> tuple[Margin, Margin]:
    """Return the margins of a table of two ways."""
    shape = (rows.size, columns.size)
    return (
        Margin(np.broadcast_to(np.arange(rows.size)[:, None], shape), rows),
        Margin(np.broadcast_to(np.arange(columns.size), shape), columns),
    )


def scaled(seed: Values, margins: Sequence[Margin], sweeps: int) -> Values:
    """Return the table after some sweeps; the last margin holds exactly, the others nearly.

    A class without a cell above zero stays empty, whatever its sum.

    Parameters
    ----------
    seed
        Not negative, float64 of any shape.
    margins
        Of that shape.
    sweeps
        How many times every margin is gone through.
    """
    table = seed.copy()
    for _ in range(sweeps):
        for margin in margins:
            found = margin.found(table)
            table *= np.where(found > 0, margin.sums / np.where(found > 0, found, 1.0), 0.0)[margin.of]
    return table


def fitted(
    seed: Values, margins: Sequence[Margin], *, tolerance: float = 1e-10, most: int = 10_000
) -> Values:
    """Return the table whose sums are those of the margins.

    Parameters
    ----------
    seed, margins
        As of `scaled`.
    tolerance
        Largest error of a sum, as a part of the total.
    most
        Sweeps after which there is no solution.

    Raises
    ------
    ValueError
        If a number is negative, the margins have different totals, or no table has these sums and zeros.
    """
    if np.any(seed < 0) or any(np.any(margin.sums < 0) for margin in margins):
        raise ValueError("iterative proportional fitting needs numbers that are not negative")
    totals = np.array([margin.sums.sum() for margin in margins])
    size = max(float(totals.max()), np.finfo(np.float64).tiny)
    if float(np.ptp(totals)) > 1e-9 * size:
        raise ValueError(f"the margins have different totals: {totals.tolist()}")
    table, done = seed, 0
    while done < most:
        table = scaled(table, margins, 10)
        done += 10
        if (
            max(float(np.abs(margin.found(table) - margin.sums).max()) for margin in margins)
            <= tolerance * size
        ):
            return table
    raise ValueError(f"no table with these sums and zeros was found in {done} sweeps")
