r"""Empirical best linear unbiased prediction of one value for each area, with known variances of its measurements.

    y_z = x_z'β + u_z + e_z,    Var(u_z) = τ² + ω_z,    ω_z and Var(e_z) = D_z known,
    θ̂_z = γ_z·y_z + (1 − γ_z)·x_z'β̂,    γ_z = (τ² + ω_z)/(τ² + ω_z + D_z)

(ω = 0: Fay and Herriot 1979, JASA 74, 269-277). Its mean squared error has three parts (Prasad and Rao 1990, JASA 85,
163-171; with restricted maximum likelihood Datta and Lahiri 2000, Statistica Sinica 10, 613-627): what remains if all
parameters are known, γD; that of β̂; and that of τ̂², counted twice because the first part is estimated too low.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Values = NDArray[np.float64]
#: Points at which a likelihood is looked at, and how far its logarithm falls where the rest does not matter.
_POINTS, _NEGLIGIBLE = 33, 3.0
#: Nothing, but not zero.
_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Fit:
    """The model, fitted.

    Attributes
    ----------
    tau
        Standard deviation between areas beside their covariates.
    beta, covariance
        Coefficients, shape (p,), and their covariance, shape (p, p).
    tau_variance
        Asymptotic variance of τ̂²; zero if τ was given.
    """

    tau: float
    beta: Values
    covariance: Values
    tau_variance: float


@dataclass(frozen=True)
class Predicted:
    """Predictions of all areas.

    Attributes
    ----------
    value, mse
        Prediction and its mean squared error, shape (areas,).
    gamma
        Weight of the area's own measurement, from 0 to 1.
    """

    value: Values
    mse: Values
    gamma: Values


@dataclass(frozen=True)
class Areas:
    """What the model is told of areas, each float64 of shape (areas,) or (areas, p).

    Attributes
    ----------
    measured, variance
        y and D; an infinite variance where nothing was measured.
    covariates
        Of full rank.
    scatter
        ω: variance between areas that is known beside τ².
    """

    measured: Values
    variance: Values
    covariates: Values
    scatter: Values

    def of(self, chosen: NDArray[np.bool_]) -> Areas:
        """Return some of the areas."""
        return Areas(
            self.measured[chosen], self.variance[chosen], self.covariates[chosen], self.scatter[chosen]
        )


def fit(areas: Areas, tau: float | None = None) -> Fit:
    """Fit the model to the areas that were measured.

    Parameters
    ----------
    areas
        Those that were measured.
    tau
        If it is known, for example from the history of a register.

    Raises
    ------
    ValueError
        If there are not more areas than covariates.
    """
    covariates = areas.covariates
    if covariates.shape[0] <= covariates.shape[1]:
        raise ValueError("more areas than covariates are needed")
    given = tau
    if tau is None:
        tau = _tau(areas, areas.variance + areas.scatter)
    weights = 1.0 / (tau**2 + areas.scatter + areas.variance)
    covariance = np.linalg.inv((covariates.T * weights) @ covariates)
    beta = covariance @ (covariates.T * weights) @ areas.measured
    spread = 0.0 if given is not None else 2.0 / float((weights**2).sum())
    return Fit(tau, np.asarray(beta), np.asarray(covariance), spread)


def scatter_of_size(areas: Areas, sizes: Values) -> float:
    """Estimate ω where Var(u_z) = τ² + ω/size, τ by restricted maximum likelihood for each ω.

    Where small areas are measured badly the likelihood is flat and its maximum often at zero, which would make their
    intervals too short. So ω is the mean of the likelihood over ω ≥ 0, the mean of its posterior with a flat prior.

    Parameters
    ----------
    areas
        Those that were measured; their `scatter` is known beside.
    sizes
        Of the areas, float64 of shape (areas,), above zero.
    """

    def negative(scatter: float) -> float:
        variance = areas.variance + areas.scatter + scatter / sizes
        return _restricted(_tau(areas, variance), areas, variance)

    top = float(10.0 * areas.measured.var() * np.median(sizes) + _TINY)
    while negative(top / 2) - negative(top / 4) > _NEGLIGIBLE:
        top /= 2
    grid = np.linspace(0.0, top, _POINTS)
    found = np.array([negative(float(scatter)) for scatter in grid])
    likelihood = np.exp(found.min() - found)
    return float(np.trapezoid(grid * likelihood, grid) / np.trapezoid(likelihood, grid))


def _restricted(tau: float, areas: Areas, variance: Values) -> float:
    """Return the negative of the restricted log-likelihood, but for a constant."""
    weights = 1.0 / (tau**2 + variance)
    information = (areas.covariates.T * weights) @ areas.covariates
    score = (areas.covariates.T * weights) @ areas.measured
    left = (weights * areas.measured**2).sum() - score @ np.linalg.solve(information, score)
    return float(0.5 * (-np.log(weights).sum() + np.linalg.slogdet(information)[1] + left))


def _tau(areas: Areas, variance: Values) -> float:
    """Estimate τ by restricted maximum likelihood; zero if nothing differs by more than its own error."""

    def negative(tau: float) -> float:
        return _restricted(tau, areas, variance)

    largest = float(np.sqrt(10.0 * areas.measured.var() + _TINY))
    found = minimize_scalar(negative, bounds=(0.0, largest), method="bounded", options={"xatol": 1e-9})
    return float(found.x) if found.fun < negative(0.0) else 0.0


def predict(fitted: Fit, areas: Areas) -> Predicted:
    """Predict every area; one with an infinite variance was not measured and gets the model's value alone.

    Parameters
    ----------
    fitted
        From those areas that were measured.
    areas
        Any areas.
    """
    between, seen = fitted.tau**2 + areas.scatter, np.isfinite(areas.variance)
    noise = np.where(seen, areas.variance, 1.0)
    # Where nothing varies, nothing is learnt from a measurement.
    whole = np.maximum(between + noise, _TINY)
    gamma = np.where(seen, between / whole, 0.0)
    synthetic = areas.covariates @ fitted.beta
    value = synthetic + gamma * (np.where(seen, areas.measured, 0.0) - synthetic)
    of_beta = ((areas.covariates @ fitted.covariance) * areas.covariates).sum(axis=1)
    of_tau = np.where(seen, noise**2 / whole**3, 0.0)
    known = np.where(seen, gamma * noise, between)
    mse = known + (1.0 - gamma) ** 2 * of_beta + 2.0 * of_tau * fitted.tau_variance
    return Predicted(np.asarray(value), np.asarray(mse), np.asarray(gamma))


def excess(fitted: Fit, areas: Areas) -> tuple[float, int]:
    """Return the weighted sum of squared residuals and its degrees of freedom.

    If τ and D are right it is chi-square distributed with them; more says that something varies undeclared.
    """
    residual = areas.measured - areas.covariates @ fitted.beta
    free = areas.covariates.shape[0] - areas.covariates.shape[1]
    return float((residual**2 / (fitted.tau**2 + areas.scatter + areas.variance)).sum()), free
