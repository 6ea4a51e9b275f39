r"""How market shares move between two periods, and what that does to the growth of a sum over some operators.

Between the periods the share of operator k in a zone becomes s_k·exp(δε_k), renormalised, with independent ε_k of
variance 1. Let S be the operators in the sum, s_S their share. The logarithm of s_S moves, to first order, by
Σ_S s_k·ε_k·δ·(1 − s_S)/s_S − Σ_∉S s_j·ε_j·δ, so its variance is δ² times

    [Σ_S s_k²·(1 − s_S)² + s_S²·Σ_∉S s_j²] / s_S²,

which is zero when every operator takes part. δ² needs no truth: two operators that see the same people grow
differently only by the drift of their shares and by noise, Var(g_a − g_b) = 2δ² + known noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: No drift of shares by more than a factor of e within a zone is looked for.
_LARGEST = 1.0


def drift_factor(shares: Values, present: Mask) -> Values:
    """Return the variance of the logarithm of the operators' common share, in units of δ².

    Parameters
    ----------
    shares
        Of every operator in each zone, float64 of shape (operators, zones), with a sum of 1 in each zone.
    present
        Which operators are in the sum, bool of shape (operators,).

    Returns
    -------
    float64 of shape (zones,); infinite where the operators in the sum have no share.
    """
    inside, outside = shares[present], shares[~present]
    together = inside.sum(axis=0)
    told = together > 0
    odds = outside.sum(axis=0) / np.where(told, together, 1.0)
    return np.asarray(np.where(told, (inside**2).sum(axis=0) * odds**2 + (outside**2).sum(axis=0), np.inf))


@dataclass(frozen=True)
class Drift:
    """Standard deviation of the drift of shares (of logarithms), and how much is known about it.

    Attributes
    ----------
    sd
        Estimated or declared.
    freedom
        Degrees of freedom of `sd`²; infinite if it is declared as known.
    """

    sd: float
    freedom: float


def zone_drift(growth: Values, noise: Values) -> float:
    r"""Estimate δ of zones from the disagreement of operators, by restricted maximum likelihood.

    g_kz = c_z + m_k + δε_kz + e_kz with Var(e_kz) known; what all operators see in a zone (c_z) and the growth of an
    operator in the country (m_k) are unknown constants (Patterson and Thompson 1971, Biometrika 58(3), 545-554).

    Parameters
    ----------
    growth
        Growth of each operator's count in each zone (logarithm of a ratio), float64 of shape (operators, zones).
    noise
        Its variance, of the same shape; only zones that every operator sees well enough.

    Returns
    -------
    δ ≥ 0.

    Raises
    ------
    ValueError
        If there are fewer than two operators, or not more zones than operators.
    """
    operators, zones = growth.shape
    if operators < 2 or zones <= operators:
        raise ValueError("two operators and more zones than operators are needed to see them disagree")

    def negative(sd: float) -> float:
        return -_restricted(growth, 1.0 / (noise + sd**2))

    found = minimize_scalar(negative, bounds=(0.0, _LARGEST), method="bounded", options={"xatol": 1e-6})
    return float(found.x) if found.fun < negative(0.0) else 0.0


def _restricted(growth: Values, weights: Values) -> float:
    """Return the restricted log-likelihood of differences between operators, but for a constant."""
    whole = weights.sum(axis=0)
    centred = growth - (weights * growth).sum(axis=0) / whole
    # Of the operators' national growth only differences to the first one can be told.
    cross = (weights / whole) @ weights.T
    information = (np.diag(weights.sum(axis=1)) - cross)[1:, 1:]
    score = (weights * centred).sum(axis=1)[1:]
    left = (weights * centred**2).sum() - score @ np.linalg.solve(information, score)
    determinants = -np.log(weights).sum() + np.log(whole).sum() + np.linalg.slogdet(information)[1]
    return float(-0.5 * (determinants + left))


def national_drift(growth: Values, noise: Values, declared: Drift) -> Drift:
    """Return δ of the country: what was declared, corrected by how much the operators disagree.

    A scaled inverse chi-square prior, updated with the sample variance of the operators' growth as if it were of
    normal values (Gelman et al. 2013, Bayesian Data Analysis, section 2.6). With two or three operators the declared
    value weighs as much as they do, and the degrees of freedom say how little is known.

    Parameters
    ----------
    growth
        National growth of each operator in the sum, float64 of shape (operators,).
    noise
        Its variance, of the same shape.
    declared
        The prior: its `freedom` is the number of operators' growths that it is worth.
    """
    free = growth.size - 1
    if free < 1:
        return declared
    seen = max(float(growth.var(ddof=1) - noise.mean()), 0.0)
    freedom = declared.freedom + free
    return Drift(float(np.sqrt((declared.freedom * declared.sd**2 + free * seen) / freedom)), freedom)
