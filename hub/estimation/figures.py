r"""Estimates of zones as one table, their intervals, and their scaling to a national total.

Errors are those of logarithms: log N̂_z = log N_z + e_z + c, with each zone's own e_z of variance m_z and one c
that all zones share. With the weights w_z of zones in the sum, the sum is off by E + c, E = Σ w·e. A total T that
is known with the variance t² (of the logarithm) draws the sum to itself by

    α = V/(V + t²),    V = Var(E + c),    log N̂_z += α·log(T/ΣN̂),

after which a zone has m_z·(1 − 2αw_z) + α²·Σ w²m + (1 − α)²·Var(c) + α²t². With t = 0 the sum is T.

Intervals take the quantile of Student's t where Var(c) is known with few degrees of freedom (combined by Welch
1947, Biometrika 34, 28-35). Where zones themselves differ with heavy tails, of ν degrees of freedom, and this is
the part p of the variance, the whole has the kurtosis of a t distribution with 4 + (ν − 4)/p² degrees of freedom,
scaled to the variance.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from hub.estimation.drift import Drift
from hub.estimation.quantiles import quantile

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Where no growth is taken, no shares drift.
NO_DRIFT = Drift(0.0, np.inf)


@dataclass(frozen=True)
class Parts:
    """What the errors of logarithms are made of, so that sums over zones can have theirs.

    Attributes
    ----------
    alone
        Variance of every zone's own error, float64 of shape (zones,).
    loadings
        What all zones' errors have in common through the model, by independent parts of variance 1: float64 of
        shape (zones, parts).
    pull
        α: how far the sum was drawn to a total.
    shared
        Variance that all zones share still, c and what is left of a total's.
    uncertain, freedom
        The part of `shared` that is known with few degrees of freedom, and these.
    """

    alone: Values
    loadings: Values
    pull: float
    shared: float
    uncertain: float
    freedom: float

    def of(self, share: Values, weights: Values) -> Values:
        """Return the variance of the logarithm of sums, float64 of shape (areas,).

        Parameters
        ----------
        share
            Part of each zone in each sum, float64 of shape (areas, zones).
        weights
            Part of each zone in the whole, float64 of shape (zones,).
        """
        moved = share - self.pull * weights
        through = moved @ self.loadings
        return np.asarray(moved**2 @ self.alone + (through**2).sum(axis=1) + self.shared)


@dataclass(frozen=True)
class Residents:
    """Estimates of every zone, arrays of shape (zones,).

    Attributes
    ----------
    estimate
        Persons.
    sd, freedom
        Standard deviation of the logarithm, and the degrees of freedom with which it is known.
    tails
        Degrees of freedom of the error's own shape; infinite if it is normal.
    beside
        Standard deviation in persons that comes on top: where nobody was registered and nobody stands out from the
        noise, the estimate is zero and this alone makes the interval.
    gamma
        Weight of the counts against the model.
    noise_share
        Part of the variance that is noise of differential privacy.
    imputed
        Where nothing was measured (CL_OBS_STATUS I).
    experimental
        Where there is no register to grow from, and counts are divided by a coverage (CL_OBS_STATUS G).
    adjustment
        Factor by which all estimates were scaled to the national total; 1 if none is known.
    total_sd, total_freedom
        As `sd` and `freedom`, of the sum over zones.
    tau
        Standard deviation between zones beside the covariates.
    share_sd, share_sd_nation
        Drift of market shares that was reckoned with.
    used
        Which operators are in the sums, bool of shape (operators,).
    warnings
        What contradicts the assumptions.
    notes
        What a reader must know besides: who is not in the sums, where growth comes from.
    parts
        What the errors are made of; None where sums over zones are not asked for.
    """

    estimate: Values
    sd: Values
    freedom: Values
    tails: Values
    beside: Values
    gamma: Values
    noise_share: Values
    imputed: Mask
    experimental: Mask
    adjustment: float
    total_sd: float
    total_freedom: float
    tau: float
    share_sd: Drift
    share_sd_nation: Drift
    used: Mask
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    parts: Parts | None = None

    def of(self, membership: Values) -> Residents:
        """Return the residents of areas that are sums of zones.

        Parameters
        ----------
        membership
            0 or 1, float64 of shape (areas, zones).

        Raises
        ------
        ValueError
            If it is not known what the errors are made of.
        """
        if self.parts is None:
            raise ValueError("sums need to know what the errors of zones are made of")
        estimate = membership @ self.estimate
        inside = membership * self.estimate
        share = inside / np.where(estimate > 0, estimate, 1.0)[:, None]
        variance = self.parts.of(share, self.estimate / self.estimate.sum())
        zones = membership.sum(axis=1)
        mean = np.where(estimate[:, None] > 0, share, membership / zones[:, None])
        noise = (share * self.sd) ** 2 @ self.noise_share
        return replace(
            self,
            estimate=estimate,
            sd=np.sqrt(variance),
            freedom=welch(variance, self.parts.uncertain, self.parts.freedom),
            # Sums of several zones are nearer to normal than each is.
            tails=np.where(zones > 1, np.inf, self.tails[membership.argmax(axis=1)]),
            beside=np.sqrt(membership @ self.beside**2),
            gamma=mean @ self.gamma,
            noise_share=np.minimum(noise / np.where(variance > 0, variance, np.inf), 1.0),
            imputed=np.asarray((membership @ ~self.imputed) == 0),
            experimental=np.asarray((membership @ ~self.experimental) == 0),
        )

    def interval(self, level: float) -> tuple[Values, Values]:
        """Return the lower and upper ends of intervals of a confidence level; none is below zero."""
        reach = np.exp(quantile(level, self.freedom) * _stretch(level, self.tails) * self.sd)
        beside = norm.ppf(0.5 + level / 2) * self.beside
        return np.maximum(self.estimate / reach - beside, 0.0), self.estimate * reach + beside

    def total_interval(self, level: float) -> tuple[float, float]:
        """Return the interval of the sum over zones."""
        total = float(self.estimate.sum())
        reach = float(np.exp(quantile(level, np.array(self.total_freedom)) * self.total_sd))
        return total / reach, total * reach


def _stretch(level: float, tails: Values) -> Values:
    """Return how much longer an interval is than that of a normal error with the same variance."""
    finite = np.isfinite(tails)
    told = np.where(finite, tails, 5.0)
    scaled = student.ppf(0.5 + level / 2, told) * np.sqrt((told - 2) / told)
    return np.asarray(np.where(finite, scaled / norm.ppf(0.5 + level / 2), 1.0))


def heavier(tails: float, part: Values) -> Values:
    """Return the degrees of freedom of a sum of which one part of the variance has heavy tails, by kurtosis.

    Parameters
    ----------
    tails
        Degrees of freedom of the heavy part, above 4; infinite if it is normal.
    part
        Of the variance that is heavy, from 0 to 1.
    """
    if not np.isfinite(tails):
        return np.full(part.shape, np.inf)
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(4.0 + (tails - 4.0) / part**2)


def welch(variance: Values, uncertain: float, freedom: float) -> Values:
    """Return degrees of freedom of a sum of which one part is known with few (Welch 1947, Biometrika 34, 28-35)."""
    if uncertain <= 0 or not np.isfinite(freedom):
        return np.full(variance.shape, np.inf)
    return np.asarray(freedom * (variance / uncertain) ** 2)


@dataclass(frozen=True)
class Total:
    """A national total, and the standard deviation of its logarithm: zero if it is known exactly."""

    value: float
    sd: float = 0.0

    @classmethod
    def of(cls, known: float | Total | None) -> Total | None:
        """Return what is known as a total; a number is known exactly."""
        return known if known is None or isinstance(known, Total) else cls(float(known))


@dataclass(frozen=True)
class Errors:
    """Variances of logarithms.

    Attributes
    ----------
    own
        Of every zone alone, m, float64 of shape (zones,).
    whole
        Of the sum of these, Σ w²m and what zones have in common through the model.
    common
        Of what all zones share and few degrees of freedom tell.
    known
        Of what all zones share and is known well.
    """

    own: Values
    whole: float
    common: float
    known: float = 0.0

    @property
    def zones(self) -> Values:
        """Of every zone."""
        return np.asarray(self.own + self.common + self.known)

    @property
    def total(self) -> float:
        """Of the sum over zones."""
        return self.whole + self.common + self.known


def pull_of(errors: Errors, total: Total | None) -> float:
    """Return α: how far a total draws the sum to itself, 0 without one and 1 if it is known exactly."""
    if total is None:
        return 0.0
    variance = total.sd**2
    return 1.0 if variance <= 0 else errors.total / (errors.total + variance)


def benchmark(estimate: Values, errors: Errors, total: Total | None) -> tuple[float, Errors]:
    """Return the factor that draws estimates to a total, and the errors that remain.

    Parameters
    ----------
    estimate
        Persons, float64 of shape (zones,).
    errors
        Of these.
    total
        If one is known.
    """
    if total is None:
        return 1.0, errors
    summed = float(estimate.sum())
    weights, variance = estimate / summed, total.sd**2
    pull = pull_of(errors, total)
    own = errors.own * (1 - 2 * pull * weights) + pull**2 * float(weights**2 @ errors.own)
    rest = (1 - pull) ** 2
    return (total.value / summed) ** pull, Errors(
        np.maximum(own, 0.0),
        rest * errors.whole,
        rest * errors.common,
        rest * errors.known + pull**2 * variance,
    )
