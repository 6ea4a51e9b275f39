r"""No negative numbers of persons: the very last step before rounding, additivity kept.

Nothing before this step is cut, because means of noise that was cut at zero are too large. Here the reconciled
estimates are moved as little as possible, measured by their variances, to values that are not negative and still add
up:

    min Σ (t − x)²/v    subject to  t ≥ 0 and the sums,    whence  t = max(x + v·A'λ, 0).

On a tree the sums are those of siblings, from the top: a parent keeps its value unless it is negative itself, and
its children share out what the negative ones among them lacked. λ of each family is found by leaving out what is
negative and solving again (Michelot 1986, Journal of Optimization Theory and Applications 50, 195-200). In tables
with margins λ solves the dual, which is piecewise quadratic, by Newton steps (Cottle, Duvall and Zikan 1986, Naval
Research Logistics Quarterly 33(1), 55-76, for the problem and its dual; Qi and Sun 1993, Mathematical Programming
58, 353-367, for the steps).

The standard errors of `hub.estimation.reconcile` are those before this step, and remain the ones to publish.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from hub.estimation.constraints import sums_by
from hub.estimation.tree import Families, Tree

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Cells known exactly give way only when no other does: they weigh as this share of the largest variance.
_LAST = 1e-6
#: Largest relative error of sums at the end of the Newton steps, and most of the steps.
_TOLERANCE, _STEPS = 1e-10, 100


@dataclass(frozen=True, eq=False)
class Floored:
    """Values that are not negative.

    Attributes
    ----------
    value
        float64 of the shape that was given; NaN where it was.
    floored
        Which cells were set to zero, bool of the same shape.
    """

    value: Values
    floored: Mask


def floor_tree(tree: Tree, value: Values, variance: Values) -> Floored:
    """Return values of a tree that are not negative and add up.

    Parameters
    ----------
    tree
        The tree.
    value
        Reconciled estimates, float64 of shape (nodes, columns); NaN where they are not determined. A family with
        such a member has no sum to keep: its others are cut at zero one by one.
    variance
        Their variances, float64 of shape (nodes, columns) or (nodes, 1).
    """
    found = np.maximum(value, 0.0)
    for piece in tree.families:
        whole, nodes = found[piece.parents], piece.nodes
        told = np.isfinite(whole) & np.isfinite(piece.total(value[nodes]))
        known = told[piece.group]
        weight = np.where(known, np.broadcast_to(variance[nodes], known.shape), 0.0)
        shared = _shared(piece, np.where(known, value[nodes], 0.0), weight, np.where(told, whole, 0.0))
        found[nodes] = np.where(known, shared, found[nodes])
    return Floored(found, (found == 0) & (value != 0))


def _shared(piece: Families, value: Values, variance: Values, whole: Values) -> Values:
    """Return the nearest values of siblings that are not negative and sum to what their parent has."""
    group = piece.group
    most = piece.total(variance)
    weight = np.maximum(variance, _LAST * np.where(most > 0, most, 1.0)[group])
    kept = (whole > 0)[group]
    while True:
        shares = piece.total(np.where(kept, weight, 0.0))
        excess = piece.total(np.where(kept, value, 0.0)) - whole
        found = value - weight * (excess / np.where(shares > 0, shares, 1.0))[group]
        negative = kept & (found < 0)
        if not negative.any():
            return np.where(kept, found, 0.0)
        kept &= ~negative


def floor_table(value: Values, variance: Values) -> Floored:
    """Return a two-way table without negative cells; its margins are kept where they are not negative.

    Parameters
    ----------
    value
        Reconciled estimates, float64 of shape (rows, columns).
    variance
        Their variances, of the same shape.

    Notes
    -----
    A negative grand total, and then negative margins, are set to zero first, as on a tree of one depth.
    """
    rows, columns = value.shape
    margins = [_margin(value.sum(axis=axis), variance.sum(axis=axis)) for axis in (1, 0)]
    place = np.arange(value.size)
    matrix = sums_by([place // columns, place % columns])
    found = floor_cells(value.ravel(), variance.ravel(), matrix, np.concatenate(margins))
    return Floored(found.value.reshape(rows, columns), found.floored.reshape(rows, columns))


def _margin(total: Values, variance: Values) -> Values:
    """Return the sums of rows or columns, not negative, with the grand total kept unless it is negative."""
    star = Tree(np.array([-1] + [0] * total.size, dtype=np.int64))
    both = [np.concatenate([[array.sum()], array])[:, None] for array in (total, variance)]
    return floor_tree(star, both[0], both[1]).value[1:, 0]


def floor_cells(value: Values, variance: Values, matrix: Any, totals: Values) -> Floored:
    """Return the nearest cells that are not negative and have these sums.

    Parameters
    ----------
    value, variance
        Estimates of cells and their variances, float64 of shape (cells,).
    matrix
        A, scipy.sparse of shape (constraints, cells) and without negative entries, as from
        `hub.estimation.constraints.sums_by`.
    totals
        b, float64 of shape (constraints,).

    Raises
    ------
    ValueError
        If no such cells exist.
    """
    matrix = sparse.csr_array(matrix)
    if (totals < 0).any():
        raise ValueError("no cells that are not negative have a negative sum")
    # Whoever is in a sum of zero is zero, and needs no multiplier that goes to infinity.
    live = matrix.T @ (totals == 0) == 0
    found = np.zeros_like(value)
    kept = sparse.csr_array(matrix[totals > 0][:, live])
    found[live] = _nearest(value[live], variance[live], kept, totals[totals > 0])
    return Floored(found, (found == 0) & (value != 0))


def _nearest(value: Values, variance: Values, matrix: Any, totals: Values) -> Values:
    """Solve the dual for sums above zero."""
    turned = sparse.csr_array(matrix.T)
    weight = np.maximum(variance, _LAST * (float(variance.max(initial=0.0)) or 1.0))
    # Every constraint in units of its own standard error, so that one ridge fits all.
    unit = 1.0 / np.sqrt(np.maximum((matrix * matrix) @ weight, np.finfo(np.float64).tiny))
    enough = _TOLERANCE * (1.0 + totals.max(initial=0.0) + (matrix @ np.abs(value)).max(initial=0.0))
    force, best, least = np.zeros(totals.size), value, np.inf
    for _ in range(_STEPS):
        cells = value + weight * (turned @ (unit * force))
        gap = unit * (totals - matrix @ np.maximum(cells, 0.0))
        worst = float(np.abs(gap / unit).max(initial=0.0))
        ended = worst == 0 or worst > least / 2
        if worst < least:
            best, least = cells, worst
        # Near the end every step squares the error, so one or two more than enough reach what arithmetic can do.
        if least <= enough and ended:
            return np.asarray(np.maximum(best, 0.0))
        step = _newton(matrix, np.where(cells > 0, weight, 0.0), unit, gap)
        change = weight * (turned @ (unit * step))
        force = force + step * _length(cells, change, weight, float(step @ (unit * totals)))
    raise ValueError("no cells that are not negative have these sums")


def _newton(matrix: Any, active: Values, unit: Values, gap: Values) -> Values:
    """Return the step that would close the gap if the same cells stayed above zero."""
    system = ((matrix * active) @ matrix.T).toarray() * np.outer(unit, unit)
    # Margins imply each other, and a row may have no cell above zero: the ridge keeps the step finite.
    ridge = 1e-12 + 1e-6 * min(float(np.abs(gap).max()), 1.0)
    system[np.diag_indices_from(system)] += ridge
    return np.asarray(linalg.cho_solve(linalg.cho_factor(system, lower=True), gap))


def _length(cells: Values, change: Values, weight: Values, gain: float) -> float:
    """Return how far to go: until the dual, ½Σ max(cells, 0)²/weight − λ'b, has gone down enough (Armijo)."""

    def dual(length: float) -> float:
        return float(0.5 * (np.maximum(cells + length * change, 0.0) ** 2 / weight).sum() - length * gain)

    start = dual(0.0)
    slope = float((np.maximum(cells, 0.0) * change / weight).sum()) - gain
    length = 1.0
    while dual(length) > start + 1e-4 * length * slope + 1e-14 * abs(start) and length > 1e-12:
        length /= 2.0
    return length
