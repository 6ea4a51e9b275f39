r"""Zones in which nobody was registered: a new zone, or one without residents then.

There is nothing to grow from: N₀ = 0. What is counted there now beyond what was counted then are new people, seen
with the coverage of other zones,

    N̂ = (Y₁ − Y₀)/c·exp(−v/2),    log c_z = log(Y₀z/N₀z) = β + u_z,
    v = Var(log N̂) = (V₀ + V₁ + Y₀ + Y₁)/(Y₁ − Y₀)² + τ_c² + Var(β̂)

with τ_c the spread of coverage between zones (Fay and Herriot 1979, JASA 74, 269-277, with a constant alone). Y₀
are phones that were there without residents (a port, barracks); in a zone on new ground both Y₀ and V₀ are zero.
Such an estimate is experimental (G). If the difference is within five standard deviations, negative ones
included, the estimate is what the register says, zero; it is imputed (I), and √(V₀ + V₁ + Y₀ + Y₁)/c persons is
its standard deviation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation.blup import Areas, fit
from hub.estimation.period import GATE

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Spread of coverage (logarithm) that is assumed where too few zones tell it.
_SPREAD = 0.5


@dataclass(frozen=True)
class Found:
    """What is said of zones in which nobody was registered; each array of shape (zones,), zero in all others.

    Attributes
    ----------
    estimate
        Persons.
    mse, noise
        Variance of the logarithm, and the part of it that is noise of differential privacy.
    beside
        Standard deviation in persons where nobody stands out from the noise.
    experimental
        Where somebody does.
    """

    estimate: Values
    mse: Values
    noise: Values
    beside: Values
    experimental: Mask


def unregistered(register: Values, before: tuple[Values, Values], now: tuple[Values, Values]) -> Found:
    """Estimate the zones in which nobody was registered.

    Parameters
    ----------
    register
        Persons, float64 of shape (zones,).
    before, now
        Sum over operators and the variance of its noise, both float64 of shape (zones,).
    """
    empty, nothing = register <= 0, np.zeros(register.shape)
    if not empty.any():
        return Found(nothing, nothing, nothing, nothing, empty)
    (first, noise_first), (second, noise_second) = before, now
    noise = noise_first + noise_second
    variance = noise + np.maximum(first, 0.0) + np.maximum(second, 0.0)
    new = second - first
    stands_out = empty & (new > GATE * np.sqrt(variance)) & (new > 0)
    coverage, spread = usual_coverage(register, first, noise_first)
    beyond = np.where(stands_out, new, 1.0)
    mse = np.where(stands_out, variance / beyond**2 + spread, 0.0)
    return Found(
        # Right on average as a number of persons, not as its logarithm: sums over zones must be right.
        estimate=np.where(stands_out, beyond / coverage * np.exp(-mse / 2), 0.0),
        mse=mse,
        noise=np.where(stands_out, noise / beyond**2, 0.0),
        beside=np.where(empty & ~stands_out, np.sqrt(variance) / coverage, 0.0),
        experimental=stands_out,
    )


def usual_coverage(register: Values, counted: Values, noise: Values) -> tuple[float, float]:
    """Return the usual number of phones by registered person, and the variance of its logarithm between zones.

    Parameters
    ----------
    register
        Persons, float64 of shape (zones,).
    counted, noise
        Sum over operators and the variance of its noise, float64 of shape (zones,).
    """
    told = (register > 0) & (counted > GATE * np.sqrt(noise)) & (counted > 0)
    if told.sum() < 2:
        summed = float(counted[register > 0].sum())
        # Where nothing is counted at all, one phone by person.
        known = register.sum() > 0 and summed > GATE * np.sqrt(float(noise.sum())) and summed > 0
        return (summed / float(register.sum()) if known else 1.0), _SPREAD**2
    seen, persons = counted[told], register[told]
    areas = Areas(
        np.log(seen / persons), noise[told] / seen**2 + 1 / seen, np.ones((seen.size, 1)), np.zeros(seen.size)
    )
    fitted = fit(areas)
    return float(np.exp(fitted.beta[0])), float(fitted.tau**2 + fitted.covariance[0, 0])
