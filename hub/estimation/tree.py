"""A tree of areas in flat arrays: the nation, its regions, their districts, down to the zones.

Nodes are ordered by depth and siblings stand side by side, so that a sum over the children of every node of a depth
is one call of numpy. An array of parents is in that order if and only if it begins with −1, does not decrease, and
every other parent stands before its child.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quorate.contract.zoning import ZONE, Zoning

Indices = NDArray[np.int64]
#: Parent of the root.
NONE = -1
#: About as many nodes are worked on at once, so that what is in between stays near the processor.
PIECE = 4096


@dataclass(frozen=True, eq=False)
class Families:
    """Nodes of one depth below the root, whole families side by side.

    Attributes
    ----------
    nodes
        Where they are.
    parents
        Their parents, ascending, int64 of shape (groups,).
    starts
        Where the children of each parent begin, counted from the first of the nodes, of the same shape.
    group
        Which of `parents` a node belongs to, int64 of shape (nodes of these families,).
    """

    nodes: slice
    parents: Indices
    starts: Indices
    group: Indices

    def total(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return sums over siblings, shape (groups, ...), of values of shape (nodes of these families, ...)."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=0))


@dataclass(frozen=True, eq=False)
class Tree:
    """A tree with one root.

    Attributes
    ----------
    parent
        Of every node, int64 of shape (nodes,), in the order that the module says.

    Raises
    ------
    ValueError
        If the order is another one; `arranged` finds it.
    """

    parent: Indices

    def __post_init__(self) -> None:
        parent = self.parent
        if parent.ndim != 1 or parent.size == 0 or parent[0] != NONE or (parent[1:] < 0).any():
            raise ValueError("a tree has one root, which is its first node")
        if (parent >= np.arange(parent.size)).any() or (np.diff(parent) < 0).any():
            raise ValueError("nodes are not ordered by depth with siblings side by side")

    @property
    def size(self) -> int:
        """Number of nodes."""
        return self.parent.size

    @cached_property
    def families(self) -> tuple[Families, ...]:
        """All nodes below the root, from the top, in pieces of one depth."""
        found, first = list[Families](), 1
        while first < self.size:
            # All nodes of the depth above stand before `first`, so theirs are the children up to here.
            end = int(np.searchsorted(self.parent, first))
            found += _pieces(self.parent[first:end], first)
            first = end
        return tuple(found)

    @cached_property
    def leaves(self) -> NDArray[np.bool_]:
        """Which nodes have no children, bool of shape (nodes,)."""
        found = np.ones(self.size, dtype=np.bool_)
        found[self.parent[1:]] = False
        return found

    def summed(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values in which every node that has children is their sum.

        Parameters
        ----------
        values
            Of shape (nodes, ...); only those of leaves are read.
        """
        found = values.copy()
        for piece in reversed(self.families):
            found[piece.parents] = piece.total(found[piece.nodes])
        return found


def _pieces(parent: Indices, first: int) -> Iterable[Families]:
    """Yield the families of one depth, whose nodes begin at `first`, in pieces."""
    parents, starts, group = np.unique(parent, return_index=True, return_inverse=True)
    ends = np.append(np.flatnonzero(np.diff(starts // PIECE)) + 1, parents.size)
    begin = 0
    for end in ends:
        left, right = starts[begin], starts[end] if end < parents.size else parent.size
        yield Families(
            slice(first + int(left), first + int(right)),
            parents[begin:end],
            starts[begin:end].astype(np.int64) - left,
            group[left:right].astype(np.int64) - begin,
        )
        begin = end


def arranged(parent: Indices) -> tuple[Tree, Indices]:
    """Return the tree of nodes given in any order, and the order: which given node is where.

    Parameters
    ----------
    parent
        Of every node, −1 for the root, int64 of shape (nodes,). Siblings keep the order that they have.

    Raises
    ------
    ValueError
        If there is not one root, or some node does not hang on it.
    """
    if parent.size == 0 or (parent >= parent.size).any() or (parent < NONE).any():
        raise ValueError("a parent is no node")
    children = np.argsort(parent, kind="stable")
    count = np.bincount(parent + 1, minlength=parent.size + 1)
    first = np.cumsum(count) - count
    order, level = [], np.array([NONE], dtype=np.int64)
    while level.size:
        # The children of each node of the level, one after the other.
        many = count[level + 1]
        within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        level = children[np.repeat(first[level + 1], many) + within]
        order.append(level)
    found = np.concatenate(order)
    if found.size != parent.size:
        raise ValueError("some nodes do not hang on the root")
    place = np.empty(parent.size + 1, dtype=np.int64)
    place[found], place[NONE] = np.arange(parent.size), NONE
    return Tree(place[parent[found]]), found


@dataclass(frozen=True, eq=False)
class AreaTree:
    """A tree whose nodes are the areas of a zoning, below the nation.

    Attributes
    ----------
    tree
        The nation is its root.
    rows
        Nodes of each level in the order of `Zoning.members`, which for zones is the index, int64 of shape (areas,).
    codes
        Code of every node; that of the nation is empty.
    """

    tree: Tree
    rows: dict[str, Indices]
    codes: tuple[str, ...]


def area_tree(zoning: Zoning, levels: Collection[str]) -> AreaTree:
    """Return the tree of a zoning's areas; a level that a zone lacks (Brussels has no province) is skipped.

    Parameters
    ----------
    zoning
        The zoning.
    levels
        Names of those levels of the zoning that the tree has, in any order, the zones among them.

    Raises
    ------
    ValueError
        If a level is unknown, the zones are not among them, or an area lies in two areas of another level: what is
        no tree is a matter of `hub.estimation.constraints`.
    """
    unknown = set(levels) - set(zoning.levels)
    if unknown or ZONE not in levels:
        raise ValueError(f"levels of a tree are some of {zoning.levels}, with {ZONE}, not {sorted(levels)}")
    areas = {level: list(zoning.members(level)) for level in reversed(zoning.levels) if level in levels}
    place = {"": 0}
    for codes in areas.values():
        place.update({code: len(place) + number for number, code in enumerate(codes)})
    parent = np.full(len(place), NONE, dtype=np.int64)
    for child, above in _pairs(zoning, [level for level in zoning.levels if level in levels]):
        if parent[place[child]] not in {NONE, place[above]}:
            raise ValueError(f"the area {child} lies in more than one area of the level above it")
        parent[place[child]] = place[above]
    tree, order = arranged(parent)
    node = np.argsort(order)
    names = list(place)
    rows = {level: node[[place[code] for code in codes]] for level, codes in areas.items()}
    return AreaTree(tree, rows, tuple(names[index] for index in order))


def _pairs(zoning: Zoning, levels: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Yield every area and the one above it, once for each zone in it; the finest level comes first."""
    named = [level for level in levels if level != ZONE]
    for zone in zoning.zones:
        chain = [zone.code, *(zone.parents[level] for level in named if level in zone.parents), ""]
        yield from pairwise(chain)
