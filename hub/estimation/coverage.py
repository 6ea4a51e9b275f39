r"""Residents where there is no register to grow from: counts of today over a coverage that a survey tells.

A survey counted persons in some zones, log Ŝ_z with variance F_z; operators counted phones in nearly all, Y_z
with the variance E_z = V_z/Y_z² + 1/Y_z of the logarithm. Phones by person, as they were counted, are measured
where both are:

    log Y_z − log Ŝ_z = θ_z + error of the survey,    θ_z = x_z'β + u_z + ε_z,    Var(u_z) = τ², Var(ε_z) = E_z,

which is a model of Fay and Herriot (1979) with D = F and ω = E (`hub.estimation.areas`; covariates such as the
degree of urbanisation, or phone ownership from a survey, which has errors itself). As the chance and noise in Y
are in θ and in log Y alike, they are no error of log N̂ = log Y − θ̂ beyond that of θ̂: where the survey says nothing it
is τ² + E and the error of x'β̂, and where it says much it is F. The weight of the counts is 1 − γ.
On average Y·exp(−θ̂) is too large by the factor exp(v/2), v its mean squared error, and so would be sums over
zones; hence N̂ = Y·exp(−θ̂ − v/2) (Slud and Maiti 2006, "Mean-squared error estimation in transformed Fay–Herriot
models", JRSS B 68).

A zone whose count is within five standard deviations of its noise has no logarithm. If the survey was there, its
figure stands; otherwise the estimate is Y/exp(x'β̂) persons with the standard deviation √(V + Y)/exp(x'β̂)
persons, and a negative one is zero as the last step. Mean squared errors come from a bootstrap (Butar and
Lahiri 2003); all estimates are experimental (G).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation.areas import Fitted, Guess, Surveyed, fit_surveyed, predict_surveyed
from hub.estimation.bootstrap import Bootstrapped, bootstrap
from hub.estimation.figures import NO_DRIFT, Errors, Residents, Total, benchmark
from hub.estimation.period import GATE, Period
from privacy.errors import UsageProblem

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Survey:
    """Persons in zones, as a survey counted them.

    Attributes
    ----------
    persons
        Float64 of shape (zones,); not a number where the survey was not.
    variance
        Of the logarithm, float64 of shape (zones,).
    """

    persons: Values
    variance: Values

    @property
    def there(self) -> Mask:
        """Where the survey says something, bool of shape (zones,)."""
        return np.asarray(
            np.isfinite(self.persons) & (np.nan_to_num(self.persons) > 0) & np.isfinite(self.variance)
        )


def residents_by_coverage(
    now: Period,
    survey: Survey,
    covariates: Values,
    errors: Values,
    *,
    chance: np.random.Generator,
    draws: int = 200,
    total: float | Total | None = None,
    tau: float | None = None,
) -> Residents:
    """Estimate residents without a register.

    Parameters
    ----------
    now
        Counts of one date; the operators that answered are added up.
    survey
        Persons in some zones.
    covariates
        What coverage is explained with, float64 of shape (zones, p); a column of ones among them.
    errors
        Their covariance in each zone, float64 of shape (zones, p, p); zero for what is known exactly.
    chance, draws
        Of the bootstrap.
    total
        National population, if it is known; a `Total` if with an uncertainty.
    tau
        Spread of coverage beside the covariates, if it is known.

    Raises
    ------
    UsageProblem
        If nobody answered, or too few zones have a count above its noise and a survey.
    """
    seen = _Seen.of(now, survey)
    told = seen.told(survey, covariates, errors)
    _check(told, now)
    variance = None if tau is None else tau**2
    fitted = fit_surveyed(told, variance)
    worlds = bootstrap(fitted, told, chance, draws, variance)
    return _table(
        seen,
        survey,
        predict_surveyed(fitted, told),
        worlds,
        fitted=fitted,
        covariates=covariates,
        total=total,
        now=now,
    )


@dataclass(frozen=True)
class _Seen:
    """Sum of the counts, the variance of its noise, and where it stands out; where the survey alone says
    something.
    """

    counted: Values
    noise: Values
    heard: Mask
    alone: Mask

    @staticmethod
    def of(now: Period, survey: Survey) -> _Seen:
        counted, noise = now.of(now.present)
        heard = (counted > GATE * np.sqrt(noise)) & (counted > 0)
        return _Seen(counted, noise, np.asarray(heard), np.asarray(~heard & survey.there))

    @property
    def phones(self) -> Values:
        """Counts where they stand out, one elsewhere."""
        return np.where(self.heard, self.counted, 1.0)

    def told(self, survey: Survey, covariates: Values, errors: Values) -> Surveyed:
        both = self.heard & survey.there
        persons = np.where(both, survey.persons, 1.0)
        return Surveyed(
            measured=np.where(both, np.log(self.phones / persons), 0.0),
            variance=np.where(both, survey.variance, np.inf),
            covariates=covariates,
            errors=errors,
            scatter=np.where(self.heard, self.noise / self.phones**2 + 1 / self.phones, 0.0),
        )


def _check(told: Surveyed, now: Period) -> None:
    if not now.present.any():
        raise ValueError("no operator answered")
    both, terms = int(told.seen.sum()), told.covariates.shape[1]
    if both <= terms:
        raise UsageProblem(
            f"{both} zones have a survey and a count above its noise; more than {terms} are needed",
            means="how many phones there are by person cannot be told",
            todo="survey more zones, explain coverage with fewer covariates, or let the charter spend more",
        )


def _table(
    seen: _Seen,
    survey: Survey,
    found: Guess,
    worlds: Bootstrapped,
    *,
    fitted: Fitted,
    covariates: Values,
    total: float | Total | None,
    now: Period,
) -> Residents:
    heard, alone = seen.heard, seen.alone
    synthetic = np.exp(covariates @ fitted.beta)
    estimate = np.where(heard, seen.phones / np.exp(found.value), np.maximum(seen.counted, 0.0) / synthetic)
    estimate = np.where(alone, survey.persons, estimate)
    beside = np.sqrt(seen.noise + np.maximum(seen.counted, 0.0)) / synthetic
    beside = np.where(heard | alone, 0.0, beside)
    own = np.where(heard, worlds.mse, np.where(alone, survey.variance, 0.0))
    # Right on average as a number of persons, not as its logarithm: sums over zones must be right.
    estimate = np.where(heard, estimate * np.exp(-own / 2), estimate)
    adjustment, left = benchmark(estimate, _errors(estimate, own, beside, heard, worlds), Total.of(total))
    noise = np.where(heard, (1 - found.gamma) ** 2 * seen.noise / seen.phones**2, 0.0)
    normal = np.full(estimate.shape, np.inf)
    return Residents(
        estimate=estimate * adjustment,
        sd=np.sqrt(left.zones),
        freedom=normal,
        tails=normal,
        beside=beside * adjustment,
        gamma=np.where(alone, 0.0, np.where(heard, 1.0 - found.gamma, 1.0)),
        noise_share=np.minimum(noise / np.where(left.zones > 0, left.zones, np.inf), 1.0),
        imputed=np.full(heard.shape, False),
        experimental=np.full(heard.shape, True),
        adjustment=adjustment,
        total_sd=float(np.sqrt(left.total)),
        total_freedom=np.inf,
        tau=float(np.sqrt(fitted.variance)),
        share_sd=NO_DRIFT,
        share_sd_nation=NO_DRIFT,
        used=now.present,
    )


def _errors(estimate: Values, own: Values, beside: Values, heard: Mask, worlds: Bootstrapped) -> Errors:
    """Return what each zone errs by, and what their sum does: zones have the coefficients in common."""
    weights = estimate / estimate.sum()
    summed = worlds.errors[:, heard] @ weights[heard]
    others = float((weights[~heard] ** 2 @ own[~heard]) + (beside**2).sum() / estimate.sum() ** 2)
    return Errors(own, float((summed**2).mean()) + others, 0.0)
