r"""Residents of today, from a register of the past and the growth of noisy counts between the two dates.

1. Y_t = Σ of the operators that are there in *both* periods; their noise variances add.
2. Growth G = log(Y₁/Y₀) of each zone, with variance D = (V₀ + Y₀)/Y₀² + (V₁ + Y₁)/Y₁² + δ²·f + κ²: noise and chance
   of both periods, drift of market shares (`hub.estimation.drift`), and a declared drift of coverage by zone.
3. Empirical Bayes towards the growth that covariates explain (`hub.estimation.blup`): N̂ = N₀·exp(ĝ), drawn to the
   national total if that is known (`hub.estimation.figures`).

Nothing is clipped before a logarithm is taken: a zone whose sum is within five standard deviations of its noise
is not measured at all, gets the growth of the model alone and is flagged as imputed. If too few zones are left,
all have the growth of the country (`hub.estimation.country`). Zones in which nobody was registered:
`hub.estimation.unregistered`. What moves all zones together (national drift of shares and of coverage) does not
enter step 3: it is one more error, correlated fully over zones, which a known national total removes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hub.estimation.areas import Fitted, Surveyed
from hub.estimation.assumed import Assumed, contradicted
from hub.estimation.blup import Areas, Predicted, predict, scatter_of_size
from hub.estimation.bootstrap import bootstrap
from hub.estimation.country import Common, Model, common, model
from hub.estimation.drift import Drift, drift_factor, zone_drift
from hub.estimation.figures import Errors, Parts, Residents, Total, benchmark, heavier, pull_of, welch
from hub.estimation.period import GATE, Growth, Period, by_operator, growth, zone_shares
from hub.estimation.unregistered import Found, unregistered
from privacy.errors import UsageProblem

__all__ = ["GATE", "Assumed", "Period", "Residents", "Total", "residents", "zone_shares"]

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Fewest zones that say something of the drift of shares.
_FEWEST = 10


@dataclass(frozen=True)
class _Seen:
    """What the counts say: which operators are in the sums, their growth, and the drift of their shares."""

    both: Mask
    growth: Growth
    measured: Mask
    share: Drift
    moved: Values


def residents(
    register: Values,
    before: Period,
    now: Period,
    covariates: Values,
    assumed: Assumed,
    *,
    market: Values,
    total: float | Total | None = None,
    register_variance: Values | float = 0.0,
    growth_variance: Values | float = 0.0,
    chance: np.random.Generator | None = None,
) -> Residents:
    """Estimate residents.

    Parameters
    ----------
    register
        Registered persons N₀ at the date of `before`, float64 of shape (zones,); zero where nobody was.
    before, now
        Of the date of the register, and of now.
    covariates
        What growth is explained with, float64 of shape (zones, p); a column of ones among them.
    assumed
        What is declared.
    market
        National market share of every operator, also of those that are missing, float64 of shape (operators,).
    total
        National population now, if it is known; a `Total` if it is known with an uncertainty only. A declared
        national growth of m ± s is the total ΣN₀·exp(m) with the standard deviation s.
    register_variance, growth_variance
        Of the logarithms of N₀ and of the growth of counts in each zone, where the old date was brought to other
        zones (`hub.estimation.linked`).
    chance
        Seeded by the caller. If it is given, and τ is estimated and not told from zero, mean squared errors come from
        a bootstrap: the formula is for a τ̂ that is well inside its range.

    Raises
    ------
    ValueError
        If no operator is there in both periods.
    UsageProblem
        If nobody was registered anywhere, or too few zones were measured and neither τ nor the growth of the
        country is known.
    """
    if not register.sum() > 0:
        raise UsageProblem(
            "nobody is registered anywhere",
            means="there is nothing that could grow",
            todo="estimate from a survey of coverage (hub.estimation.coverage)",
        )
    seen = _seen(register, before, now, market, assumed)
    variance = np.where(
        seen.measured, seen.growth.chance + seen.growth.noise + seen.moved + assumed.kappa_zone**2, np.inf
    )
    variance = variance + growth_variance
    beside = np.broadcast_to(np.asarray(register_variance, dtype=np.float64), register.shape)
    areas = Areas(np.where(seen.measured, seen.growth.value, np.nan), variance, covariates, beside)
    sizes = np.maximum(register, 1.0)
    areas = replace(areas, scatter=beside + _scatter(areas, sizes, assumed) / sizes)
    chosen = model(areas, register, (before, now), assumed.tau, Total.of(total))
    together = common((before, now), market, seen.share.sd, assumed.share_nation, assumed.kappa_nation)
    empty = unregistered(register, before.of(seen.both), now.of(seen.both))
    return _assembled(
        register,
        seen,
        chosen=chosen,
        together=together,
        empty=empty,
        assumed=assumed,
        notes=_who(before, now),
        chance=chance,
    )


def _scatter(areas: Areas, sizes: Values, assumed: Assumed) -> float:
    """Return ω, as declared or as the counts tell it; none if too few zones were measured to tell."""
    if assumed.scatter is not None:
        return assumed.scatter
    seen = np.isfinite(areas.variance)
    if seen.sum() < areas.covariates.shape[1] + _FEWEST:
        return 0.0
    return scatter_of_size(areas.of(seen), sizes[seen])


def _seen(register: Values, before: Period, now: Period, market: Values, assumed: Assumed) -> _Seen:
    both = before.present & now.present
    if not both.any():
        raise ValueError("no operator is there in both periods")
    found = growth(before.of(both), now.of(both))
    share = _zone_drift(before, now, both, assumed)
    return _Seen(
        both=both,
        growth=found,
        # Where nobody was registered growth says nothing of residents.
        measured=np.isfinite(found.value) & (register > 0),
        share=share,
        moved=share.sd**2 * drift_factor(zone_shares(before, market), both),
    )


def _zone_drift(before: Period, now: Period, both: Mask, assumed: Assumed) -> Drift:
    """Return δ of zones: from the operators' disagreement, or as declared if there is none to be seen."""
    grown, noise = by_operator(before, now, both)
    seen = np.isfinite(grown).all(axis=0)
    if grown.shape[0] < 2 or seen.sum() < max(_FEWEST, 2 * grown.shape[0]):
        return Drift(assumed.share_zone, np.inf)
    return Drift(zone_drift(grown[:, seen], noise[:, seen]), float((grown.shape[0] - 1) * (seen.sum() - 1)))


