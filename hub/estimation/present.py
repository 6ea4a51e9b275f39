"""Sums over the operators that answered: a missing operator is missing, never zero, and variances add."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def added(answers: Values, variance: Values, present: NDArray[np.bool_]) -> tuple[Values, Values]:
    """Return the sum over those operators that are present, and its variance, column by column.

    Parameters
    ----------
    answers
        Signed noisy counts, of shape (operators, nodes, columns); those of a missing operator are not read.
    variance
        Of each, independent, float64 of shape (operators, nodes, columns) or (operators, nodes, 1), infinite for a
        node that an operator did not measure: then the sum is not measured either.
    present
        Which operator answered for which column, bool of shape (operators, columns).

    Returns
    -------
    Both float64 of shape (nodes, columns). A column without any operator is NaN and has an infinite variance.

    Raises
    ------
    ValueError
        If shapes differ.
    """
    operators, nodes, columns = answers.shape
    if present.shape != (operators, columns) or variance.shape not in {
        (operators, nodes, columns),
        (operators, nodes, 1),
    }:
        raise ValueError(
            f"answers {answers.shape}, but variances {variance.shape} and presence {present.shape}"
        )
    total, spread = np.zeros((nodes, columns)), np.zeros((nodes, columns))
    for answer, own, there in zip(answers, variance, present, strict=True):
        np.add(total, answer, out=total, where=there)
        np.add(spread, own, out=spread, where=there)
    nobody = ~present.any(axis=0)
    total[:, nobody], spread[:, nobody] = np.nan, np.inf
    return total, spread
