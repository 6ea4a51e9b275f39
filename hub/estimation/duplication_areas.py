r"""Factors of small areas, shrunk to those of their regions.

A sketch of a small area is mostly noise; what is known of its region helps. With f_z measured in area z of region g,

    f_z = β_g + u_z + e_z,    Var(u_z) = τ²,    Var(e_z) = D_z,

the predictor γ_z·f_z + (1 − γ_z)·β̂_g, γ_z = τ²/(τ² + D_z), and its mean squared error are those of
`hub.estimation.blup` (Fay and Herriot 1979); τ² is estimated from all areas. D_z is the variance by noise. What
the multiplicity model does not know is the same in all areas, so it does not average out: it is added after,
with correlation one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation.blup import Areas, fit, predict
from hub.estimation.duplication import sketched
from hub.estimation.union import UnionEstimate

Values = NDArray[np.float64]


@dataclass(frozen=True)
class AreaFactors:
    """Persons per counted unit in each area, float64 of shape (areas,).

    Attributes
    ----------
    value, sd
        The factor and the standard deviation of its error.
    gamma
        Weight of the area's own sketch, from 0 to 1; the rest is its region's.
    measured
        The area's own sketch alone; 1 where it says nothing.
    tau
        Standard deviation of factors between the areas of a region.
    """

    value: Values
    sd: Values
    gamma: Values
    measured: Values
    tau: float


def by_area(
    unions: Sequence[UnionEstimate], regions: NDArray[np.int64], tau: float | None = None
) -> AreaFactors:
    """Return the factors of areas.

    Parameters
    ----------
    unions
        One for each area, with the same operators in each.
    regions
        Number of the region of each area, int64 of shape (areas,).
    tau
        If it is known, from earlier periods for example.

    Raises
    ------
    ValueError
        If shapes differ, a region has no measured area, or there are not more measured areas than regions.
    """
    if regions.shape != (len(unions),):
        raise ValueError("each area needs one region")
    measured, noise, prior = np.array([sketched(one) for one in unions]).reshape(-1, 3).T
    covariates = (regions[:, None] == np.unique(regions)).astype(np.float64)
    seen = np.isfinite(noise)
    if not covariates[seen].any(axis=0).all():
        raise ValueError("a region has no area that is measured above its noise")
    areas = Areas(measured, noise, covariates, np.zeros(measured.size))
    fitted = fit(areas.of(seen), tau)
    found = predict(fitted, areas)
    weights = np.where(seen, 1.0 / (fitted.tau**2 + noise), 0.0)[:, None] * covariates
    # The region's β̂ is a weighted mean, and so is its common error.
    of_region = covariates @ ((weights / weights.sum(axis=0)).T @ np.sqrt(prior))
    common = found.gamma * np.sqrt(prior) + (1.0 - found.gamma) * of_region
    return AreaFactors(found.value, np.sqrt(found.mse + common**2), found.gamma, measured, fitted.tau)
