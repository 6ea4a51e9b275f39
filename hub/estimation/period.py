"""What operators counted at one date, and the growth of their sums between two dates.

The sum over some operators has the sum of their noise variances; an operator that did not answer is not in it.
Growth is log(Y₁/Y₀), with variance 1/Y₀ + 1/Y₁ by chance and V₀/Y₀² + V₁/Y₁² by noise (delta method, Oehlert 1992).
No logarithm is taken of a sum that is within five standard deviations of its noise: there, nothing was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: A sum counts as measured above so many standard deviations of its noise.
GATE = 5.0


@dataclass(frozen=True)
class Period:
    """What the operators' vectors of one date say.

    Attributes
    ----------
    counts
        Noisy counts, float64 of shape (operators, zones); those of a missing operator are not looked at.
    variance
        Of the noise in a cell of each operator, float64 of shape (operators,), or (operators, zones) where cells
        were added up or split.
    present
        Which operators answered, bool of shape (operators,).
    """

    counts: Values
    variance: Values
    present: Mask

    @property
    def noise(self) -> Values:
        """Variance of the noise in every cell, shape (operators, zones)."""
        by_operator = self.variance.reshape(self.counts.shape[0], -1)
        return np.asarray(np.broadcast_to(by_operator, self.counts.shape))

    def of(self, operators: Mask) -> tuple[Values, Values]:
        """Return the sum over some operators and the variance of its noise, both of shape (zones,)."""
        return self.counts[operators].sum(axis=0), self.noise[operators].sum(axis=0)

    def nation(self) -> Period:
        """Return the sum over zones, as a period of one zone."""
        return Period(self.counts.sum(axis=1, keepdims=True), self.noise.sum(axis=1), self.present)


@dataclass(frozen=True)
class Growth:
    """Growth of a sum (logarithm of a ratio), each array of shape (zones,).

    Attributes
    ----------
    value
        Not a number where it was not measured; so are the variances.
    chance, noise
        Its variance by chance, and by noise of differential privacy.
    """

    value: Values
    chance: Values
    noise: Values


def growth(before: tuple[Values, Values], now: tuple[Values, Values]) -> Growth:
    """Return the growth between two sums, each given with the variance of its noise."""
    (first, noise_first), (second, noise_second) = before, now
    measured = (first > GATE * np.sqrt(noise_first)) & (second > GATE * np.sqrt(noise_second))
    # A zone in which no noise is added is measured only if somebody was counted.
    measured &= (first > 0) & (second > 0)
    first, second = np.where(measured, first, np.nan), np.where(measured, second, np.nan)
    noise = noise_first / first**2 + noise_second / second**2
    return Growth(np.log(second / first), 1 / first + 1 / second, noise)


def by_operator(before: Period, now: Period, both: Mask) -> tuple[Values, Values]:
    """Return the growth of each operator in each zone and its variance, shape (operators in both, zones)."""
    noise_before, noise_now = before.noise, now.noise
    found = [
        growth((before.counts[k], noise_before[k]), (now.counts[k], noise_now[k]))
        for k in np.flatnonzero(both)
    ]
    return np.stack([one.value for one in found]), np.stack([one.chance + one.noise for one in found])


def zone_shares(before: Period, market: Values) -> Values:
    """Return the share of every operator in each zone, as it was counted before, of shape (operators, zones).

    A zone in which the noise is not small, and an operator that was not there, has the national share.

    Parameters
    ----------
    before
        A date.
    market
        National shares, float64 of shape (operators,).
    """
    counted, noise = before.of(before.present)
    seen = np.where(before.present[:, None], before.counts, 0.0) / np.where(counted > 0, counted, 1.0)
    rest = market[~before.present].sum()
    told = np.where(before.present[:, None], np.clip(seen, 0.0, 1.0) * (1.0 - rest), market[:, None])
    shares = np.where(counted > GATE * np.sqrt(noise), told, market[:, None])
    return np.asarray(shares / shares.sum(axis=0))
