r"""Noisy counts of a row of origins and destinations, drawn towards what a model expects by how well they are known.

A row u of counts, its noisy measurement y and the noisy count t of its sum have

    u = μ + q·s + g,   s ~ N(0, v),  g_d ~ N(0, G_d),      y_d = u_d + N(0, V),     t = Σ u_d + N(0, V_t),

with μ the model's cells (q those between different zones: what all of an origin's flows have in common, as the share of
the operators there, is s). The best linear unbiased prediction is

    ŝ = Σ q(y − μ)/(V + G) / I,   I = Σ q²/(V + G) + 1/v,     û = μ + qŝ + γ(y − μ − qŝ),   γ = G/(V + G),
    Cov(û − u) = diag(γV) + rr'/I,   r = (1 − γ)q,            and t moves it along Cov·1.

G = m + (τ² + ε²)m² (flows are counts, around an expectation that varies by τ and that the model knows to ε), v and the level of the model are those of an area model for the ratios y/m (Fay and Herriot 1979; see
`hub.estimation.blup`), one for each stratum: who stays, who has no destination, and other pairs by their expected size,
because ratios of small flows vary more. No estimate is cut at zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scipy.stats import norm

from hub.estimation.blup import Areas, Fit, fit, predict
from hub.estimation.od_model import FEWEST, GATE
from hub.estimation.od_table import APART, Counted, Kinds, Model

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Expected sizes, in standard deviations of noise, that part the strata of other pairs.
_SIZES = np.array([0.03, 0.1, 0.3, 1.0, 3.0, 10.0])
#: A pair that is expected to be smaller than this part of the noise says nothing of how ratios vary.
_SMALLEST = 1e-3
#: Standard deviation of the level of a stratum around that of the model.
_LEVEL = 0.3
#: Chance that any cell is taken for a surprise although the model is right.
_BY_CHANCE = 0.05


@dataclass(frozen=True)
class Prior:
    """What is expected of the counts before they are looked at, float64 of shape (zones, zones + 1).

    Attributes
    ----------
    mean
        μ; zero where nothing is expected.
    spread
        G; infinite where the model says nothing and the count stands alone.
    doubt
        By how much more a prediction errs because level and spread of the model are estimated, for cells measured.
    common
        v by origin, shape (origins,), of q = μ between different zones.
    destinations
        ε² by destination, shape (destinations,), which G has in it and which all origins share.
    """

    mean: Values
    spread: Values
    doubt: Values
    common: Values
    destinations: Values


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


def flat(shape: tuple[int, int]) -> Prior:
    """Return the prior that says nothing: every count stands for itself."""
    nothing = np.zeros(shape)
    return Prior(nothing, np.full(shape, np.inf), nothing, np.zeros(shape[0]), np.zeros(shape[1]))


def told(counted: Counted, *, by_cells: bool) -> Mask:
    """Return which origins have a sum (or, with a model, a cell) that is told from noise, bool of shape (origins,)."""
    seen = _above(counted.cells.sum(axis=1), counted.noise * counted.cells.shape[1])
    if counted.totals is not None:
        seen |= _above(counted.totals, counted.totals_noise)
    return seen | _above(counted.cells.max(axis=1), counted.noise) if by_cells else seen


def _above(values: Values, noise: float) -> Mask:
    return np.asarray((values > GATE * np.sqrt(noise)) & (values > 0))


def learnt(counted: Counted, model: Model, seen: Mask) -> Prior:
    """Return the prior that a model makes, its level and spread learnt from the origins with a signal.

    Parameters
    ----------
    counted
        The table.
    model
        Expected counts.
    seen
        Origins with a signal, shape (zones,).
    """
    level, common, pilot = _origins(counted, model.mean, seen)
    mean, spread, doubt = level * model.mean, np.full(pilot.shape, np.inf), np.zeros(pilot.shape)
    scatter = pilot + model.error * pilot**2
    strata = _strata(counted.kinds(), pilot, counted.noise)
    usable = seen[:, None] & (pilot > _SMALLEST * np.sqrt(counted.noise)) & (pilot > 0)
    pooled = larger = _stratum(counted, pilot, scatter, (strata >= APART) & usable, None)
    # From large flows to small ones, which lean on what was learnt of the larger.
    for stratum in np.unique(strata)[::-1]:
        inside = strata == stratum
        found = _stratum(counted, pilot, scatter, inside & usable, larger if stratum >= APART else None)
        if found is None:
            continue
        larger = found
        mean[inside] *= found.beta[0]
        spread[inside] = found.tau**2 * pilot[inside] ** 2 + scatter[inside]
        doubt[inside] = _doubt(found, pilot[inside], scatter[inside], counted.noise)
    if pooled is not None:
        # What too few origins tell of those who stay, or have no destination, varies like pairs where nothing was measured.
        missing = np.isinf(spread) & ~seen[:, None]
        spread[missing] = (pooled.tau**2 * pilot**2 + scatter)[missing]
    # Where nobody is expected nobody is: a zone without persons, or a stratum whose sum is below zero.
    empty = model.mean <= 0
    spread[empty & ~np.isinf(spread)] = 0.0
    whole = counted.noise + spread + np.where(np.isinf(spread), 0.0, common[:, None] * mean**2)
    surprising = seen[:, None] & (
        np.abs(counted.cells - mean) > norm.isf(_BY_CHANCE / pilot.size / 2) * np.sqrt(whole)
    )
    spread[surprising], doubt[surprising] = np.inf, 0.0
    return Prior(mean, spread, doubt, common, model.error)


def _origins(counted: Counted, model: Values, seen: Mask) -> tuple[Values, Values, Values]:
    """Return the level of the model (by cell), the variance v of origins around it, and the model at each one's level."""
    apart = counted.kinds() == APART
    size = np.where(apart, model, 0.0).sum(axis=1)
    (leaving, noise), chosen = counted.leaving(), seen & (size > 0)
    factor = np.ones(model.shape)
    if chosen.sum() < FEWEST or noise == 0:
        return factor, np.zeros(size.size), model
    safe = np.where(size > 0, size, 1.0)
    variance = np.where(chosen, noise / safe**2, np.inf)
    areas = Areas(leaving / safe, variance, np.ones((size.size, 1)), np.zeros(size.size))
    found = fit(areas.of(chosen))
    level = max(float(found.beta[0]), 0.0)
    factor[apart] = level
    own = np.maximum(predict(found, areas).value, 0.1 * level)
    common = (found.tau / level) ** 2 if level > 0 else 0.0
    return factor, np.full(size.size, common), np.where(apart, own[:, None], 1.0) * model


