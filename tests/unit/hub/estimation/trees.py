"""Random trees, and least squares by other means than those that are tested."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.estimation.tree import Tree

Values = NDArray[np.float64]


@st.composite
def trees(draw: st.DrawFn, largest: int = 12) -> Tree:
    """Draw a tree of at least one node, of any shape."""
    size = draw(st.integers(1, largest))
    free = sorted(draw(st.lists(st.integers(0, largest), min_size=size - 1, max_size=size - 1)))
    return Tree(np.array([-1] + [min(chosen, index) for index, chosen in enumerate(free)], dtype=np.int64))


def design(tree: Tree) -> NDArray[np.int64]:
    """Return which leaves are below which node, 0 or 1, of shape (nodes, leaves)."""
    leaves = [node for node in range(tree.size) if node not in set(tree.parent.tolist())]
    found = np.zeros((tree.size, len(leaves)), dtype=np.int64)
    for column, leaf in enumerate(leaves):
        node = leaf
        while node >= 0:
            found[node, column] = 1
            node = int(tree.parent[node])
    return found


def textbook(tree: Tree, measured: Values, variance: Values) -> tuple[Values, Values, NDArray[np.bool_]]:
    """Return all nodes, their covariance, and which of them are determined, by pseudo-inverses."""
    whole, seen = design(tree).astype(np.float64), np.isfinite(variance)
    part = whole[seen] / np.sqrt(variance[seen])[:, None]
    inverse = np.linalg.pinv(part)
    found = whole @ inverse @ (measured[seen] / np.sqrt(variance[seen]))
    told = np.abs(whole @ (np.eye(whole.shape[1]) - inverse @ part)).max(axis=1, initial=0.0) < 1e-8
    return found, whole @ inverse @ inverse.T @ whole.T, told


def exact(
    tree: Tree, measured: Sequence[Fraction], variance: Sequence[Fraction]
) -> tuple[list[Fraction], list[list[Fraction]]]:
    """Return all nodes and their covariance by the normal equations in fractions."""
    whole = [[Fraction(int(entry)) for entry in row] for row in design(tree)]
    leaves, nodes = range(len(whole[0])), range(tree.size)
    system = [
        [sum((whole[n][i] * whole[n][j] / variance[n] for n in nodes), Fraction(0)) for j in leaves]
        + [Fraction(int(i == j)) for j in leaves]
        for i in leaves
    ]
    for pivot in leaves:
        # Positive definite, so no pivot is zero.
        system[pivot] = [entry / system[pivot][pivot] for entry in system[pivot]]
        for row in leaves:
            if row != pivot:
                factor = system[row][pivot]
                system[row] = [a - factor * b for a, b in zip(system[row], system[pivot], strict=True)]
    inverse = [row[len(whole[0]) :] for row in system]
    score = [sum((whole[n][i] * measured[n] / variance[n] for n in nodes), Fraction(0)) for i in leaves]
    zones = [sum((inverse[i][j] * score[j] for j in leaves), Fraction(0)) for i in leaves]
    values = [sum((whole[n][i] * zones[i] for i in leaves), Fraction(0)) for n in nodes]
    half = [[sum((whole[n][i] * inverse[i][j] for i in leaves), Fraction(0)) for j in leaves] for n in nodes]
    spread = [[sum((half[n][j] * whole[m][j] for j in leaves), Fraction(0)) for m in nodes] for n in nodes]
    return values, spread
