"""Discrete Gaussian and discrete Laplace noise over int64 vectors, accounted for by OpenDP.

The scale is found by asking OpenDP's own privacy map, so that its floating-point rounding is on the safe
side: it is raised on the charter's grid until the map says that the loss is at most what was agreed. Small
vectors are noised by OpenDP's own sampler, large ones by the table sampler (privacy.sampler), which draws
from exactly the same distribution; which one it was is part of the result.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from opendp.combinators import make_pureDP_to_zCDP
from opendp.mod import OpenDPException

from privacy.errors import PrivacyProblem, UsageProblem
from privacy.sampler.exact import LARGEST, Distribution
from privacy.sampler.measurement import CHUNK, THREADS, Drawing, opendp_measurement, table_measurement
from privacy.sampler.table import LARGEST_SCALE, SMALLEST_SCALE
from privacy.sensitivity import Declaration, Mechanism, require_mechanism
from privacy.terms import LARGEST_SCALE_MILLI
from privacy.units import NANO, require_nano

Vector = NDArray[np.int64]
Sampler = Literal["opendp", "table"]

#: σ and its grid are whole thousandths.
MILLI = 1000
#: Exact counts above this could overflow sums of several operators in 64 bits.
LARGEST_COUNT = 2**53
#: From this many cells on the table sampler is used.
TABLE_CELLS = 4096


@dataclass(frozen=True)
class Noised:
    """A noised vector.

    Attributes
    ----------
    values
        int64 of shape (cells,).
    sampler
        Which sampler drew the noise.
    """

    values: Vector
    sampler: Sampler


def gaussian(sigma_milli: int) -> Distribution:
    """Return the discrete Gaussian whose variance parameter is σ², σ in thousandths."""
    return _distribution("gaussian", sigma_milli)


def laplace(scale_milli: int) -> Distribution:
    """Return the discrete Laplace distribution with a scale in thousandths."""
    return _distribution("laplace", scale_milli)


def noise_of(mechanism: Mechanism, scale_milli: int) -> Distribution:
    """Return the noise of a mechanism whose scale (σ or b) is given in thousandths."""
    require_mechanism(mechanism)
    return gaussian(scale_milli) if mechanism == "discrete-gaussian" else laplace(scale_milli)


def variance(noise: Distribution) -> float:
    """Return σ² of Gaussian noise and the variance of Laplace noise.

    The variance of the discrete Gaussian is at most σ² (Canonne, Kamath and Steinke 2020, corollary 9); that of
    the discrete Laplace distribution is 1/(cosh(1/b) − 1) = 1/(2·sinh²(1/(2b))), which is below 2b².
    """
    scale = float(noise.scale)
    if noise.kind == "gaussian":
        return scale**2
    # cosh(x) − 1 would lose its digits where b is large, and sinh is finite down to the smallest scale, .001.
    return (1.0 / math.sinh(0.5 / scale)) ** 2 / 2.0


def _distribution(kind: Literal["gaussian", "laplace"], scale_milli: int) -> Distribution:
    if type(scale_milli) is not int or scale_milli > LARGEST * MILLI:
        raise UsageProblem(f"a noise scale is not a whole number of thousandths up to {LARGEST * MILLI}")
    if scale_milli <= 0:
        raise UsageProblem(f"a noise scale of {scale_milli} thousandths is not positive")
    return Distribution(kind, Fraction(scale_milli, MILLI))


def deviation_milli(noise: Distribution) -> int:
    """Return the standard deviation of the noise in thousandths, rounded up."""
    if noise.kind == "gaussian":
        return math.ceil(noise.scale * MILLI)
    return math.ceil(math.sqrt(variance(noise)) * MILLI)


def mapped_loss(declaration: Declaration, noise: Distribution) -> int:
    """Return the zCDP loss of a whole period by OpenDP's privacy map, in nano-ρ rounded up.

    For Laplace noise the map gives ε over L1 distances, and OpenDP's conversion makes ρ = ε²/2 of it.

    Raises
    ------
    UsageProblem
        If OpenDP finds no finite loss.
    """
    try:
        measurement = opendp_measurement(noise)
        if noise.kind == "gaussian":
            rho = measurement.map(_root_up(declaration.period_squared))
        else:
            converted: Any = make_pureDP_to_zCDP(measurement)
            rho = converted.map(declaration.period_absolute)
    except OpenDPException as error:
        raise UsageProblem(f"OpenDP has no loss for noise of scale {float(noise.scale):g}") from error
    if not math.isfinite(rho):
        raise UsageProblem(f"noise of scale {float(noise.scale):g} gives no finite loss")
    return math.ceil(Fraction(rho) * NANO)


def _root_up(squared: int) -> float:
    """Return the square root, rounded up unless exact."""
    root = math.isqrt(squared)
    return float(root) if root * root == squared else math.nextafter(math.sqrt(squared), math.inf)


def calibrate(declaration: Declaration, mechanism: Mechanism, by_period: int, grid_milli: int) -> int:
    """Return the smallest scale on the grid, in thousandths, whose loss by OpenDP's map is at most `by_period`.

    scale² = Δ²/(2ρ), rounded up to the grid: with Δ₂ for the σ of Gaussian noise (Bun and Steinke 2016,
    proposition 1.6; for the discrete Gaussian Canonne, Kamath and Steinke 2020, theorem 4), with Δ₁ for the b
    of Laplace noise. OpenDP's rounding adds a step or two, because doubles are far finer than thousandths up to
    the largest scale.

    Raises
    ------
    UsageProblem
        If grid or loss is out of range, or the scale would be above `privacy.terms.LARGEST_SCALE_MILLI`.
    """
    if type(grid_milli) is not int or grid_milli <= 0:
        raise UsageProblem("the grid of the noise is no whole number of thousandths, or is not positive")
    if type(by_period) is int and by_period <= 0:
        raise UsageProblem(f"a loss of {by_period} nano-rho is not positive")
    require_nano(by_period)
    period, _day = declaration.distances_squared(mechanism)
    squared = Fraction(period * NANO * MILLI**2, 2 * by_period)
    steps = max(1, math.isqrt(int(squared / grid_milli**2)))
    while (steps * grid_milli) ** 2 < squared:
        steps += 1
    while steps * grid_milli <= LARGEST_SCALE_MILLI:
        if mapped_loss(declaration, noise_of(mechanism, steps * grid_milli)) <= by_period:
            return steps * grid_milli
        steps += 1
    raise UsageProblem(
        f"the noise would have a scale above {LARGEST_SCALE_MILLI // MILLI:,}",
        means="no count of people could be read through it",
        todo="declare smaller bounds, a finer grid or a larger rho",
    )


def sampler_for(cells: int, noise: Distribution) -> Sampler:
    """Return which sampler noises a vector: the table for large ones, where the scale allows it."""
    return "table" if cells >= TABLE_CELLS and _in_table(noise) else "opendp"


def _in_table(noise: Distribution) -> bool:
    return SMALLEST_SCALE[noise.kind] <= noise.scale <= LARGEST_SCALE[noise.kind]


def noised(exact: Vector, declaration: Declaration, noise: Distribution, by_period: int) -> Noised:
    """Return the vector with independent noise in every cell.

    Parameters
    ----------
    exact
        One-dimensional int64 vector of counts, not empty; nothing is clipped.
    declaration
        Bounds that the vector was computed under.
    noise
        Distribution of the noise.
    by_period
        Loss that will be charged, in nano-ρ.

    Raises
    ------
    PrivacyProblem
        If the noise is too small for the loss that will be charged, or the vector cannot be noised.
    UsageProblem
        If the loss is not a whole number of nano-ρ in range.
    """
    _require_loss(declaration, noise, by_period)
    _require_vector(exact)
    sampler = sampler_for(exact.size, noise)
    if sampler == "table":
        return Noised(table_measurement(noise)(exact), sampler)
    return Noised(_drawn_by_opendp(exact, noise), sampler)


def _drawn_by_opendp(exact: Vector, noise: Distribution) -> Vector:
    """Return a vector with noise by OpenDP's sampler, in pieces: its lists of Python take some 70 bytes a cell."""
    measurement, values = opendp_measurement(noise), np.empty(exact.size, dtype=np.int64)
    for start in range(0, exact.size, CHUNK):
        values[start : start + CHUNK] = measurement(exact[start : start + CHUNK].tolist())
    return values


