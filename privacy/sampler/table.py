"""Inversion of a cumulative table, vectorised: exact draws at a few nanoseconds a cell.

A draw is a uniform real U in [0, 1) whose bits are revealed as far as they are needed; its value is the x
with P(X < x) ≤ U < P(X < x + 1). 64 bits decide nearly every draw: all reals that begin with these bits lie
between the same two bounds. A draw whose bits equal the first bits of a bound, in the middle or in the far
tail, is *tied* and goes on with more bits, at higher precision, until it is decided. So no probability is
rounded and the support is not cut.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from privacy.errors import UsageProblem
from privacy.sampler.exact import Distribution, Tails, tails

Words = Callable[[int], NDArray[np.uint64]]
"""Returns so many fresh uniform 64-bit words."""

WORD = 64
GUIDE_BITS = 18
_UNDECIDED = np.iinfo(np.int16).min
_FIRST_PRECISION = 400
#: Smallest and largest scale for which the table is used.
SMALLEST_SCALE = {"gaussian": Fraction(3, 10), "laplace": Fraction(3, 10)}
LARGEST_SCALE = {"gaussian": Fraction(2000), "laplace": Fraction(500)}


@lru_cache(maxsize=16)
def table_of(distribution: Distribution) -> Table:
    """Return the table of a distribution; made once, in up to half a second."""
    return Table(distribution)


class Table:
    """Draws from one distribution.

    Parameters
    ----------
    distribution
        With a scale between `SMALLEST_SCALE` and `LARGEST_SCALE`.

    Raises
    ------
    UsageProblem
        If the scale is outside.
    """

    def __init__(self, distribution: Distribution) -> None:
        kind, scale = distribution.kind, distribution.scale
        if not SMALLEST_SCALE[kind] <= scale <= LARGEST_SCALE[kind]:
            smallest, largest = float(SMALLEST_SCALE[kind]), float(LARGEST_SCALE[kind])
            raise UsageProblem(
                f"a scale of {float(scale):g} is outside the table sampler's range {smallest} to {largest}",
                todo="use a scale inside it, or OpenDP's own sampler",
            )
        self.distribution = distribution
        found = tails(distribution, _FIRST_PRECISION)
        bounds, self._lowest = _first_words(found)
        self._bounds = np.array(bounds, dtype=np.uint64)
        self._guide = self._make_guide()

    def _make_guide(self) -> NDArray[np.int16]:
        """Return, by the first bits of a word, the one value that it must have, or a mark if several."""
        shift = np.uint64(WORD - GUIDE_BITS)
        starts = np.arange(1 << GUIDE_BITS, dtype=np.uint64) << shift
        ends = starts | np.uint64((1 << (WORD - GUIDE_BITS)) - 1)
        first = np.searchsorted(self._bounds, starts, side="left")
        behind = np.searchsorted(self._bounds, ends, side="right")
        return np.where(first == behind, first + self._lowest, _UNDECIDED).astype(np.int16)

    def draw(self, words: NDArray[np.uint64], more: Words) -> NDArray[np.int16] | NDArray[np.int64]:
        """Return one draw per word.

        Parameters
        ----------
        words
            Uniform words, uint64 of shape (n,).
        more
            Source of further words for tied draws.

        Returns
        -------
        ndarray
            int16 of shape (n,); int64 where a draw was tied, which can then have any value.
        """
        drawn: NDArray[np.int16] | NDArray[np.int64]
        drawn = self._guide.take((words >> np.uint64(WORD - GUIDE_BITS)).view(np.int64))
        undecided = np.flatnonzero(drawn == _UNDECIDED)
        if undecided.size:
            rest = words[undecided]
            index = np.searchsorted(self._bounds, rest, side="left")
            drawn[undecided] = index + self._lowest
            tied = self._bounds.take(index, mode="clip") == rest
            if tied.any():
                drawn = drawn.astype(np.int64)
            for place, word in zip(undecided[tied].tolist(), rest[tied].tolist(), strict=True):
                drawn[place] = self._resolve(word, more)
        return drawn

    def _resolve(self, word: int, more: Words) -> int:
        """Decide a tied draw with as many further words as it takes."""
        revealed, count, precision = word, 1, _FIRST_PRECISION
        while True:
            revealed, count = revealed << WORD | int(more(1)[0]), count + 1
            if count * WORD + WORD > precision:
                precision *= 2
            value = decide(tails(self.distribution, precision), revealed, count * WORD)
            if value is not None:
                return value


def decide(found: Tails, revealed: int, bits: int) -> int | None:
    """Return the value of a draw whose first `bits` bits are `revealed`, or None if they do not decide it.

    Parameters
    ----------
    found
        Enclosed probabilities, of higher precision than `bits`.
    revealed
        The first bits of U, as an integer.
    bits
        Number of bits that are revealed.
    """
    unit = found.bits - bits
    low, high = revealed << unit, (revealed + 1) << unit
    edge = len(found.at_least)
    candidates = range(-edge, edge + 2)
    # The largest x with P(X < x) certainly ≤ U; the draw is x if P(X < x + 1) is certainly above.
    x = bisect_right(candidates, low, key=lambda value: found.below(value)[1]) - 1 - edge
    if x < -edge or x > edge:
        return None
    return x if found.below(x + 1)[0] >= high else None


def _first_words(found: Tails) -> tuple[list[int], int]:
    """Return the first words of the bounds P(X < x), ascending, and the value below the first of them.

    The first and the last bound have the words 0 and 2⁶⁴ − 1, so that the far tails are ties.
    """
    shift, last = found.bits - WORD, (1 << WORD) - 1
    edge = next(x for x in range(1, len(found.at_least) + 2) if found.below(-x)[1] >> shift == 0)
    bounds = [(found.below(x)[0] >> shift, found.below(x)[1] >> shift) for x in range(-edge, edge + 2)]
    if any(low != high for low, high in bounds[:-1]):
        raise ArithmeticError("the precision of the table does not suffice for its first words")
    return [min(low, last) for low, _high in bounds], -edge - 1
