"""Combination of operators, and of the levels that each measured; a missing operator is missing.

The vectors of the operators that answered are added, and so are their variances. Where a release measured several
levels of the zoning, the counts of zones are the best linear unbiased ones that all levels together allow
(generalised least squares; Hay et al. 2010, "Boosting the accuracy of differentially private histograms through
consistency"): with the measured areas y = Ax + noise of covariance V,

    x = C·AᵀV⁻¹y,    C = (AᵀV⁻¹A)⁻¹,

so that the sums of zones agree at every level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.noise import noise_of, variance
from privacy.terms import Terms
from quorate.contract.keyset import Keyset
from quorate.contract.zoning import ZONE, Zoning

Values = NDArray[np.float64]
#: A sum below so many standard deviations of its noise says nothing.
GATE = 5.0


@dataclass(frozen=True)
class Combined:
    """The sum of all operators that answered.

    Attributes
    ----------
    zones
        Noisy counts of subscribers, float64 of shape (zones, hours).
    specials
        Noisy counts without a zone (`unobserved`, `unanchored`) by special row, float64 of shape (rows, hours).
    covariance
        Of the noise in the zones of an hour, the same for every hour: float64 of shape (zones, zones), or the
        variance of each zone where they are independent.
    operators
        Number of operators in the sum.
    """

    zones: Values
    specials: Values
    covariance: Values | float
    operators: int

    @property
    def heard(self) -> NDArray[np.bool_]:
        """Whether the sum of all zones stands out of its noise, by hour, shape (hours,)."""
        _areas, _common, noise = self.noise_of(np.ones((1, self.zones.shape[0])))
        return np.asarray(self.zones.sum(axis=0) > GATE * np.sqrt(noise))

    @property
    def zone_variance(self) -> Values:
        """Variance of the noise in each zone of an hour, shape (zones,) or (1,)."""
        if isinstance(self.covariance, float):
            return np.array([self.covariance])
        return np.diagonal(self.covariance)

    @property
    def special(self) -> Values:
        """Noisy counts without a zone, all special rows together, float64 of shape (hours,)."""
        return np.asarray(self.specials.sum(axis=0), np.float64)

    def noise_of(self, membership: Values) -> tuple[Values, Values, float]:
        """Return variances of sums of zones, their covariances with the sum of all zones, and its variance.

        Parameters
        ----------
        membership
            0 or 1, float64 of shape (areas, zones).
        """
        if isinstance(self.covariance, float):
            variances = self.covariance * membership.sum(axis=1)
            return variances, variances, self.covariance * membership.shape[1]
        spread = membership @ self.covariance
        return (spread * membership).sum(axis=1), spread.sum(axis=1), float(self.covariance.sum())


def combine(vectors: Sequence[NDArray[np.int64]], keyset: Keyset, zoning: Zoning, terms: Terms) -> Combined:
    """Add the vectors of the operators that answered, and reconcile the levels that they measured.

    Parameters
    ----------
    vectors
        Noised int64 vectors of shape (cells,), one per operator, in the order of the keyset.
    keyset, zoning, terms
        Of the release.
    """
    total = np.stack(vectors).sum(axis=0, dtype=np.int64).astype(np.float64)
    noise = {
        level.name: len(vectors) * variance(noise_of(terms.mechanism, level.scale_milli))
        for level in terms.levels
    }
    measured = {
        level.name: np.split(total[place].reshape(shape), [level.areas])
        for level, (_name, place, shape) in zip(keyset.levels, keyset.parts(), strict=True)
    }
    if len(measured) == 1 or keyset.by == "area":
        # Pairs of larger areas have other columns than pairs of zones: they are left to who asks for them.
        counts, specials = measured[ZONE]
        return Combined(counts, specials, noise[ZONE], len(vectors))
    weighted = [
        (membership_of(list(zoning.members(name).values()), len(zoning.zones)), counts, noise[name])
        for name, (counts, _specials) in measured.items()
    ]
    information = sum(areas.T @ areas / spread for areas, _counts, spread in weighted)
    covariance = np.asarray(np.linalg.inv(information), np.float64)
    zones = covariance @ sum(areas.T @ counts / spread for areas, counts, spread in weighted)
    specials = _weighted([found for _counts, found in measured.values()], list(noise.values()))
    return Combined(np.asarray(zones, np.float64), specials, covariance, len(vectors))


def membership_of(members: Sequence[Sequence[int]], zones: int) -> Values:
    """Return which zones are in which area, 0 or 1, float64 of shape (areas, zones)."""
    membership = np.zeros((len(members), zones))
    for area, indices in enumerate(members):
        membership[area, indices] = 1.0
    return membership


def _weighted(values: Sequence[Values], variances: Sequence[float]) -> Values:
    """Return the mean of independent measurements of the same, weighted by the inverse of their variances."""
    weights = 1.0 / np.array(variances)
    return np.asarray(np.tensordot(weights, np.stack(values), axes=1) / weights.sum(), dtype=np.float64)
