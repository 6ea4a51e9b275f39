"""How far noise of differential privacy reaches: intervals of sums of counts whose only error is their noise.

The noise of k operators is N = N₁ + … + N_k, independent, with the probability of a single one proportional to
exp(−x²/(2σ²)) (discrete Gaussian: Canonne, Kamath and Steinke 2020, "The discrete Gaussian for differential privacy",
NeurIPS 33) or exp(−|x|/b) (discrete Laplace). Its distribution is the k-fold convolution, here by Fourier transform
on whole numbers up to 14 standard deviations, beyond which is less than 10⁻⁷ of it; the reach of an interval is

    h = min{h : P(|N| ≤ h) ≥ level}.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.stats import norm

from privacy.noise import variance
from privacy.sampler.exact import Distribution

#: Standard deviations to each side; beyond so many whole numbers noise is as good as normal.
_DEVIATIONS, _MOST = 14, 2**22


def reach(noise: Distribution, operators: int, level: float) -> int:
    """Return h, so that counts that are exact but for the sum of the operators' noise are within h at the level.

    Parameters
    ----------
    noise
        Of one operator.
    operators
        How many have noise of their own, 1 or more.
    level
        Chance that the interval holds the truth, between 0 and 1.
    """
    deviation = math.sqrt(operators * variance(noise))
    most = math.ceil(_DEVIATIONS * deviation) + 1
    if most > _MOST:
        return math.ceil(deviation * float(norm.ppf(0.5 + level / 2)))
    chance = _distribution(noise, operators, most)
    inside = 2.0 * np.cumsum(chance) - chance[0]
    return int(np.searchsorted(inside, level))


def _distribution(noise: Distribution, operators: int, most: int) -> NDArray[np.float64]:
    """Return the probabilities of 0, 1, … `most`, float64 of shape (most + 1,)."""
    size = next_fast_len(2 * most + 1, real=True)
    away = np.minimum(np.arange(size), size - np.arange(size)).astype(np.float64)
    scale = float(noise.scale)
    single = np.exp(-(away**2) / (2 * scale**2) if noise.kind == "gaussian" else -away / scale)
    whole: NDArray[np.float64] = irfft(rfft(single / single.sum()) ** operators, size)
    return np.maximum(whole[: most + 1], 0.0)
