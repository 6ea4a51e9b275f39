"""What an estimator says of the areas of one level: estimates, their uncertainty, and what they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
Z_80, Z_95 = NormalDist().inv_cdf(0.9), NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Column:
    """What a column of estimates is: a time, and the other end of a flow or the country of visitors.

    `destination` says that the columns are the areas of the rows once more, as in a table of flows.
    """

    time_period: str
    counterpart: str | None = None
    destination: bool = False


@dataclass(frozen=True)
class Interval:
    """Ends of the intervals of every cell, each of shape (areas, columns); none is cut at zero."""

    lower_80: Values
    upper_80: Values
    lower_95: Values
    upper_95: Values


@dataclass(frozen=True)
class Figures:
    """Estimates of the areas of one level, arrays of shape (areas, columns).

    Attributes
    ----------
    level, areas
        Of the zoning, and codes of its areas.
    columns
        In order.
    estimate, std_error
        Persons; an infinite error where nothing can be said. Not cut at zero.
    interval
        Of the estimate.
    size
        Registered persons, or what else an error is held against beside the estimate.
    gamma
        Weight of the counts against a model, from 0 to 1; 1 where there is no model.
    noise_share
        Part of the variance that is noise of differential privacy.
    imputed
        Where nothing was measured.
    flag
        CL_CONF_STATUS of each cell: F, N where one operator stands alone, O where one dominates.
    adjustment
        Factor by which estimates were scaled to what is known.
    experimental
        Where there is no register to grow from (CL_OBS_STATUS G); None if nowhere.
    floored
        Where the estimate was negative before the last step; None before it.
    """

    level: str
    areas: Sequence[str]
    columns: Sequence[Column]
    estimate: Values
    std_error: Values
    interval: Interval
    size: Values
    gamma: Values
    noise_share: Values
    imputed: Mask
    flag: NDArray[np.str_]
    adjustment: float = 1.0
    experimental: Mask | None = None
    floored: Mask | None = None


def held_against(registered: Values, estimate: Values) -> Values:
    """Return the persons whom errors are held against: those registered, or the estimate where nobody is registered.

    Parameters
    ----------
    registered
        Persons by the register, float64 of shape (areas,).
    estimate
        Persons, shape (areas, columns).
    """
    return np.where(registered[:, None] > 0, registered[:, None], estimate)


def normal_interval(estimate: Values, std_error: Values) -> Interval:
    """Return intervals of an estimate with a normal error."""
    return Interval(
        estimate - Z_80 * std_error,
        estimate + Z_80 * std_error,
        estimate - Z_95 * std_error,
        estimate + Z_95 * std_error,
    )


def share_of(part: Values, whole: Values) -> Values:
    """Return a part of a variance, 0 where there is none or it is infinite."""
    told = (whole > 0) & np.isfinite(whole)
    return np.asarray(np.where(told, np.clip(part / np.where(told, whole, 1.0), 0.0, 1.0), 0.0))