def noised_chunks(
    chunks: Iterable[Vector], declaration: Declaration, noise: Distribution, by_period: int
) -> Iterator[Vector]:
    """Return an iterator over a long vector with noise, chunk by chunk, which holds only a few in memory.

    The chunks together are one release: the loss is charged once, for the sensitivity of the whole. They are drawn
    from the table if it is made for the scale, on all threads, otherwise by OpenDP's sampler on one, some
    thousand times slower.

    Parameters
    ----------
    chunks
        Pieces of the vector in order, int64, at least one and none empty. Each is copied, so that an iterator may
        fill the same array again.
    declaration, noise, by_period
        As for `noised`.

    Raises
    ------
    PrivacyProblem, UsageProblem
        As for `noised`: of the loss at once, of a chunk when its turn comes.
    """
    _require_loss(declaration, noise, by_period)
    own = _owned(chunks)
    return _drawn(own, noise) if _in_table(noise) else (_drawn_by_opendp(chunk, noise) for chunk in own)


def _owned(chunks: Iterable[Vector]) -> Iterator[Vector]:
    """Yield copies of the chunks that nobody else can change."""
    number = 0
    for number, chunk in enumerate(chunks, start=1):  # noqa: B007
        _require_vector(chunk)
        yield chunk.copy()
    if not number:
        raise PrivacyProblem(
            "there is nothing to be noised: no chunk at all",
            means="the release would have an empty keyset, and its loss would be charged for nothing",
        )


def _drawn(chunks: Iterator[Vector], noise: Distribution) -> Iterator[Vector]:
    drawing, waiting = Drawing(noise), deque[Future[Vector]]()
    with ThreadPoolExecutor(THREADS) as pool:
        for number, chunk in enumerate(chunks):
            waiting.append(pool.submit(drawing.add, chunk, number))
            if len(waiting) > THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _require_loss(declaration: Declaration, noise: Distribution, by_period: int) -> None:
    # A comparison with NaN is never true: a loss that is no number must not pass for one that is large enough.
    if mapped_loss(declaration, noise) > require_nano(by_period):
        raise PrivacyProblem("the noise is too small for the loss that would be charged")


def _require_vector(exact: Vector) -> None:
    if not isinstance(exact, np.ndarray) or exact.dtype != np.int64 or exact.ndim != 1 or exact.size == 0:
        raise PrivacyProblem("only a one-dimensional, non-empty int64 vector can be noised")
    if int(exact.min()) < -LARGEST_COUNT or int(exact.max()) > LARGEST_COUNT:
        raise PrivacyProblem("a count is out of range for sums in 64 bits")
