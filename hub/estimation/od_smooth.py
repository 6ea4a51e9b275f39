r"""Noisy counts of a row of origins and destinations, drawn towards what a model expects by how well they are known.

A row u of counts, its noisy measurement y and the noisy count t of its sum have

    u = μ + q·s + g,   s ~ N(0, v),  g_d ~ N(0, G_d),      y_d = u_d + N(0, V),     t = Σ u_d + N(0, V_t),

with μ the model's cells (q those between different zones: what all of an origin's flows have in common, as the
share of the operators there, is s). The best linear unbiased prediction is

    ŝ = Σ q(y − μ)/(V + G) / I,   I = Σ q²/(V + G) + 1/v,     û = μ + qŝ + γ(y − μ − qŝ),   γ = G/(V + G),
    Cov(û − u) = diag(γV) + rr'/I,   r = (1 − γ)q,            and t moves it along Cov·1.

μ, G and v are learnt by `hub.estimation.od_prior`. No estimate is cut at zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hub.estimation.blup import Areas, fit
from hub.estimation.od_model import FEWEST
from hub.estimation.od_prior import Prior
from hub.estimation.od_spread import Spread
from hub.estimation.od_table import APART, Counted

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """Predicted counts and their error by noise; errors of different origins are independent.

    Attributes
    ----------
    value
        û, float64 of shape (zones, zones + 1).
    own
        Part of each cell's variance that it shares with no other.
    factors, core
        F and C of the rest, F C F' by origin, of shape (zones, zones + 1, 2) and (zones, 2, 2).
    gamma
        Weight of the cell's own count, from 0 to 1.
    drawn, destinations
        How far each cell leans on what the model says of its destination, and the variance of that, as a part of its
        square; shape (zones, zones + 1) and (zones + 1,).
    """

    value: Values
    own: Values
    factors: Values
    core: Values
    gamma: Values
    drawn: Values
    destinations: Values

    def covariance(self) -> Spread:
        """Return the covariance of the errors."""
        return Spread.of(self.own, self.factors, self.core, self.drawn, self.destinations)


def predicted(counted: Counted, prior: Prior, seen: Mask) -> Rows:
    """Return the predicted counts; an origin without a signal has those of the prior.

    Parameters
    ----------
    counted
        The table.
    prior
        Of the counts.
    seen
        Origins with a signal, shape (zones,).
    """
    measured = seen[:, None] & np.ones(prior.mean.shape, dtype=np.bool_)
    alone = np.isinf(prior.spread)
    bounded = np.where(alone, 0.0, prior.spread)
    whole = counted.noise + bounded
    information = np.where(measured & ~alone & (whole > 0), 1.0 / np.where(whole > 0, whole, 1.0), 0.0)
    gamma = np.where(measured, np.where(alone, 1.0, bounded * information), 0.0)
    shift = np.where(alone | (counted.kinds() != APART), 0.0, prior.mean)
    rest = counted.cells - prior.mean
    variance = prior.common / (1.0 + prior.common * (shift**2 * information).sum(axis=1))
    common = variance * (shift * rest * information).sum(axis=1)
    start = prior.mean + shift * common[:, None]
    value = start + gamma * (counted.cells - start)
    drawn = np.where(alone, 0.0, (1.0 - gamma) * prior.mean)
    own = np.where(alone & measured, counted.noise, bounded * (1.0 - gamma)) + np.where(
        measured, prior.doubt, 0.0
    )
    weight = np.where(measured & ~alone & (counted.kinds() == APART), 1.0 - gamma, 0.0)
    columns = prior.destinations + _astray(weight * (counted.cells - start), weight**2 * whole, drawn)
    # G(1 - γ) = γ²V + (1 - γ)²G, and what of that is common to a destination is no cell's own.
    own = np.maximum(own - drawn**2 * columns, 0.0)
    own[alone & ~measured] = np.inf
    factors, core = ((1.0 - gamma) * shift)[:, :, None], variance[:, None, None]
    return _summed(counted, seen, Rows(value, own, factors, core, gamma, drawn, columns))


def _astray(rest: Values, variance: Values, drawn: Values) -> Values:
    """Return by how much destinations as a whole stray from the model beyond what their cells explain, as ε² is."""
    sums, leaning = rest.sum(axis=0), np.where(variance > 0, drawn, 0.0).sum(axis=0)
    told = leaning > 0
    if told.sum() < FEWEST:
        return np.zeros(told.size)
    ratio, error = sums[told] / leaning[told], variance.sum(axis=0)[told] / leaning[told] ** 2
    found = fit(Areas(ratio, error, np.ones((ratio.size, 1)), np.zeros(ratio.size)))
    return np.full(told.size, found.tau**2)


def _summed(counted: Counted, seen: Mask, rows: Rows) -> Rows:
    """Move the rows along their errors towards the second count of their sums."""
    direction, variance = rows.factors[:, :, 0], rows.core[:, 0, 0]
    own = np.where(np.isinf(rows.own), 0.0, rows.own)
    gain = own + direction * (variance * direction.sum(axis=1))[:, None]
    core = np.zeros((own.shape[0], 2, 2))
    core[:, 0, 0] = variance
    value = rows.value
    if counted.totals is not None:
        whole = gain.sum(axis=1) + counted.totals_noise
        there = seen & (whole > 0)
        inverse = np.where(there, 1.0 / np.where(there, whole, 1.0), 0.0)
        value = value + gain * (inverse * (counted.totals - value.sum(axis=1)))[:, None]
        core[:, 1, 1] = -inverse
    return replace(rows, value=value, factors=np.stack([direction, gain], axis=2), core=core)
