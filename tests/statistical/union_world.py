"""Operators that share persons, and the sums of their sketches drawn cell by cell.

Persons of each exact set of operators fall into cells independently, a Poisson number in each cell. Given their
total, which is the truth of the replication, that is just a fixed number of persons and a uniform hash. Cells
are added up as they are drawn and never stored; the estimator looks at those sums alone
(`hub.estimation.sketch.Sums`).

Draws: alias tables (Walker 1977, ACM Trans. Math. Software 3, 253-256) to 2⁻³² of probability, fed by
SplitMix64 (Steele, Lea and Flood 2014, OOPSLA, 453-472). An operator's own persons and its noise in a cell are
one draw from their product; persons of several operators are a Poisson number in each block of cells, and fall
into its cells at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

from hub.estimation.sketch import Sums, subsets
from privacy.sketch_size import bins_for

Values = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Part of persons with 1, 2, … operators or more.
AT_LEAST = (1.0, 0.12, 0.01, 0.003, 0.0005)
_BLOCK = 2048
_TINY = 1e-14
_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Sharing:
    """A world of operators.

    Attributes
    ----------
    persons
        At one operator, in the mean over operators.
    rho
        Of each sketch.
    sizes
        Relative sizes of operators; a set of operators is chosen by the product of its members'.
    survey
        Persons in the survey that tells of third operators; 0 if there is none, and `declared` is used.
    declared
        Means and standard deviations of the probabilities of going on, where there is no survey.
    drawn
        Whether the truth is drawn from what is declared.
    """

    name: str
    persons: int
    rho: float
    sizes: tuple[float, ...] = (1.0, 1.0, 1.0)
    survey: int = 10_000
    declared: tuple[tuple[float, ...], tuple[float, ...]] = ((0.1,), (0.05,))
    drawn: bool = False

    @property
    def bins(self) -> int:
        """Cells of the sketch."""
        return bins_for(self.persons, self.rho)


@dataclass(frozen=True)
class Drawn:
    """One replication: what the sketch says, and the persons at each exact set of operators."""

    sums: Sums
    by_set: Integers


def sets_of(operators: int) -> list[tuple[int, ...]]:
    """Return all sets of operators, small ones first."""
    return [one for size in range(1, operators + 1) for one in combinations(range(operators), size)]


def expected(world: Sharing, at_least: Values) -> Values:
    """Return the mean number of persons at each exact set, in the order of `sets_of`."""
    k = len(world.sizes)
    exactly = at_least[:k] - np.append(at_least[1:k], 0.0)
    weights = np.array([np.prod([world.sizes[one] for one in members]) for members in sets_of(k)])
    size = np.array([len(members) for members in sets_of(k)])
    share = sum(
        np.where(size == r + 1, weights / weights[size == r + 1].sum(), 0) * exactly[r] for r in range(k)
    )
    return np.asarray(world.persons * k * share / (share @ size))


def noise_pmf(rho: float) -> tuple[Integers, Values]:
    """Return the support and the probabilities of discrete Gaussian noise with σ² = 1/(2ρ)."""
    reach = int(np.ceil(9.0 / np.sqrt(2.0 * rho)))
    support = np.arange(-reach, reach + 1)
    weights = np.exp(-rho * support.astype(np.float64) ** 2)
    return support, weights / weights.sum()


def draw(world: Sharing, means: Values, seed: int) -> Drawn:
    """Draw the sums of one replication's sketches, of three operators or more.

    Parameters
    ----------
    world
        Gives the cells and the noise.
    means
        Expected persons at each exact set, float64 of shape (2**operators - 1,), as `expected` returns them.
    seed
        Of all draws.
    """
    k, m = len(world.sizes), world.bins
    size = min(_BLOCK, m)
    shared = means[k:]
    tables = (*_poisson(float(shared.sum()) * size / m), *alias(shared if shared.size else np.ones(1)))
    members = np.array([[j in one for j in range(k)] for one in sets_of(k)], dtype=np.float64)
    origin = np.rint(means @ members / m)
    own = _stacked(tuple(means[:k] / m), world.rho)
    everything = (own, tables, members[k:])
    first, second, third, by_set = _add(m // size, size, everything, origin, np.uint64(seed))
    pairs, triples = tuple(zip(*subsets(k, 2), strict=True)), tuple(zip(*subsets(k, 3), strict=True))
    sums = Sums(m, first + m * origin, first, second[pairs], third[triples])
    return Drawn(sums, by_set)


Alias = tuple[NDArray[np.uint64], Integers]


def alias(weights: Values) -> Alias:
    """Return a table of thresholds (in units of 2⁻³²) and other places, after Walker and Vose."""
    scaled = weights / weights.sum() * weights.size
    threshold, other = np.ones(weights.size), np.arange(weights.size)
    small = [place for place, part in enumerate(scaled) if part < 1]
    large = [place for place, part in enumerate(scaled) if part >= 1]
    while small and large:
        low, high = small.pop(), large[-1]
        threshold[low], other[low] = scaled[low], high
        scaled[high] -= 1.0 - scaled[low]
        if scaled[high] < 1:
            small.append(large.pop())
    return np.rint(threshold * 2.0**32).astype(np.uint64), other.astype(np.int64)


def _poisson(mean: float) -> Alias:
    return alias(poisson.pmf(np.arange(int(poisson.isf(_TINY, mean)) + 2), mean) if mean else np.ones(1))


@lru_cache(maxsize=8)
def _stacked(means: tuple[float, ...], rho: float) -> tuple[NDArray[np.uint64], Integers, Integers, Values]:
    """Return one alias table of each operator's own persons and noise: thresholds, others, persons, sum of both."""
    support, noise = noise_pmf(rho)
    most = int(max(poisson.isf(_TINY, mean) for mean in means)) + 2
    persons = np.repeat(np.arange(most), support.size)
    tables = [alias(np.outer(poisson.pmf(np.arange(most), mean), noise).ravel()) for mean in means]
    both = persons + np.tile(support, most)
    thresholds, others = np.stack([one[0] for one in tables]), np.stack([one[1] for one in tables])
    return thresholds, others, persons, both.astype(np.float64)


