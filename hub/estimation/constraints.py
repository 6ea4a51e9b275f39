r"""Reconciliation with any linear constraints: crossed margins, shared totals, errors that cells have in common.

Cells y = x + e with the covariance Σ are to obey Ax = b, where b is known exactly or with a variance of its own:

    x̃ = y − ΣA'M⁻(Ay − b),    Cov(x̃) = Σ − ΣA'M⁻AΣ,    M = AΣA' + Cov(b)

(generalised least squares; Stone, Champernowne and Meade 1942, Review of Economic Studies 9(2), 111-135, for
national accounts; Wickramasuriya, Athanasopoulos and Hyndman 2019, JASA 114, 804-819). M⁻ is a generalised inverse,
because the margins of a table imply each other. Σ = diag(own) + UU': what cells share, such as one estimate of the
residents that stands behind all hours of a zone, is a column of U.

The work is one matrix of as many rows as there are constraints (some thousands at most), and linear in the cells as
long as each of them is in few constraints. One constraint too many for that, but nested: `hub.estimation.reconcile`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

Values = NDArray[np.float64]
#: A constraint that adds less than this share of its variance (and by constraint) follows from others.
_RANK = 1e-13
#: Exact totals that follow from others may miss them by this share of the largest.
_LOST = 1e-8


@dataclass(frozen=True, eq=False)
class Spread:
    """Covariance of cells, diag(own) + shared·shared'.

    Attributes
    ----------
    own
        Variances that no other cell has part in, float64 of shape (cells,).
    shared
        U, float64 of shape (cells, terms); of shape (cells, 0) if there are none.
    """

    own: Values
    shared: Values

    @classmethod
    def independent(cls, variance: Values) -> Spread:
        """Return the covariance of independent cells."""
        return cls(variance, np.zeros((variance.size, 0)))


@dataclass(frozen=True, eq=False)
class Adjusted:
    """Cells that obey the constraints.

    Attributes
    ----------
    value
        x̃, float64 of the shape that was given, (cells,) or (cells, columns).
    variance
        Of x̃, exact, float64 of shape (cells,).
    spread, matrix, inverse
        Σ, A and M⁻, from which covariances follow.
    """

    value: Values
    variance: Values
    spread: Spread
    matrix: Any
    inverse: Values

    def covariance(self, left: Values, right: Values) -> Values:
        """Return the covariance of linear functions of the cells.

        Parameters
        ----------
        left, right
            Weights of the cells, float64 of shape (k, cells) and (l, cells).

        Returns
        -------
        float64 of shape (k, l).
        """
        ours, theirs = left @ self.spread.shared, right @ self.spread.shared
        before = (left * self.spread.own) @ right.T + ours @ theirs.T
        told = [_times(self.matrix, self.spread, weights.T) for weights in (left, right)]
        return np.asarray(before - told[0].T @ self.inverse @ told[1])


def sums_by(labels: Sequence[NDArray[np.int64]]) -> Any:
    """Return the matrix that sums cells by one label after the other, a scipy.sparse CSC array.

    Parameters
    ----------
    labels
        One for each kind of margin: class of every cell from 0, −1 for none, int64 of shape (cells,).
    """
    parts = []
    for label in labels:
        inside = np.flatnonzero(label >= 0)
        shape = (int(label.max(initial=-1)) + 1, label.size)
        parts.append(sparse.csc_array((np.ones(inside.size), (label[inside], inside)), shape=shape))
    return sparse.vstack(parts, format="csc")


def adjust(
    value: Values, spread: Spread, matrix: Any, totals: Values, noise: Values | None = None
) -> Adjusted:
    """Return the best linear unbiased estimate of cells under linear constraints.

    Parameters
    ----------
    value
        y, float64 of shape (cells,) or (cells, columns) with the same covariance in each column.
    spread
        Σ.
    matrix
        A, (constraints, cells), dense or scipy.sparse.
    totals
        b, float64 of shape (constraints,) or (constraints, columns).
    noise
        Variances of the totals, float64 of shape (constraints,), infinite for one that is not known; zero if not
        given.

    Raises
    ------
    ValueError
        If shapes differ, something is not finite, or exact totals contradict each other.
    """
    matrix = sparse.csc_array(matrix)
    noise = np.zeros(matrix.shape[0]) if noise is None else noise
    known = noise != np.inf
    if not known.all():
        matrix, totals, noise = sparse.csc_array(matrix[known]), totals[known], noise[known]
    _checked(value, spread, matrix, totals, noise)
    shared = matrix @ spread.shared
    system = (matrix * spread.own) @ matrix.T
    inverse, implied = _inverse(system.toarray() + shared @ shared.T + np.diag(noise))
    back = matrix.T @ (inverse @ (matrix @ value - totals))
    own = spread.own if value.ndim == 1 else spread.own[:, None]
    found = value - own * back - spread.shared @ (spread.shared.T @ back)
    missed = np.abs(matrix @ found - totals)[implied]
    if (missed > _LOST * (1.0 + np.abs(totals).max(initial=0.0))).any():
        raise ValueError("totals that are known exactly contradict each other")
    return Adjusted(found, _variances(spread, matrix, inverse, shared), spread, matrix, inverse)


def _times(matrix: Any, spread: Spread, columns: Values) -> Values:
    """Return AΣ times columns, (constraints, k), of an array of shape (cells, k)."""
    own = spread.own[:, None] * columns
    return np.asarray(matrix @ (own + spread.shared @ (spread.shared.T @ columns)))


def _inverse(system: Values) -> tuple[Values, NDArray[np.int64]]:
    """Return a generalised inverse of M, and which constraints follow from the others and are zero in it.

    By Cholesky's decomposition with pivots (Higham 2002, Accuracy and Stability of Numerical Algorithms, section
    10.3); ΣA'M⁻AΣ is the same for every generalised inverse.
    """
    # Constraints of very different size are made alike before their rank is judged.
    scale = np.sqrt(np.where(system.diagonal() > 0, system.diagonal(), 1.0))
    size = scale.size
    found = np.zeros((size, size))
    if not system.any():
        return found, np.arange(size)
    factor, pivots, rank, _info = lapack.dpstrf(system / np.outer(scale, scale), tol=_RANK * size, lower=1)
    order = pivots.astype(np.int64) - 1
    kept = order[:rank]
    half, _info = lapack.dpotri(np.tril(factor[:rank, :rank]), lower=1)
    found[np.ix_(kept, kept)] = (half + np.tril(half, -1).T) / np.outer(scale[kept], scale[kept])
    return found, order[rank:]


def _variances(spread: Spread, matrix: Any, inverse: Values, shared: Values) -> Values:
    """Return the diagonal of Σ − ΣA'M⁻AΣ without ever having ΣA' whole."""
    rows, weights = _by_cell(matrix)
    own, terms = spread.own, spread.shared
    learnt = np.zeros(own.size)
    for left, ours in zip(rows, weights, strict=True):
        for right, theirs in zip(rows, weights, strict=True):
            learnt += ours * theirs * inverse[left, right]
    learnt *= own**2
    if terms.shape[1]:
        told = inverse @ shared
        for left, ours in zip(rows, weights, strict=True):
            learnt += 2.0 * own * ours * (told[left] * terms).sum(axis=1)
        learnt += ((terms @ (shared.T @ told)) * terms).sum(axis=1)
    # What is known exactly may come out at −10⁻¹⁶ of what it was.
    return np.asarray(np.maximum(own + (terms**2).sum(axis=1) - learnt, 0.0))


def _by_cell(matrix: Any) -> tuple[list[NDArray[np.int64]], list[Values]]:
    """Return the constraints of every cell and its weights in them, one array for the first of each cell, and so on.

    Cells that are in fewer constraints than others have the weight zero.
    """
    count = np.diff(matrix.indptr)
    rows, weights = [], []
    for place in range(int(count.max(initial=0))):
        there = place < count
        at = np.where(there, matrix.indptr[:-1] + place, 0)
        rows.append(matrix.indices[at].astype(np.int64))
        weights.append(np.where(there, matrix.data[at], 0.0))
    return rows, weights


def _checked(value: Values, spread: Spread, matrix: Any, totals: Values, noise: Values) -> None:
    """Refuse what cannot be adjusted."""
    constraints, cells = matrix.shape
    if value.shape[0] != cells or spread.own.shape != (cells,) or spread.shared.shape[0] != cells:
        raise ValueError(
            f"constraints are of {cells} cells, values are {value.shape}, variances {spread.own.shape}"
        )
    if totals.shape != (constraints, *value.shape[1:]) or noise.shape != (constraints,):
        raise ValueError(
            f"{constraints} constraints, but totals {totals.shape} and their variances {noise.shape}"
        )
    if not all(np.isfinite(array).all() for array in (value, spread.own, spread.shared, totals)):
        raise ValueError("a value, total or variance is not finite")
    if (spread.own < 0).any() or not (noise >= 0).all():
        raise ValueError("a variance is negative or no number")