def _who(before: Period, now: Period) -> list[str]:
    """Say which operators answered at one of the dates only; they are in no sum."""
    told = [
        ("at the date of the register", before.present & ~now.present),
        ("now", now.present & ~before.present),
    ]
    return [
        f"operator {k} answered only {when}: its counts are not used"
        for when, only in told
        for k in np.flatnonzero(only)
    ]


def _assembled(
    register: Values,
    seen: _Seen,
    *,
    chosen: Model,
    together: Common,
    empty: Found,
    assumed: Assumed,
    notes: list[str],
    chance: np.random.Generator | None,
) -> Residents:
    found = predict(chosen.fitted, chosen.areas)
    grown = register > 0
    estimate = np.where(grown, register * np.exp(found.value), empty.estimate)
    own = np.where(grown, _mse(found, chosen, chance), empty.mse)
    shared = together.variance if chosen.counted else 0.0
    whole = _whole(estimate, own, found, chosen, grown) + float((empty.beside**2).sum() / estimate.sum() ** 2)
    before = Errors(own, whole, shared)
    adjustment, errors = benchmark(estimate, before, chosen.total)
    variance = errors.zones
    noise = np.where(grown, found.gamma**2 * np.where(seen.measured, seen.growth.noise, 0.0), empty.noise)
    heavy = np.where(grown, (1 - found.gamma) ** 2 * (chosen.fitted.tau**2 + chosen.areas.scatter), 0.0)
    return Residents(
        estimate=estimate * adjustment,
        sd=np.sqrt(variance),
        freedom=welch(variance, errors.common, together.freedom),
        tails=heavier(assumed.tails, _part(heavy, variance)),
        beside=empty.beside * adjustment,
        gamma=np.where(grown, found.gamma, empty.experimental),
        noise_share=_part(noise, variance),
        imputed=np.where(grown, ~seen.measured, ~empty.experimental),
        experimental=empty.experimental,
        adjustment=adjustment,
        total_sd=float(np.sqrt(errors.total)),
        total_freedom=float(welch(np.array(errors.total), errors.common, together.freedom)),
        tau=chosen.fitted.tau,
        share_sd=seen.share,
        share_sd_nation=together.share,
        used=seen.both,
        warnings=contradicted(chosen.fitted, chosen.areas.of(seen.measured), assumed),
        notes=notes + ([chosen.note] if chosen.note else []),
        parts=_parts(own, found, chosen, grown, (pull_of(before, chosen.total), errors, together.freedom)),
    )


def _parts(
    own: Values, found: Predicted, chosen: Model, grown: Mask, left: tuple[float, Errors, float]
) -> Parts:
    """Return what the errors are made of: zones' own, the model's, and what is left of what all zones share."""
    pull, errors, freedom = left
    covariance = chosen.fitted.covariance
    root = np.linalg.cholesky(covariance) if covariance.any() else np.zeros_like(covariance)
    loadings = np.where(grown, 1 - found.gamma, 0.0)[:, None] * (chosen.areas.covariates @ root)
    alone = np.maximum(own - (loadings**2).sum(axis=1), 0.0)
    return Parts(alone, loadings, pull, errors.common + errors.known, errors.common, freedom)


def _mse(found: Predicted, chosen: Model, chance: np.random.Generator | None) -> Values:
    """Return mean squared errors: by formula, or by bootstrap where τ̂² is within its standard error of zero."""
    variance, areas = chosen.fitted.tau**2, chosen.areas
    if chance is None or variance > np.sqrt(chosen.fitted.tau_variance) or chosen.fitted.tau_variance <= 0:
        return found.mse
    count, terms = areas.covariates.shape
    told = Surveyed(
        areas.measured, areas.variance, areas.covariates, np.zeros((count, terms, terms)), areas.scatter
    )
    return bootstrap(Fitted(np.array(variance), chosen.fitted.beta), told, chance).mse


def _part(some: Values, variance: Values) -> Values:
    """Return a part of variances, at most one and zero where there is no variance."""
    return np.asarray(np.minimum(some / np.where(variance > 0, variance, np.inf), 1.0))


def _whole(estimate: Values, own: Values, found: Predicted, chosen: Model, grown: Mask) -> float:
    """Return the variance of the logarithm of the sum: zones' own, and what they have in common through β̂."""
    weights = estimate / estimate.sum()
    of_zones = np.where(grown, weights * (1 - found.gamma), 0.0)[:, None] * chosen.areas.covariates
    together = of_zones.sum(axis=0)
    # Each zone's own part of that is in its mean squared error.
    counted = ((of_zones @ chosen.fitted.covariance) * of_zones).sum()
    return float(weights**2 @ own + together @ chosen.fitted.covariance @ together - counted)
