r"""Moments of noisy cell counts: sizes of operators, and intersections of two and of three.

Every operator j counts its persons in the same m cells, c_ij, each with noise of variance v_j. A person of several
operators is in the same cell at all of them, so counts move together just as far as persons are shared. With
d_ij = c_ij − mean_i c_ij and n_S the number of persons that all operators of S have:

    T_ab  = Σ_i d_ia·d_ib,         E T_ab  = n_ab·(m − 1)/m
    T_abc = Σ_i d_ia·d_ib·d_ic,    E T_abc = n_abc·(m − 1)(m − 2)/m²

so n̂_ab = T_ab·m/(m − 1) and n̂_abc = T_abc·m²/((m − 1)(m − 2)) are unbiased: m times the k-statistics of the cells
(Fisher 1930, Proc. London Math. Soc. 30, 199-238). A fourth moment would hold products of second ones too, and is not
used.

What they vary and covary by: `hub.estimation.sketch_covariance`. Sizes n̂_j = Σ_i c_ij have variance m·v_j.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

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


@lru_cache(maxsize=32)
def _places(operators: int) -> tuple[Integers, Integers]:
    """Return pairs, shape (pairs, 2), and triples with the places of their pairs ab, ac, bc, shape (triples, 6)."""
    pairs = subsets(operators, 2)
    place = {pair: number for number, pair in enumerate(pairs)}
    triples = [(a, b, c, place[a, b], place[a, c], place[b, c]) for a, b, c in subsets(operators, 3)]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2), np.array(triples, dtype=np.int64).reshape(-1, 6)
