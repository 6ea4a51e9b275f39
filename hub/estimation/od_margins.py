r"""Persons by destination that are known or estimated, met by a table of origins and destinations.

Generalised least squares with the known covariance of the cells (Deville and Särndal 1992; Stone, Champernowne and
Meade 1942, Review of Economic Studies 9, 111-125): with the sums b by destination, of variance W,

    x̃_h = x_h + Cov(x_h, Σ x)·S⁺(b − Σ x),     S = Cov(Σ x) + W,

and the covariance of all cells is updated the same way (`hub.estimation.od_spread`). Cells of any sign are moved
by how little is known of them; sums by origin that are exact stay exact, because they have no covariance with
anything.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hub.estimation.od_table import Known, Table

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Eigenvalues below this part of the largest are zero: directions in which nothing can be moved.
_RANK = 1e-10
#: How far sums that cannot be moved may be from those that are known, as a part of the total.
_TOLERANCE = 1e-6


def met(table: Table, destinations: Known, which: Mask | None = None) -> Table:
    """Return the table with sums by destination as they are known.

    Parameters
    ----------
    table
        Origins of which nothing is known are not allowed.
    destinations
        Persons by column of the table, the last one too, on the concept of the table.
    which
        Columns of which they are known, bool of shape (columns,); None if of all.

    Raises
    ------
    ValueError
        If shapes differ, an origin is unknown, or exact sums by origin and destination have different totals.

    Notes
    -----
    The part of the variance that is noise is taken to fall as the variance does.
    """
    chosen = np.ones(table.estimate.shape[1], dtype=np.bool_) if which is None else which
    if not destinations.persons.shape == chosen.shape == (table.estimate.shape[1],):
        raise ValueError("there is one sum for each column of the table")
    if not np.isfinite(table.estimate).all():
        raise ValueError("sums by destination cannot be met while an origin is unknown")
    covariance = (table.spread.columns() + np.diag(destinations.variance))[np.ix_(chosen, chosen)]
    rest = (destinations.persons - table.estimate.sum(axis=0))[chosen]
    inverse = _inverse(covariance)
    left = float(np.abs(rest - covariance @ (inverse @ rest)).max(initial=0.0))
    if left > _TOLERANCE * max(float(np.abs(table.estimate).sum()), 1.0):
        raise ValueError(f"sums by origin and by destination do not go together: they differ by {left:g}")
    joint = np.zeros((chosen.size, chosen.size))
    joint[np.ix_(chosen, chosen)] = inverse
    step = np.zeros(chosen.size)
    step[chosen] = inverse @ rest
    spread = table.spread.known(joint)
    before, after = table.spread.variance(), spread.variance()
    noise = table.noise * after / np.where(before > 0, before, 1.0)
    # The trace of a projection is its rank.
    rank = max(float(np.trace(inverse @ covariance)), 1.0)
    return replace(
        table,
        estimate=table.estimate + table.spread.along_columns(step),
        spread=spread,
        noise=noise,
        disagreement=float(np.sqrt(max(float(rest @ inverse @ rest), 0.0) / rank)),
    )


def _inverse(covariance: Values) -> Values:
    """Return the Moore-Penrose inverse of a covariance matrix."""
    if covariance.size == 0:
        return covariance
    size, axes = np.linalg.eigh(covariance)
    free = size > _RANK * max(float(size[-1]), 0.0)
    return np.asarray((axes[:, free] / size[free]) @ axes[:, free].T)
