r"""Alternating projections: constraints that are too many for one matrix, and inequalities.

Each set of constraints alone has a projection in closed form, in the metric of the inverse variances; going round
all of them ends in the common projection. For equalities that is the reconciled estimate itself (Halperin 1962, Acta
Scientiarum Mathematicarum 23, 96-99); with inequalities every set is first given back what it took the time before
(Dykstra 1983, JASA 78, 837-842; Boyle and Dykstra 1986, Lecture Notes in Statistics 37, 28-47). Example: flows
between zones, their margins, and the flows between districts, where each is a partition of the same cells.

The way there says nothing of variances. Where they are asked for and there are at most some thousands of
constraints, `hub.estimation.constraints` gives the same values with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
#: Takes the nearest point of a set; pure.
Projection = Callable[[Values], Values]


def onto_sums(label: NDArray[np.int64], totals: Values, variance: Values) -> Projection:
    """Return the projection onto cells whose classes have these sums.

    Parameters
    ----------
    label
        Class of every cell, int64 of shape (cells,).
    totals
        Of every class, float64 of shape (classes,).
    variance
        Of every cell, float64 of shape (cells,); what a class lacks is shared out by it.
    """
    classes = totals.size
    whole = np.bincount(label, variance, minlength=classes)
    if (whole == 0).any():
        raise ValueError("a class has no cell that may change")
    share = variance / whole[label]

    def project(value: Values) -> Values:
        return np.asarray(value + share * (totals - np.bincount(label, value, minlength=classes))[label])

    return project


def onto_positive(value: Values) -> Values:
    """Return the nearest values that are not negative."""
    return np.maximum(value, 0.0)


def nearest(start: Values, sets: Sequence[Projection], tolerance: float, rounds: int = 10_000) -> Values:
    """Return the point nearest to the start that is in all of the convex sets.

    Parameters
    ----------
    start
        Estimates, float64 of shape (cells,).
    sets
        Projections in one and the same metric.
    tolerance
        Ends when a round changes what each set takes of a cell by no more than this. Cells that stay are no sign:
        they may stay for many rounds, and they do where sets have no point in common (Birgin and Raydan 2005, SIAM
        Journal on Scientific Computing 26(4), 1405-1414).
    rounds
        Most rounds.

    Raises
    ------
    ValueError
        If it does not end: the sets have no point in common, or the tolerance is below what arithmetic can do.
    """
    value, taken = start, [np.zeros_like(start) for _ in sets]
    for _ in range(rounds):
        moved = 0.0
        for number, project in enumerate(sets):
            given = value + taken[number]
            value = project(given)
            before, taken[number] = taken[number], given - value
            moved = max(moved, float(np.abs(taken[number] - before).max()))
        if moved <= tolerance:
            return value
    raise ValueError(f"no end after {rounds} rounds: the constraints contradict each other")
