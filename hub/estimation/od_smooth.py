r"""Noisy counts of a row of origins and destinations, drawn towards what a model expects by how well they are known.

A row u of counts, its noisy measurement y and the noisy count t of its sum have

    u = μ + q·s + g,   s ~ N(0, v),  g_d ~ N(0, G_d),      y_d = u_d + N(0, V),     t = Σ u_d + N(0, V_t),

with μ the model's cells (q those between different zones: what all of an origin's flows have in common, as the
share of the operators there, is s). The best linear unbiased prediction (Robinson 1991, "That BLUP is a good thing",
Statistical Science 6(1)) is

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
    measured = np.broadcast_to(seen[:, None], prior.mean.shape)
    apart, alone = counted.kinds() == APART, np.isinf(prior.spread)
    spread = np.where(alone, 0.0, prior.spread)
    information = _inverse(np.where(measured & ~alone, counted.noise + spread, 0.0))
    gamma = np.where(measured & alone, 1.0, spread * information)
    direction = np.where(apart & ~alone, prior.mean, 0.0)
    start, variance = _together(counted, prior, information, direction)
    drawn = np.where(alone, 0.0, (1.0 - gamma) * prior.mean)
    # A cell of which the model says nothing tells nothing of the model.
    weight = np.where(measured & apart & ~alone, 1.0 - gamma, 0.0)
    # What of G is common to a destination is no cell's own.
    scatter = np.maximum(spread - prior.destinations * prior.mean**2, 0.0)
    rest, squares = weight * (counted.cells - start), weight**2 * (counted.noise + scatter)
    columns = prior.destinations + _astray(rest, squares, drawn, prior.destinations)
    own = np.where(measured, np.where(alone, counted.noise, spread * (1.0 - gamma)) + prior.doubt, spread)
    # G(1 - γ) = γ²V + (1 - γ)²G, without that part.
    own = np.where(alone & ~measured, np.inf, np.maximum(own - drawn**2 * columns, 0.0))
    value = start + gamma * (counted.cells - start)
    factors, core = ((1.0 - gamma) * direction)[:, :, None], variance[:, None, None]
    return _summed(counted, seen, Rows(value, own, factors, core, gamma, drawn, columns))


def _inverse(values: Values) -> Values:
    return np.asarray(np.where(values > 0, 1.0 / np.where(values > 0, values, 1.0), 0.0))


def _together(
    counted: Counted, prior: Prior, information: Values, direction: Values
) -> tuple[Values, Values]:
    """Return μ + qŝ, and the variance 1/I of ŝ."""
    rest = counted.cells - prior.mean
    variance = prior.common / (1.0 + prior.common * (direction**2 * information).sum(axis=1))
    common = variance * (direction * rest * information).sum(axis=1)
    return prior.mean + direction * common[:, None], variance


def _astray(rest: Values, variance: Values, drawn: Values, known: Values) -> Values:
    """Return by how much destinations as a whole stray from the model beyond ε² and what their cells explain."""
    sums, leaning = rest.sum(axis=0), np.where(variance > 0, drawn, 0.0).sum(axis=0)
    told = leaning > 0
    if told.sum() < FEWEST:
        return np.zeros(told.size)
    ratio, error = sums[told] / leaning[told], variance.sum(axis=0)[told] / leaning[told] ** 2
    found = fit(Areas(ratio, error, np.ones((ratio.size, 1)), known[told]))
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
        inverse = _inverse(np.where(seen, whole, 0.0))
        value = value + gain * (inverse * (counted.totals - value.sum(axis=1)))[:, None]
        core[:, 1, 1] = -inverse
    return replace(rows, value=value, factors=np.stack([direction, gain], axis=2), core=core)
