"""Choose the contribution bound L privately, on a rehearsal day: a quantile of cells per subscriber.

The bound should leave almost every subscriber whole, say 99 %, without anybody learning who has how many
cells. Candidates are public; the exponential mechanism (McSherry and Talwar 2007) picks one, drawn and
accounted for by OpenDP's noisy maximum. Its zCDP loss is η²/8 for scores of bounded range η (Cesar and
Rogers 2021), which is OpenDP's map.

With q the quantile, let D(c) = q·#{more than c cells} − (1 − q)·#{at most c cells}. A candidate is large
enough when D(c) ≤ 0, and D falls as c grows. The score of candidate j is min(−D(c_j), D(c_{j−1})): it is
positive only where D changes its sign. One subscriber more or less changes every D, and so every score, by
at most max(q, 1 − q). The mechanism returns a score within scale·ln(K/β) of the best with probability 1 − β
(K candidates), so D is raised by that public margin beforehand: what is chosen is then at or above the
quantile with that probability, or it is the largest candidate. OpenDP's own `make_private_quantile` scores by
the distance to the quantile on either side, and so would often stop just below it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opendp.domains import atom_domain, vector_domain
from opendp.measurements import make_noisy_max
from opendp.measures import zero_concentrated_divergence
from opendp.metrics import linf_distance
from opendp.mod import enable_features

from privacy.errors import PrivacyProblem, UsageProblem
from privacy.units import LARGEST, NANO

enable_features("contrib")

PERMILLE = 1000
#: Of the noise on scores; the smallest loss asks for far less.
LARGEST_SCALE = 2**53
LARGEST_CANDIDATE = 2**31 - 1
#: More subscribers than this could overflow the scores.
LARGEST_POPULATION = 2**53 // PERMILLE


@dataclass(frozen=True)
class Choice:
    """What is asked for.

    Attributes
    ----------
    candidates
        Public bounds to choose from, ascending, at least two.
    by_period
        Loss in nano-ρ that is charged to the rehearsal day.
    quantile_permille
        Subscribers that the bound should leave whole, in thousandths.
    error_permille
        β, the probability of ending below the quantile, in thousandths.
    """

    candidates: tuple[int, ...]
    by_period: int
    quantile_permille: int = 990
    error_permille: int = 50

    def __post_init__(self) -> None:
        numbers = (*self.candidates, self.by_period, self.quantile_permille, self.error_permille)
        if any(type(number) is not int for number in numbers):
            raise UsageProblem("candidates, loss, quantile and error are not all whole numbers")
        rising = all(low < high for low, high in zip(self.candidates, self.candidates[1:], strict=False))
        if len(self.candidates) < 2 or not rising:
            raise UsageProblem("candidate bounds are not two or more ascending numbers")
        if not 1 <= self.candidates[0] <= self.candidates[-1] <= LARGEST_CANDIDATE:
            raise UsageProblem(f"candidate bounds are not between 1 and {LARGEST_CANDIDATE}")
        for name, value in (("quantile", self.quantile_permille), ("error", self.error_permille)):
            if not 0 < value < PERMILLE:
                raise UsageProblem(f"a {name} of {value} thousandths is not between 0 and 1000")
        if not 0 < self.by_period <= LARGEST:
            raise UsageProblem(f"a loss of {self.by_period} nano-rho is not between 0 and {LARGEST}")

    @property
    def sensitivity(self) -> int:
        """How far one subscriber moves a score, in thousandths of a subscriber."""
        return max(self.quantile_permille, PERMILLE - self.quantile_permille)


@dataclass(frozen=True)
class Bound:
    """A bound that was chosen.

    Attributes
    ----------
    value
        L.
    largest
        Whether it is the largest candidate; then it may be below the quantile.
    scale
        Of the noise on the scores, in thousandths of a subscriber.
    margin
        Subscribers beyond the quantile that were aimed at, so that noise does not end below it.
    by_period
        Loss to be charged, in nano-ρ; at least what OpenDP's map says, rounded up.
    """

    value: int
    largest: bool
    scale: int
    margin: int
    by_period: int


def mapped_loss(choice: Choice, scale: int) -> int:
    """Return OpenDP's map of the mechanism for one subscriber, in nano-ρ rounded up; else UsageProblem."""
    if type(scale) is not int or not 0 < scale <= LARGEST_SCALE:
        raise UsageProblem(f"a noise scale is not a whole number from 1 to {LARGEST_SCALE}")
    rho = _mechanism(scale).map(choice.sensitivity)
    if not math.isfinite(rho):
        raise UsageProblem(f"a noise scale of {scale} gives no finite loss")
    return math.ceil(Fraction(rho) * NANO)


