r"""Moments of noisy cell counts: sizes, and intersections of two and of three operators, with their exact covariance.

Every operator j counts its persons in the same m cells, c_ij, each with noise of variance v_j. A person of several
operators is in the same cell at all of them, so counts move together just as far as persons are shared. With
d_ij = c_ij − mean_i c_ij and n_S the number of persons that all operators of S have:

    T_ab  = Σ_i d_ia·d_ib,         E T_ab  = n_ab·(m − 1)/m
    T_abc = Σ_i d_ia·d_ib·d_ic,    E T_abc = n_abc·(m − 1)(m − 2)/m²

so n̂_ab = T_ab·m/(m − 1), n̂_abc = T_abc·m²/((m − 1)(m − 2)) are unbiased: m times the k-statistics of the cells (Fisher
1930, Proc. London Math. Soc. 30, 199-238). A fourth moment would hold products of second ones too, and is not used.

Covariances are those of multivariate k-statistics (Kendall and Stuart 1977, The Advanced Theory of Statistics 1,
ch. 13) for cells that are independent, as they are if each set of operators has a Poisson number of persons. Joint
cumulants of a cell are then κ_S = n_S/m, whatever is repeated in S, but κ_aa = n_a/m + v_a. For a fixed number of persons

- the term in κ of all indices falls away: it is the variance of the number itself;
- powers become falling factorials, because the only polynomial in n with a given mean under every Poisson law is that:
  n_S·n_R counts pairs of *different* persons, n_S·n_R − n_S∪R, and so on. Write ⟨…⟩ for such products, noise added.

    Cov(n̂_ab, n̂_cd)   = m²/(m−1) · (⟨κ_ac·κ_bd⟩ + ⟨κ_ad·κ_bc⟩)
    Cov(n̂_ab, n̂_cde)  = m²/(m−1) · Σ over 6 of ⟨κ_ac·κ_bde⟩
    Cov(n̂_abc, n̂_def) = m²/(m−1) · (Σ over 9 of ⟨κ_ad·κ_bcef⟩ + Σ over 9 of ⟨κ_abd·κ_cef⟩)
                        + m³/((m−1)(m−2)) · Σ over 6 of ⟨κ_ad·κ_be·κ_cf⟩

This is exact for any number of persons and cells; sizes n̂_j = Σ_i c_ij have variance m·v_j and no covariance with the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Third moments of fewer cells do not exist.
FEWEST_CELLS = 3
#: Cells that are looked at in one go, so that they stay in the cache.
_BLOCK = 2**15


def subsets(operators: int, size: int) -> list[tuple[int, ...]]:
    """Return all sets of so many operators, in the order of every array over pairs or triples."""
    return list(combinations(range(operators), size))


@dataclass(frozen=True)
class Sums:
    """What a sketch says, all cells added up; the counts may be taken from any origin.

    Attributes
    ----------
    cells
        m.
    sizes
        Σ_i c_ij, float64 of shape (operators,).
    first, second, third
        Σ_i of the counts' distances from an origin of each operator, and of their products over pairs and triples:
        float64 of shape (operators,), (pairs,) and (triples,).
    """

    cells: int
    sizes: Values
    first: Values
    second: Values
    third: Values

    @staticmethod
    def of(counts: Integers) -> Sums:
        """Add up noisy counts.

        Parameters
        ----------
        counts
            One row per operator that answered, int64 of shape (operators, cells).

        Raises
        ------
        ValueError
            If there is no operator, or there are fewer than three cells.
        """
        if counts.ndim != 2 or not counts.shape[0] or counts.shape[1] < FEWEST_CELLS:
            raise ValueError(
                f"a sketch of shape {counts.shape} is not one of operators and three cells or more"
            )
        operators, cells = counts.shape
        sizes = counts.sum(axis=1, dtype=np.int64)
        # Distances from a whole number near the mean are whole and small, so their products add up exactly.
        origin = np.rint(sizes / cells).astype(np.int64)
        pairs, triples = _places(operators)
        second, third = np.zeros(len(pairs)), np.zeros(len(triples))
        for start in range(0, cells, _BLOCK):
            apart = (counts[:, start : start + _BLOCK] - origin[:, None]).astype(np.float64)
            second += (apart @ apart.T)[pairs[:, 0], pairs[:, 1]]
            for place, (a, b) in enumerate(pairs):
                third[triples[:, 3] == place] += apart[b + 1 :] @ (apart[a] * apart[b])
        return Sums(
            cells, sizes.astype(np.float64), (sizes - origin * cells).astype(np.float64), second, third
        )


@dataclass(frozen=True)
class Moments:
    """Unbiased and unshrunk: any of them may be negative.

    Attributes
    ----------
    cells
        m.
    sizes, pairs, triples
        n̂_j, n̂_ab and n̂_abc, float64 of shape (operators,), (pairs,) and (triples,), in the order of `subsets`.
    """

    cells: int
    sizes: Values
    pairs: Values
    triples: Values


def moments(sums: Sums) -> Moments:
    """Return what a sketch says of sizes and intersections."""
    m, first, second = sums.cells, sums.first, sums.second
    pairs, triples = _places(first.size)
    central = second - first[pairs[:, 0]] * first[pairs[:, 1]] / m
    a, b, c, ab, ac, bc = triples.T
    crossed = first[a] * second[bc] + first[b] * second[ac] + first[c] * second[ab]
    cubic = sums.third - crossed / m + 2.0 * first[a] * first[b] * first[c] / m**2
    return Moments(m, sums.sizes, central * m / (m - 1), cubic * m**2 / ((m - 1) * (m - 2)))


def covariance(persons: Values, cells: int, noise: Values) -> Values:
    """Return the covariance of the estimated pairs and triples, in this order.

    Parameters
    ----------
    persons
        n_S of every set S of operators, float64 of shape (2**operators,): that of operators 0 and 2 is at 0b101.
    cells
        m, three or more.
    noise
        v_j, float64 of shape (operators,).

    Returns
    -------
    float64 of shape (pairs + triples, pairs + triples).
    """
    operators = noise.size
    found = np.zeros((len(subsets(operators, 2)) + len(subsets(operators, 3)),) * 2)
    if not found.size:
        return found
    for order, factor in ((2, cells**2 / (cells - 1)), (3, cells**3 / ((cells - 1) * (cells - 2)))):
        terms = _terms(operators, order)
        product = _product(persons / cells, cells, terms.masks, np.append(noise, 0.0)[terms.repeated])
        np.add.at(found, (terms.row, terms.column), factor * product)
    upper = np.triu(found)
    return np.asarray(upper + np.triu(upper, 1).T)


def _product(density: Values, cells: int, masks: Integers, noise: Values) -> Values:
    """Return ⟨Π κ⟩ of two or three cumulants for each term, over different persons."""
    kappa = density[masks] + noise
    a, b = masks[:, 0], masks[:, 1]
    if masks.shape[1] == 2:
        return np.asarray(kappa.prod(axis=1) - density[a | b] / cells)
    c = masks[:, 2]
    same = density[a | b] * kappa[:, 2] + density[a | c] * kappa[:, 1] + density[b | c] * kappa[:, 0]
    return np.asarray(kappa.prod(axis=1) - same / cells + 2.0 * density[a | b | c] / cells**2)


@dataclass(frozen=True)
class _Terms:
    """Products of cumulants: where each is added, of which sets, and whose noise is in each factor (or −1)."""

    row: Integers
    column: Integers
    masks: Integers
    repeated: Integers


Factor = tuple[tuple[int, ...], tuple[int, ...]]


@lru_cache(maxsize=32)
def _terms(operators: int, order: int) -> _Terms:
    """Return all terms of so many factors in the upper triangle of the covariance."""
    sets = subsets(operators, 2) + subsets(operators, 3)
    rows: list[tuple[int, int]] = []
    masks: list[list[int]] = []
    repeated: list[list[int]] = []
    for row, left in enumerate(sets):
        for column in range(row, len(sets)):
            for factors in _factors(left, sets[column], order):
                rows.append((row, column))
                masks.append([sum(1 << one for one in {*mine, *others}) for mine, others in factors])
                repeated.append(
                    [mine[0] if mine == others and len(mine) == 1 else -1 for mine, others in factors]
                )
    places = np.array(rows, dtype=np.int64).reshape(-1, 2)
    shape = (-1, order)
    return _Terms(
        places[:, 0],
        places[:, 1],
        np.array(masks, dtype=np.int64).reshape(shape),
        np.array(repeated, dtype=np.int64).reshape(shape),
    )


def _factors(left: tuple[int, ...], right: tuple[int, ...], order: int) -> Iterator[list[Factor]]:
    """Yield the ways to part two sets into so many blocks, each with members of both."""
    if order == 3:
        if len(left) == len(right) == 3:
            yield from ([((i,), (j,)) for i, j in zip(left, way, strict=True)] for way in permutations(right))
        return
    for mine, left_rest in _parted(left):
        # The order of the blocks does not matter: the first one is that of the first member.
        if left[0] in mine:
            yield from ([(mine, others), (left_rest, rest)] for others, rest in _parted(right))


def _parted(members: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield the ways to part a set into a first block and a second one, neither of them empty."""
    for size in range(1, len(members)):
        for first in combinations(members, size):
            yield first, tuple(one for one in members if one not in first)


@lru_cache(maxsize=32)
def _places(operators: int) -> tuple[Integers, Integers]:
    """Return the pairs, shape (pairs, 2), and the triples with the places of their pairs ab, ac, bc, shape (triples, 6)."""
    pairs = subsets(operators, 2)
    place = {pair: number for number, pair in enumerate(pairs)}
    triples = [(a, b, c, place[a, b], place[a, c], place[b, c]) for a, b, c in subsets(operators, 3)]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2), np.array(triples, dtype=np.int64).reshape(-1, 6)
