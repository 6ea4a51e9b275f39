"""An audit of a mechanism on neighbouring inputs: what its outputs betray, as an empirical μ.

For Gaussian noise the trade-off between false alarms α and misses β of the best test is that of telling
N(0, 1) from N(μ, 1), μ = Δ/σ = √(2ρ) (Dong, Roth and Su 2022, Gaussian differential privacy). Any test gives
a lower bound: μ ≥ Φ⁻¹(1 − α) − Φ⁻¹(β). So the bound that several attacks reach, with confidence limits for α
and β, must not lie above the claim; and it must come near it, or the audit has no power.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Scores = NDArray[np.float64]
Mechanism = Callable[[NDArray[np.int64]], NDArray[np.int64]]
"""Returns noised vectors, shape (trials, cells), of exact ones."""

THRESHOLDS = 41
#: Probability that an honest mechanism is said to betray more than it claims, in one audit.
LEVEL = 1e-3


@dataclass(frozen=True)
class Found:
    """What an audit found.

    Attributes
    ----------
    estimate
        Largest empirical μ at thresholds where both errors are common enough to be measured well.
    limit
        Largest lower confidence limit of μ over all attacks and thresholds.
    """

    estimate: float
    limit: float


def audit(
    mechanism: Mechanism,
    without: NDArray[np.int64],
    with_one: NDArray[np.int64],
    trials: int,
    scales: Scores | None = None,
) -> Found:
    """Attack a mechanism with two attacks on neighbouring vectors.

    Parameters
    ----------
    mechanism
        What is audited.
    without, with_one
        Exact vectors of neighbouring data sets, int64 of shape (cells,).
    trials
        Outputs drawn for each of the two.
    scales
        σ of each cell, where they differ.
    """
    weights = 1.0 if scales is None else 1.0 / scales**2
    outputs = [mechanism(np.tile(exact, (trials, 1))) for exact in (without, with_one)]
    changed = (with_one - without).astype(np.float64) * weights
    found = [_attack(*(attack(output - without, changed) for output in outputs)) for attack in ATTACKS]
    return Found(max(one.estimate for one in found), max(one.limit for one in found))


def audit_epsilon(
    mechanism: Mechanism, without: NDArray[np.int64], with_one: NDArray[np.int64], trials: int
) -> Found:
    """Attack a mechanism on vectors that differ in one cell; what is found is an ε.

    Pure differential privacy bounds every test: 1 − β ≤ e^ε·α, so that ε ≥ ln((1 − β)/α) (Kairouz, Oh and
    Viswanath 2015). Laplace noise on one cell reaches it at every threshold above the exact count.
    """
    changed = (with_one - without).astype(np.float64)
    none, one = (
        projection(np.asarray(mechanism(np.tile(exact, (trials, 1))) - without), changed)
        for exact in (without, with_one)
    )
    level, estimates, limits = LEVEL / (2 * THRESHOLDS), [], []
    for threshold in np.unique(np.quantile(np.concatenate([none, one]), np.linspace(0.02, 0.98, THRESHOLDS))):
        alarms, misses = int((none > threshold).sum()), int((one <= threshold).sum())
        if threshold >= 0 and 0.1 < alarms / trials < 0.9:
            estimates.append(np.log((trials - misses) / alarms))
        hits = 1.0 - _upper(misses, trials, level)
        limits.append(float(np.log(hits / _upper(alarms, trials, level))) if hits > 0 else -np.inf)
    return Found(float(np.median(estimates)) if estimates else np.inf, max(limits))


def projection(noise: NDArray[np.int64], changed: Scores) -> Scores:
    """Score by the likelihood ratio of independent Gaussian noise."""
    return np.asarray(noise @ changed, dtype=np.float64)


def contrast(noise: NDArray[np.int64], changed: Scores) -> Scores:
    """Score by changed against unchanged cells, which noise that is used again cannot hide."""
    return np.asarray(
        noise[:, changed != 0].mean(axis=1) - noise[:, changed == 0].mean(axis=1), dtype=np.float64
    )


ATTACKS = (projection, contrast)


def _attack(without: Scores, with_one: Scores) -> Found:
    thresholds = np.quantile(np.concatenate([without, with_one]), np.linspace(0.02, 0.98, THRESHOLDS))
    level = LEVEL / (2 * THRESHOLDS * len(ATTACKS))
    estimates, limits = [], []
    for threshold in np.unique(thresholds):
        alarms, misses = int((without > threshold).sum()), int((with_one <= threshold).sum())
        alpha, beta = alarms / len(without), misses / len(with_one)
        if 0.1 < alpha < 0.9 and 0.1 < beta < 0.9:
            estimates.append(_mu(alpha, beta))
        limits.append(_mu(_upper(alarms, len(without), level), _upper(misses, len(with_one), level)))
    return Found(float(np.median(estimates)) if estimates else np.inf, max(limits))


def _mu(alpha: float, beta: float) -> float:
    return float(stats.norm.isf(alpha) - stats.norm.ppf(beta))


def _upper(count: int, of: int, level: float) -> float:
    """Return the Clopper–Pearson upper limit of a share."""
    return 1.0 if count == of else float(stats.beta.ppf(1 - level, count + 1, of - count))
