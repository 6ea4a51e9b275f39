r"""Prediction of areas from covariates that are themselves estimates, with a known covariance in each area.

    y_z = x_z'β + u_z + e_z,    X̂_z = x_z + η_z,    Var(u_z) = τ² + ω_z,  Var(e_z) = D_z,  Var(η_z) = C_z,
    θ̂_z = γ_z·y_z + (1 − γ_z)·X̂_z'β̂,    γ_z = (τ² + ω_z + β'C_zβ)/(τ² + ω_z + β'C_zβ + D_z)

(Ybarra and Lohr 2008, Biometrika 95, 919-931): where covariates are poor the measurement weighs more. Least squares
would draw β to zero; the errors' part is taken from the moments, and τ² makes the weighted squares as many as there
are degrees of freedom (Fay and Herriot 1979, JASA 74, 269-277, whose estimator this is if C = 0):

    β̂ = [Σ w(X̂X̂' − C)]⁻¹ Σ wX̂y,    Σ w(y − X̂'β̂)² = m − p,    w = 1/(τ² + ω + D + β̂'Cβ̂).

Taken whole, the errors would now and then leave a matrix that is nearly singular, and β̂ without moments. So kΣwC
is taken, k = min(1, λ − 1/m) − 4/m with the smallest root λ of |ΣwX̂X̂' − λΣwC| = 0 (after Fuller 1987,
Measurement Error Models, section 2.5, and his α = 4): β̂ is drawn to zero a little, and its mean squared error is
much smaller. If all parameters were known the mean squared error would be γD; what their estimation adds is left
to `hub.estimation.bootstrap`, which fits many worlds at once: everything here takes leading axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
#: Rounds in which τ² and β̂ follow each other, and the change that is none any more.
_ROUNDS, _SETTLED = 200, 1e-10
#: Nothing, but not zero.
_TINY = 1e-100
#: Fuller's α.
_MODERATION = 4.0


@dataclass(frozen=True)
class Surveyed:
    """What the model is told of areas; `measured` and `covariates` may have a leading axis of worlds.

    Attributes
    ----------
    measured
        y, float64 of shape (areas,); anything where nothing was measured.
    variance
        D, float64 of shape (areas,); infinite where nothing was measured.
    covariates
        X̂, float64 of shape (areas, p).
    errors
        C, float64 of shape (areas, p, p); zero for what is known exactly, such as a constant.
    scatter
        ω: variance between areas that is known beside τ², float64 of shape (areas,).
    """

    measured: Values
    variance: Values
    covariates: Values
    errors: Values
    scatter: Values

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Where something was measured, bool of shape (areas,)."""
        return np.isfinite(self.variance)

    def of_errors(self, beta: Values) -> Values:
        """Return β'Cβ of every area, for coefficients of shape (..., p)."""
        return np.asarray(np.einsum("...i,zij,...j->...z", beta, self.errors, beta))


@dataclass(frozen=True)
class Fitted:
    """The model, fitted; a leading axis of worlds, if there is one, comes first.

    Attributes
    ----------
    variance
        τ², of shape ().
    beta
        Of shape (p,).
    """

    variance: Values
    beta: Values


def fit_surveyed(told: Surveyed, variance: float | None = None) -> Fitted:
    """Fit the model to those areas that were measured.

    Parameters
    ----------
    told
        Areas.
    variance
        τ², if it is known.

    Raises
    ------
    ValueError
        If not more areas were measured than there are covariates.
    """
    if told.seen.sum() <= told.covariates.shape[-1]:
        raise ValueError("more measured areas than covariates are needed")
    measured = np.where(told.seen, told.measured, 0.0)
    between = np.full(measured.shape[:-1], 0.0 if variance is None else variance)
    # Of measurements without any error no weight may be infinite.
    least = np.finfo(np.float64).eps * np.maximum((measured**2).max(axis=-1, keepdims=True), _TINY)
    of_errors: Values = np.zeros_like(measured)
    for _ in range(_ROUNDS):
        weights = 1.0 / (between[..., None] + told.scatter + told.variance + of_errors + least)
        beta = _coefficients(told, measured, weights)
        of_errors = told.of_errors(beta)
        if variance is not None:
            moved = 1.0 / (between[..., None] + told.scatter + told.variance + of_errors + least) - weights
            settled = np.abs(moved).max() <= _SETTLED * weights.max()
        else:
            former, between = between, _next(told, measured, beta, between, of_errors + least)
            settled = np.abs(between - former).max() <= _SETTLED * (between.max() + least.max())
        if settled:
            break
    return Fitted(between, beta)


def _coefficients(told: Surveyed, measured: Values, weights: Values) -> Values:
    """Return β̂ for weights of shape (..., areas)."""
    moments = np.einsum("...z,...zi,...zj->...ij", weights, told.covariates, told.covariates)
    errors = np.einsum("...z,zij->...ij", weights, told.errors)
    # The smallest root is one over the largest eigenvalue of the errors against the moments.
    largest = np.linalg.eigvals(np.linalg.solve(moments, errors)).real.max(axis=-1)
    count = int(told.seen.sum())
    root = 1.0 / np.maximum(largest, _TINY)
    taken = np.maximum(np.minimum(1.0, root - 1.0 / count) - _MODERATION / count, 0.0)
    score = np.einsum("...z,...zi,...z->...i", weights, told.covariates, measured)
    return np.asarray(np.linalg.solve(moments - taken[..., None, None] * errors, score[..., None])[..., 0])


def _next(told: Surveyed, measured: Values, beta: Values, between: Values, others: Values) -> Values:
    """Return τ² after one step of Newton's method, which comes from below and does not pass the root."""
    weights = 1.0 / (between[..., None] + told.scatter + told.variance + others)
    squares = (measured - np.einsum("...zi,...i->...z", told.covariates, beta)) ** 2
    free = told.seen.sum() - told.covariates.shape[-1]
    excess = (weights * squares).sum(axis=-1) - free
    slope = (weights**2 * squares).sum(axis=-1)
    # Where nothing is left over, nothing varies.
    step = np.where(slope > 0, excess / np.where(slope > 0, slope, 1.0), -between)
    return np.asarray(np.maximum(between + step, 0.0))


@dataclass(frozen=True)
class Guess:
    """Predictions of areas; a leading axis of worlds, if there is one, comes first.

    Attributes
    ----------
    value
        θ̂, of shape (areas,).
    known
        Mean squared error if all parameters were known.
    gamma
        Weight of the area's own measurement.
    """

    value: Values
    known: Values
    gamma: Values


def predict_surveyed(fitted: Fitted, told: Surveyed) -> Guess:
    """Predict every area; one that was not measured has the model's value alone.

    Parameters
    ----------
    fitted
        From `fit_surveyed`, or true parameters.
    told
        Areas, or worlds of areas.
    """
    between = fitted.variance[..., None] + told.scatter + told.of_errors(fitted.beta)
    noise = np.where(told.seen, told.variance, 1.0)
    whole = np.maximum(between + noise, _TINY)
    gamma = np.where(told.seen, between / whole, 0.0)
    synthetic = np.einsum("...zi,...i->...z", told.covariates, fitted.beta)
    value = synthetic + gamma * (np.where(told.seen, told.measured, 0.0) - synthetic)
    return Guess(np.asarray(value), np.where(told.seen, gamma * noise, between), np.asarray(gamma))