def _strata(kinds: Kinds, pilot: Values, noise: float) -> Kinds:
    sizes = np.searchsorted(_SIZES, pilot / np.sqrt(noise)) if noise > 0 else np.zeros_like(kinds)
    return np.asarray(np.where(kinds == APART, APART + sizes, kinds))


def _stratum(
    counted: Counted, pilot: Values, scatter: Values, chosen: Mask, larger: Fit | None
) -> Fit | None:
    """Return level and spread of the ratios of a stratum; those of the next larger one if it has too few.

    Ratios of small flows vary no less than those of larger ones, and noise hides how much: τ² of a stratum is the mean of
    its own and of the larger one's, by their precision, the latter taken to be right within itself, and is not below it.
    """
    if chosen.sum() < FEWEST or counted.noise == 0:
        return larger
    size = pilot[chosen]
    measured, noise = counted.cells[chosen] / size, counted.noise / size**2
    found = fit(Areas(measured, noise, np.ones((size.size, 1)), scatter[chosen] / size**2))
    variance = float(found.covariance[0, 0])
    weight = _LEVEL**2 / (_LEVEL**2 + variance)
    beta = np.maximum(1.0 + weight * (found.beta - 1.0), 0.0)
    square, doubt = found.tau**2, found.tau_variance
    if larger is not None and larger.tau > 0:
        prior = larger.tau**2
        own = prior**2 / (prior**2 + doubt)
        square, doubt = max(prior + own * (square - prior), prior), own * doubt
    return Fit(float(np.sqrt(square)), beta, np.array([[weight * variance]]), doubt)


def _doubt(found: Fit, size: Values, scatter: Values, noise: float) -> Values:
    """Return what the errors of β̂ and τ̂² add to the variance of a prediction (see `hub.estimation.blup`)."""
    whole = found.tau**2 * size**2 + scatter + noise
    rest = noise / whole
    return np.asarray(size**2 * rest**2 * (found.covariance[0, 0] + 2.0 * size**2 / whole * found.tau_variance))


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
    own = np.where(alone & measured, counted.noise, bounded * (1.0 - gamma)) + np.where(measured, prior.doubt, 0.0)
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
