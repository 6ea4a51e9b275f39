r"""Controlled rounding: whole numbers that add up exactly, each the floor or the ceiling of its estimate.

Every cell is rounded up with the probability of its fractional part, so that any sum of published cells, also one
that nobody foresaw, is right in expectation (Cox 1987, "A constructive procedure for unbiased controlled rounding",
JASA 82, 520-524). Rounding to the nearest number instead would lose all flows of .3 persons, however many there are.
The chance is the caller's generator: seeded by the name of a release it makes the same table again. Its variance is
at most 1/4 in a cell.

Trees, from the top: the parent is up or down already, and the systematic sample (Madow 1949, Annals of Mathematical
Statistics 20, 333-354) with one uniform start, restricted to the starts that agree with the parent, says which
children go up. Two-way tables: the smallest binary digit of all fractional parts is rounded away, then the next one;
cells that have it are as many in each row and column as makes pairs, which join to cycles, and along each of them a
coin decides whether the first or the second of every two goes up (Doerr, Friedrich, Klein and Osbild 2006, "Unbiased
matrix rounding", SWAT, LNCS 4059, 102-112). Cox's own procedure takes a cycle by cell, this one takes a pass by
digit.

Fractions are taken to 2⁻³⁰; a sum that lies within some 10⁻⁶ of a whole number is that number, and columns in which
the chance of 2⁻³⁰ says otherwise are drawn again.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from hub.estimation.tree import Families, Tree

Values = NDArray[np.float64]
Counts = NDArray[np.int64]
_DIGITS = 30
_ONE = 1 << _DIGITS
#: Above it sums would not fit into 63 bits.
LARGEST = 2.0**32
#: What arithmetic may have lost of a sum: of a small one, and for each person in it.
_LOST, _LOST_BY_SIZE = 1e-6, 1e-10


def round_tree(tree: Tree, value: Values, chance: Generator) -> Counts:
    """Return whole numbers for all nodes of a tree; parents are exactly the sums of their children.

    Parameters
    ----------
    tree
        The tree.
    value
        Estimates that add up, float64 of shape (nodes, columns). Columns are rounded independently.
    chance
        Where the random starts come from.

    Returns
    -------
    int64 of shape (nodes, columns).

    Raises
    ------
    ValueError
        If values are not finite, too large, of another shape, or do not add up to 10⁻⁶.
    """
    if value.ndim != 2 or value.shape[0] != tree.size:
        raise ValueError(f"{tree.size} nodes, but values {value.shape}")
    fixed = tree.summed(_fixed(value))
    if (np.abs(fixed / _ONE - value) > _lost(value)).any():
        raise ValueError("values to be rounded do not add up")
    found = np.empty(value.shape, np.int64)
    again: NDArray[np.bool_] = np.ones(value.shape[1], np.bool_)
    while again.any():
        found[:, again] = _drawn(tree, fixed[:, again], chance)
        again = np.asarray(~_near(found, value).all(axis=0))
    return found


def _drawn(tree: Tree, fixed: Counts, chance: Generator) -> Counts:
    """Round once, from the root to the leaves."""
    found, fraction = fixed >> _DIGITS, fixed & (_ONE - 1)
    start = _start(np.ones_like(fraction[:1]), np.full_like(fraction[:1], _ONE), chance)
    up = np.zeros_like(found)
    up[0] = start[0] < fraction[0]
    for piece in tree.families:
        up[piece.nodes] = _sampled(piece, fraction[piece.nodes], up[piece.parents], chance)
    return np.asarray(found + up)


def _sampled(piece: Families, fraction: Counts, parent_up: Counts, chance: Generator) -> Counts:
    """Return which of the nodes go up, 0 or 1, so that as many do as their parents say."""
    start = _start(parent_up, piece.total(fraction) & (_ONE - 1), chance)[piece.group]
    ends = np.cumsum(fraction, axis=0)
    ends -= (ends[piece.starts] - fraction[piece.starts])[piece.group]
    # Points start, start + 1, ... (in units of _ONE) below the end of a node's part, and below its beginning.
    return np.asarray(
        ((ends - start - 1 + _ONE) >> _DIGITS) - ((ends - fraction - start - 1 + _ONE) >> _DIGITS)
    )


def _start(up: Counts, fraction: Counts, chance: Generator) -> Counts:
    """Return a start below the fraction if the parent went up, and not below it otherwise."""
    low, high = np.where(up, 0, fraction), np.where(up, fraction, _ONE)
    return np.asarray(np.minimum(low + (chance.random(up.shape) * (high - low)).astype(np.int64), high - 1))


def round_table(value: Values, chance: Generator) -> Counts:
    """Return whole numbers for a two-way table; its row sums, column sums and grand total are rounded likewise.

    Parameters
    ----------
    value
        Estimates, float64 of shape (rows, columns).
    chance
        Where the coins come from.

    Returns
    -------
    int64 of shape (rows, columns); every sum of a row or column and the grand total are the floor or the ceiling of
    those of `value`.

    Raises
    ------
    ValueError
        If values are not finite or too large.
    """
    fixed = _fixed(value)
    while True:
        found = (fixed >> _DIGITS) + _digits_away(_bordered(fixed & (_ONE - 1)), chance)[:-1, :-1]
        sums = [(found.sum(axis=axis), value.sum(axis=axis)) for axis in (0, 1, None)]
        if all(_near(*pair).all() for pair in [(found, value), *sums]):
            return np.asarray(found)


def _bordered(fraction: Counts) -> Counts:
    """Return fractions with one more row and column that make the sum of every row and column whole."""
    table = np.zeros((fraction.shape[0] + 1, fraction.shape[1] + 1), np.int64)
    table[:-1, :-1] = fraction
    table[:-1, -1] = -fraction.sum(axis=1) & (_ONE - 1)
    table[-1] = -table.sum(axis=0) & (_ONE - 1)
    return table


def _digits_away(table: Counts, chance: Generator) -> Counts:
    """Return 0 or 1 for fractions in units of 2⁻³⁰ whose rows and columns have whole sums."""
    columns = table.shape[1]
    flat = table.ravel().copy()
    place = np.empty(flat.size, np.int64)
    for digit in range(_DIGITS):
        odd = np.flatnonzero(flat >> digit & 1)
        place[odd] = np.arange(odd.size)
        # An even number of them is in each row, and in each column, so neighbours pair off within it.
        by_column = place[odd[np.argsort(odd % columns, kind="stable")]]
        partner = np.empty_like(odd)
        partner[by_column[0::2]], partner[by_column[1::2]] = by_column[1::2], by_column[0::2]
        flat[odd] += _signs(partner, chance) << digit
    return flat.reshape(table.shape) >> _DIGITS


def _signs(partner: Counts, chance: Generator) -> Counts:
    """Return 1 or −1, other than that of the partner and of the neighbour 2t ↔ 2t + 1, by one coin for each cycle."""
    size = partner.size
    if size == 0:
        return partner
    neighbour = np.arange(size) ^ 1
    # Two steps along a cycle keep the sign, so each cycle falls into two classes of equal sign.
    graph = sparse.csr_array(
        (np.ones(size, np.int8), partner[neighbour], np.arange(size + 1)), shape=(size, size)
    )
    classes, own = connected_components(graph, directed=False)
    coin = 2 * chance.integers(0, 2, classes) - 1
    other = own[neighbour]
    return np.asarray(np.where(own < other, coin[own], -coin[other]))


def _fixed(value: Values) -> Counts:
    """Return values in units of 2⁻³⁰."""
    if not np.isfinite(value).all() or (np.abs(value).sum(axis=0) > LARGEST).any():
        raise ValueError(f"values to be rounded are not finite, or larger than {LARGEST:g}")
    return np.rint(value * _ONE).astype(np.int64)


def _lost(value: Values) -> Values:
    return np.asarray(_LOST + _LOST_BY_SIZE * np.abs(value))


def _near(found: Counts, value: Values) -> NDArray[np.bool_]:
    """Return which numbers are the floor or the ceiling of the value."""
    lost = _lost(value)
    return np.asarray((found >= np.floor(value + lost)) & (found <= np.ceil(value - lost)))
