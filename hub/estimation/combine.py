"""Combination of operators: sums, with the variances of their noise; a missing operator is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Combined:
    """The sum of all operators that answered.

    Attributes
    ----------
    zones
        Noisy counts of subscribers, float64 of shape (zones, hours).
    special
        Noisy counts without a zone (`unobserved`, `unanchored`), float64 of shape (hours,).
    noise_variance
        Variance of the noise in each of these cells.
    operators
        Number of operators in the sum.
    """

    zones: NDArray[np.float64]
    special: NDArray[np.float64]
    noise_variance: float
    operators: int


def combine(vectors: Sequence[NDArray[np.int64]], shape: tuple[int, int], sigma: float) -> Combined:
    """Add the vectors of the operators that answered.

    Parameters
    ----------
    vectors
        Noised int64 vectors of shape (areas·hours,), one per operator; the last area is the special one.
    shape
        (areas, hours).
    sigma
        Standard deviation of the noise in each cell of each vector.
    """
    total = (
        np.stack([vector.reshape(shape) for vector in vectors]).sum(axis=0, dtype=np.int64).astype(np.float64)
    )
    return Combined(total[:-1], total[-1], sigma**2 * len(vectors), len(vectors))
