r"""Exact covariance of the intersections that union sketches measure.

Covariances of m times the k-statistics of m cells are those of multivariate k-statistics (Kendall and Stuart
1977, The Advanced Theory of Statistics 1, ch. 13), where cells are independent, as they are if each set of
operators has a Poisson number of persons. Joint cumulants of a cell are then κ_S = n_S/m, whatever is repeated
in S, but κ_aa = n_a/m + v_a. For a fixed number of persons

- the term in κ of all indices falls away: it is the variance of that number itself;
- powers become falling factorials, because only one polynomial in n has a given mean under every Poisson law: n_S·n_R
  counts pairs of *different* persons, n_S·n_R − n_S∪R, and so on. Write ⟨…⟩ for such products, noise added.

    Cov(n̂_ab, n̂_cd)   = m²/(m−1) · (⟨κ_ac·κ_bd⟩ + ⟨κ_ad·κ_bc⟩)
    Cov(n̂_ab, n̂_cde)  = m²/(m−1) · Σ over 6 of ⟨κ_ac·κ_bde⟩
    Cov(n̂_abc, n̂_def) = m²/(m−1) · (Σ over 9 of ⟨κ_ad·κ_bcef⟩ + Σ over 9 of ⟨κ_abd·κ_cef⟩)
                        + m³/((m−1)(m−2)) · Σ over 6 of ⟨κ_ad·κ_be·κ_cf⟩

This is exact for any number of persons and cells. With many of both, the variances are nearly m·(s_a·s_b +
(n_ab/m)²) and m·s_a·s_b·s_c, s_j = n_j/m + v_j. Sizes have no covariance with intersections: only noise moves
them, and its sum over cells is not correlated with its distances from its mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, permutations

import numpy as np

from hub.estimation.sketch import Integers, Values, subsets


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


def _factors(left: tuple[int, ...], right: tuple[int, ...], order: int) -> Iterator[Sequence[Factor]]:
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
