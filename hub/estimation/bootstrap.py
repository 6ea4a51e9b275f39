r"""Mean squared errors by parametric bootstrap, where no formula holds: errors in covariates, τ̂ near zero.

Worlds are drawn from the fitted model, fitted again and predicted again (González-Manteiga, Lombardía, Molina,
Morales and Santamaría 2008, J. Statist. Comput. Simul. 78, 443-462). With g(ψ) the mean squared error for known
parameters ψ,

    mse = [2·g(ψ̂) − E*g(ψ̂*)] + E*(θ̂* − θ̃*)²,

θ̂* a world's prediction with its own estimates, θ̃* that with the parameters which made the world (Butar and
Lahiri 2003, J. Statist. Plann. Inference 112, 63-76). The second term is what estimation adds; the brackets take
away that g(ψ̂) is too small on average. Where E*g is above g they are g·exp{−(E*g − g)/E*g}, which is never
negative (the form of Hall and Maiti 2006, JRSS-B 68, 221-238); and they do not fall below g with τ² = 0.

True covariates of a world are the estimated ones drawn together, so that their errors do not count twice: their
mean and A(X̂ − mean), with A = (S − C̄)^½·S^−½, S the covariance of X̂ between areas and C̄ the mean of C.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hub.estimation.areas import Fitted, Surveyed, fit_surveyed, predict_surveyed

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Bootstrapped:
    """What the worlds tell.

    Attributes
    ----------
    mse
        Of every area's prediction, float64 of shape (areas,).
    errors
        θ̂* − θ* of every world, float64 of shape (draws, areas): for errors of sums, and to check `mse`.
    """

    mse: Values
    errors: Values


def bootstrap(
    fitted: Fitted,
    told: Surveyed,
    chance: np.random.Generator,
    draws: int = 200,
    variance: float | None = None,
) -> Bootstrapped:
    """Estimate the mean squared errors of predictions.

    Parameters
    ----------
    fitted
        The model, as fitted to `told`.
    told
        Areas.
    chance
        Seeded by the caller, so that the same release has the same figures.
    draws
        Number of worlds, B.
    variance
        τ², if it was not estimated.

    Raises
    ------
    ValueError
        If there are fewer than two worlds.
    """
    if draws < 2:
        raise ValueError("two worlds and more are needed")
    world, truth = _worlds(fitted, told, chance, draws)
    made = Fitted(
        np.broadcast_to(fitted.variance, (draws,)), np.broadcast_to(fitted.beta, (draws, fitted.beta.size))
    )
    again = predict_surveyed(fit_surveyed(world, variance), world)
    best = predict_surveyed(made, world)
    added = ((again.value - best.value) ** 2).mean(axis=0)
    plain = predict_surveyed(fitted, told).known
    least = predict_surveyed(replace(fitted, variance=np.zeros(())), told).known
    return Bootstrapped(
        np.maximum(_unbiased(plain, again.known.mean(axis=0)), least) + added, again.value - truth
    )


def _unbiased(plain: Values, repeated: Values) -> Values:
    """Return an estimate less the bias that it shows when it is made again, and never below zero."""
    least = np.finfo(np.float64).tiny
    small = plain * np.exp(-np.maximum(repeated - plain, 0.0) / np.maximum(repeated, least))
    return np.asarray(np.where(plain >= repeated, 2 * plain - repeated, small))


def _worlds(
    fitted: Fitted, told: Surveyed, chance: np.random.Generator, draws: int
) -> tuple[Surveyed, Values]:
    """Return worlds of areas, and what is true in them, of shape (draws, areas)."""
    areas, terms = told.covariates.shape
    right = _true_covariates(told)
    roots = _root(told.errors)
    covariates = right + np.einsum("zij,bzj->bzi", roots, chance.normal(size=(draws, areas, terms)))
    spread = np.sqrt(fitted.variance + told.scatter)
    truth = right @ fitted.beta + spread * chance.normal(size=(draws, areas))
    noise = np.sqrt(np.where(told.seen, told.variance, 0.0))
    measured = truth + noise * chance.normal(size=(draws, areas))
    return replace(told, measured=measured, covariates=covariates), truth


def _true_covariates(told: Surveyed) -> Values:
    """Return covariates that spread as the true ones do."""
    centre = told.covariates.mean(axis=0)
    apart = told.covariates - centre
    spread = apart.T @ apart / apart.shape[0]
    left = _root(spread - told.errors.mean(axis=0))
    return np.asarray(centre + apart @ (left @ np.linalg.pinv(_root(spread), hermitian=True)).T)


def _root(matrix: Values) -> Values:
    """Return the symmetric root of matrices, of what is positive in them."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(
        (vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    )
