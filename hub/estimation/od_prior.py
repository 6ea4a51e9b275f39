r"""What is expected of a row of origins and destinations before its counts are looked at.

A count u has the prior N(μ, G) with μ the model's cell m at the level that the counts show, and

    G = m + (τ² + ε²)·m²:

flows are counts, around an expectation that strays from the model by τ, and that the model knows to ε. Level and τ
are those of an area model for the ratios y/m (Fay and Herriot 1979; `hub.estimation.blup`), one for each stratum: who
stays, who has no destination, and other pairs by their expected size, because ratios of small flows vary more. So do
origins as a whole, by v, because operators' shares differ there. A count that hardly any chance explains stands
alone, as in limited translation (Efron and Morris 1972, JASA 67, 130-139).
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


def flat(shape: tuple[int, int]) -> Prior:
    """Return the prior that says nothing: every count stands for itself."""
    nothing = np.zeros(shape)
    return Prior(nothing, np.full(shape, np.inf), nothing, np.zeros(shape[0]), np.zeros(shape[1]))


def told(counted: Counted, *, by_cells: bool) -> Mask:
    """Return which origins have a sum (or, with a model, a cell) that is told from noise, shape (origins,)."""
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
    scatter = pilot + model.error * pilot**2
    fits = _fits(counted, pilot, scatter, seen)
    mean, spread, doubt = level * model.mean, np.full(pilot.shape, np.inf), np.zeros(pilot.shape)
    for inside, found in fits.of:
        mean[inside] *= found.beta[0]
        spread[inside] = found.tau**2 * pilot[inside] ** 2 + scatter[inside]
        doubt[inside] = _doubt(found, pilot[inside], scatter[inside], counted.noise)
    if fits.pooled is not None:
        # What too few origins tell of those who stay, or have no destination, varies like other pairs where nothing
        # was measured.
        missing = np.isinf(spread) & ~seen[:, None]
        spread[missing] = (fits.pooled.tau**2 * pilot**2 + scatter)[missing]
    # Where nobody is expected nobody is: a zone without persons.
    spread[(model.mean <= 0) & ~np.isinf(spread)] = 0.0
    prior = Prior(mean, spread, doubt, common, model.error)
    return _without_surprises(counted, prior, seen)


@dataclass(frozen=True)
class _Fits:
    """The model of each stratum, with its cells, and that of all pairs of different zones."""

    of: list[tuple[Mask, Fit]]
    pooled: Fit | None


def _fits(counted: Counted, pilot: Values, scatter: Values, seen: Mask) -> _Fits:
    strata = _strata(counted.kinds(), pilot, counted.noise)
    usable = seen[:, None] & (pilot > _SMALLEST * np.sqrt(counted.noise)) & (pilot > 0)
    pooled = larger = _stratum(counted, pilot, scatter, (strata >= APART) & usable, None)
    fits = []
    # From large flows to small ones, which lean on what was learnt of the larger.
    for stratum in np.unique(strata)[::-1]:
        inside = strata == stratum
        found = _stratum(counted, pilot, scatter, inside & usable, larger if stratum >= APART else None)
        if found is not None:
            larger = found
            fits.append((inside, found))
    return _Fits(fits, pooled)


def _without_surprises(counted: Counted, prior: Prior, seen: Mask) -> Prior:
    """Return the prior that says nothing of counts that are too far from it for chance."""
    alone = np.isinf(prior.spread)
    whole = counted.noise + prior.spread + np.where(alone, 0.0, prior.common[:, None] * prior.mean**2)
    limit = norm.isf(_BY_CHANCE / prior.mean.size / 2) * np.sqrt(whole)
    surprising = seen[:, None] & (np.abs(counted.cells - prior.mean) > limit)
    return replace(
        prior,
        spread=np.where(surprising, np.inf, prior.spread),
        doubt=np.where(surprising, 0.0, prior.doubt),
    )


def _origins(counted: Counted, model: Values, seen: Mask) -> tuple[Values, Values, Values]:
    """Return the model's level (by cell), the variance v of origins around it, and the model at each one's level."""
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

    Ratios of small flows vary no less than those of larger ones, and noise hides how much: τ² of a stratum is the
    mean of its own and of the larger one's, by their precision, the latter taken to be right within itself, and is
    not below it.
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
    return np.asarray(
        size**2 * rest**2 * (found.covariance[0, 0] + 2.0 * size**2 / whole * found.tau_variance)
    )
