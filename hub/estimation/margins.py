r"""Two-way tables with known margins, in closed form: origins × destinations, zones × hours.

Where the variance of a cell is a_i·b_j (the same in all cells, or by row and column) and those of the measured sums
of rows and columns are p·a_i and q·b_j, the table falls into four parts that errors do not join: the grand total,
differences between rows, differences between columns, and the rest, of which margins say nothing. With α = a/Σa, β =
b/Σb, A = Σa, B = Σb, d_i and e_j what row i and column j lack, D = Σd and E = Σe:

    x̃_ij = y_ij + β_j·(d_i − α_i·D)·B/(B + p) + α_i·(e_j − β_j·E)·A/(A + q) + α_i·β_j·δ,
    δ = G·(D/(pA) + E/(qB)),    1/G = 1/(AB) + 1/(pA) + 1/(qB),
    Var(x̃_ij) = A·B·α_i·β_j·[(1 − α_i)(1 − β_j) + (1 − α_i)·β_j·p/(B + p) + α_i·(1 − β_j)·q/(A + q)] + (α_i·β_j)²·G

(the problem is that of Deming and Stephan 1940, Annals of Mathematical Statistics 11(4), 427-444; the four parts are
those of the analysis of variance). Other variances: `hub.estimation.constraints`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
#: The grand totals of exact rows and columns may differ by this share.
_LOST = 1e-9


@dataclass(frozen=True, eq=False)
class Margin:
    """Sums of all rows, or of all columns.

    Attributes
    ----------
    total
        float64 of shape (rows,) or (columns,); not read if the noise is infinite.
    noise
        p or q: variance of each total in units of the row's a or the column's b; zero if they are exact, infinite if
        they are not known.
    """

    total: Values
    noise: float


@dataclass(frozen=True, eq=False)
class Table:
    """A reconciled table: cells and their exact variances, float64 of shape (rows, columns)."""

    value: Values
    variance: Values


def with_margins(value: Values, scales: tuple[Values, Values], rows: Margin, columns: Margin) -> Table:
    """Return the best linear unbiased table under both margins.

    Parameters
    ----------
    value
        y, float64 of shape (rows, columns), with independent errors.
    scales
        a and b, positive, float64 of shape (rows,) and (columns,).
    rows, columns
        The margins.

    Raises
    ------
    ValueError
        If shapes differ, a scale is not positive, or exact margins have different grand totals.
    """
    first, second = scales
    if value.shape != (first.size, second.size) or not (first.min() > 0 and second.min() > 0):
        raise ValueError(f"scales of {first.size} rows and {second.size} columns, values {value.shape}")
    whole = first.sum(), second.sum()
    alpha, beta = first / whole[0], second / whole[1]
    lacks = _lacking(value.sum(axis=1), rows), _lacking(value.sum(axis=0), columns)
    kept = _kept(rows.noise, whole[1]), _kept(columns.noise, whole[0])
    delta, grand = _grand((float(lacks[0].sum()), rows.noise), (float(lacks[1].sum()), columns.noise), whole)
    by_row = (lacks[0] - alpha * lacks[0].sum()) * (1.0 - kept[0])
    by_column = (lacks[1] - beta * lacks[1].sum()) * (1.0 - kept[1])
    found = value + np.outer(by_row, beta) + np.outer(alpha, by_column + beta * delta)
    rest = np.outer(1.0 - alpha, 1.0 - beta + beta * kept[0]) + np.outer(alpha, (1.0 - beta) * kept[1])
    variance = np.outer(first, second) * rest + np.outer(alpha, beta) ** 2 * grand
    return Table(np.asarray(found), np.asarray(variance))


def _lacking(sums: Values, margin: Margin) -> Values:
    """Return what the sums lack; nothing if the margin is not known."""
    if margin.noise == np.inf:
        return np.zeros_like(sums)
    if margin.total.shape != sums.shape or not np.isfinite(margin.total).all() or not margin.noise >= 0:
        raise ValueError("a margin has a total for every row or column and a variance that is not negative")
    return np.asarray(margin.total - sums)


def _kept(noise: float, whole: float) -> float:
    """Return the part of the variance of differences that a margin leaves: 1 if it is not known."""
    return 1.0 if noise == np.inf else noise / (whole + noise)


def _grand(
    rows: tuple[float, float], columns: tuple[float, float], whole: tuple[float, float]
) -> tuple[float, float]:
    """Return the change of the grand total and the variance that it has then."""
    variances = np.array([rows[1] * whole[0], columns[1] * whole[1]])
    lacks = np.array([rows[0], columns[0]])
    if (variances == 0).any():
        exact = lacks[variances == 0]
        if np.ptp(exact) > _LOST * (1.0 + np.abs(exact).max()):
            raise ValueError(f"exact margins have grand totals that differ by {np.ptp(exact):g}")
        return float(exact.mean()), 0.0
    grand = 1.0 / (1.0 / (whole[0] * whole[1]) + (1.0 / variances).sum())
    return float(grand * (lacks / variances).sum()), float(grand)
