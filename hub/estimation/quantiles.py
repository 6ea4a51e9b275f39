"""How many standard deviations an interval reaches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

Values = NDArray[np.float64]


def quantile(level: float, freedom: Values) -> Values:
    """Return the quantile of Student's t for a two-sided interval, of the normal distribution with infinite freedom.

    Parameters
    ----------
    level
        Chance that the interval holds the truth, between 0 and 1.
    freedom
        Degrees of freedom, above zero, of any shape.
    """
    tail = 0.5 + level / 2
    finite = np.isfinite(freedom)
    return np.asarray(np.where(finite, student.ppf(tail, np.where(finite, freedom, 1.0)), norm.ppf(tail)))