def calibrate(choice: Choice) -> int:
    """Return the smallest whole scale whose loss by OpenDP's map is at most `choice.by_period`.

    η = 2Δ/scale and ρ = η²/8 give scale² = Δ²/(2ρ).
    """
    squared = Fraction(choice.sensitivity**2 * NANO, 2 * choice.by_period)
    scale = max(1, math.isqrt(int(squared)))
    while mapped_loss(choice, scale) > choice.by_period:
        scale += 1
    return scale


def choose_bound(cells: NDArray[np.int64], choice: Choice) -> Bound:
    """Return a bound that leaves most subscribers whole.

    Parameters
    ----------
    cells
        Number of cells of each subscriber on the rehearsal day, int64 of shape (subscribers,): one number
        for one subscriber. It may be empty.
    choice
        What is asked for.

    Raises
    ------
    PrivacyProblem
        If `cells` is not such a column.
    """
    _require_column(cells)
    scale = calibrate(choice)
    margin = math.ceil(scale * math.log(len(choice.candidates) * PERMILLE / choice.error_permille))
    chosen = int(_mechanism(scale)(scores(cells, choice, margin).tolist()))
    return Bound(
        value=choice.candidates[chosen],
        largest=chosen == len(choice.candidates) - 1,
        scale=scale,
        margin=-(-margin // PERMILLE),
        by_period=choice.by_period,
    )


def scores(cells: NDArray[np.int64], choice: Choice, margin: int) -> NDArray[np.int64]:
    """Return the score of each candidate in thousandths of a subscriber, int64 of shape (candidates,).

    Before the first candidate D counts as positive and after the last as negative, so that some score is
    never negative.
    """
    _require_column(cells)
    short = _differences(cells, choice)[:-1] + margin
    # The first candidate has nothing before it, and the last is chosen when all before it are too small.
    return np.concatenate([-short[:1], np.minimum(-short[1:], short[:-1]), short[-1:]])


def _differences(cells: NDArray[np.int64], choice: Choice) -> NDArray[np.int64]:
    """Return 1000·D of each candidate."""
    bounds = np.asarray(choice.candidates, dtype=np.int64)
    places = np.searchsorted(bounds, cells, side="left")
    at_most = np.cumsum(np.bincount(places, minlength=bounds.size + 1))[:-1].astype(np.int64)
    return choice.quantile_permille * cells.size - PERMILLE * at_most


@lru_cache(maxsize=16)
def _mechanism(scale: int) -> Any:
    """Return OpenDP's noisy maximum over int64 scores."""
    space = vector_domain(atom_domain(T="i64")), linf_distance(T="i64")
    return make_noisy_max(*space, zero_concentrated_divergence(), scale=float(scale))


def _require_column(cells: NDArray[np.int64]) -> None:
    if not isinstance(cells, np.ndarray) or cells.dtype != np.int64 or cells.ndim != 1:
        raise PrivacyProblem("the cells per subscriber are not one int64 column")
    if cells.size > LARGEST_POPULATION or (cells.size and int(cells.min()) < 0):
        raise PrivacyProblem("the cells per subscriber are negative, or there are too many subscribers")