@numba.njit(inline="always")
def _mixed(state):  # type: ignore[no-untyped-def]
    """Return a random number of a state of SplitMix64."""
    z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(inline="always")
def _pick(bits, threshold, other):  # type: ignore[no-untyped-def]
    """Return a place of an alias table; both are read first, so that there is no branch to guess."""
    place = np.int64(((bits >> np.uint64(32)) * np.uint64(threshold.size)) >> np.uint64(32))
    elsewhere = other[place]
    return place if (bits & np.uint64(0xFFFFFFFF)) < threshold[place] else elsewhere


@numba.njit(cache=True, nogil=True)
def _own(state, row, own, j):  # type: ignore[no-untyped-def]
    """Fill an operator's row of a block with its own persons and noise; return their number too."""
    thresholds, others, persons, both = own
    threshold, other, seen = thresholds[j], others[j], 0
    for i in range(row.size):
        state += _STEP
        place = _pick(_mixed(state), threshold, other)
        row[i] = both[place]
        seen += persons[place]
    return state, seen


@numba.njit(cache=True, nogil=True)
def _shared(state, x, tables, members, by_set):  # type: ignore[no-untyped-def]
    """Throw a Poisson number of persons of several operators into the cells of a block."""
    number, other_number, which, other_which = tables
    k, cells = x.shape
    state += _STEP
    for _person in range(_pick(_mixed(state), number, other_number)):
        state += _STEP
        chosen = _pick(_mixed(state), which, other_which)
        state += _STEP
        cell = np.int64(_mixed(state) & np.uint64(cells - 1))
        by_set[k + chosen] += 1
        for j in range(k):
            x[j, cell] += members[chosen, j]
    return state


@numba.njit(fastmath=True, cache=True, nogil=True)
def _products(x, product, first, second, third):  # type: ignore[no-untyped-def]
    """Add the products of a block to the sums; all numbers are whole, so the order does not matter."""
    k, size = x.shape
    for a in range(k):
        first[a] += x[a].sum()
        for b in range(a + 1, k):
            total = 0.0
            for i in range(size):
                product[i] = x[a, i] * x[b, i]
                total += product[i]
            second[a, b] += total
            for c in range(b + 1, k):
                total = 0.0
                for i in range(size):
                    total += product[i] * x[c, i]
                third[a, b, c] += total


@numba.njit(cache=True, nogil=True)
def _add(blocks, size, tables, origin, seed):  # type: ignore[no-untyped-def]
    """Draw so many blocks of cells, their size a power of two, and add up their products."""
    own, shared, members = tables
    state, k = _mixed(seed + _STEP), origin.size
    first, second, third = np.zeros(k), np.zeros((k, k)), np.zeros((k, k, k))
    by_set = np.zeros(k + members.shape[0], np.int64)
    x, product = np.empty((k, size)), np.empty(size)
    for _block in range(blocks):
        for j in range(k):
            state, seen = _own(state, x[j], own, j)
            x[j] -= origin[j]
            by_set[j] += seen
        state = _shared(state, x, shared, members, by_set)
        _products(x, product, first, second, third)
    return first, second, third, by_set
