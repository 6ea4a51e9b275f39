r"""Best linear unbiased estimates of all nodes of a tree that were measured independently, in two passes.

Node v holds x_v = Σ of its children; it was measured as y_v with the variance V_v (infinite: not at all). Upwards,
every node has what its subtree says: z = y, W = V at a leaf; above it, with s = Σ z and S = Σ W over the children,

    z = s + k·(y − s),    k = S/(S + V),    W = k·V.

Downwards, the difference that the parent p learnt from elsewhere is shared out by variance:

    x̃_c = z_c + g_c·(x̃_p − s_p),    g_c = W_c/S_p,    Var(x̃_c) = W_c·(1 − g_c) + g_c²·Var(x̃_p).

This is generalised least squares with all additive constraints, linear in the number of nodes: on trees of equal
branching Hay, Rastogi, Miklau and Suciu 2010 (Proceedings of the VLDB Endowment 3(1), 1021-1032); as smoothing on
trees Chou, Willsky and Benveniste 1994 (IEEE Transactions on Automatic Control 39(3), 464-478); the same estimator
as minimum trace reconciliation with a diagonal covariance (Wickramasuriya, Athanasopoulos and Hyndman 2019, JASA
114, 804-819).

Errors of the children given their parent are e_c − g_c·Σe with independent e of variance W, whence the variance of
any linear function of the nodes, also in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation.tree import Families, Tree

Values = NDArray[np.float64]
#: Two exact values of the same may differ by this share of themselves, which is what arithmetic may lose.
_LOST = 1e-9


@dataclass(frozen=True, eq=False)
class Reconciled:
    """Estimates that add up.

    Attributes
    ----------
    tree
        The tree.
    value
        x̃, float64 of shape (nodes, columns); NaN where the measurements do not determine a node.
    variance
        Of x̃, exact, float64 of shape (nodes, columns), or (nodes, 1) if all columns have the same; infinite where
        the measurements do not determine a node.
    below
        W: variance of what the subtree alone says, of the shape of `variance`; zero if it says nothing.
    share
        g: what a node takes of a change of its parent, of the shape of `variance`; zero for the root.
    """

    tree: Tree
    value: Values
    variance: Values
    below: Values
    share: Values

    def covariance(self, left: Values, right: Values) -> Values:
        """Return the covariance of two linear functions of the nodes.

        Parameters
        ----------
        left, right
            Weights of the nodes in each, float64 of shape (nodes, k), where k or the columns of the variance are 1.

        Returns
        -------
        float64 of shape (k or columns,); NaN where a function is not determined.
        """
        spread = np.zeros(np.broadcast_shapes(left.shape, right.shape, self.variance.shape)[1])
        # What is not determined is told by no node above it.
        lost = np.isinf(self.variance) & (self.share == 0)
        ours, theirs = left + np.zeros_like(spread), right + np.zeros_like(spread)
        for piece in reversed(self.tree.families):
            nodes, sums = piece.nodes, []
            for weights in (ours, theirs):
                sums.append(piece.total(self.share[nodes] * weights[nodes]))
                weights[piece.parents] += sums[-1]
            kept = [
                weights[nodes] - told[piece.group] for weights, told in zip((ours, theirs), sums, strict=True)
            ]
            spread += (self.below[nodes] * kept[0] * kept[1]).sum(axis=0)
        touched = (lost & ((ours != 0) | (theirs != 0))).any(axis=0)
        top = np.where(touched | lost[0], 0.0, self.variance[0])
        return np.where(touched, np.nan, spread + ours[0] * theirs[0] * top)

    def variance_of(self, weights: Values) -> Values:
        """Return the variance of a linear function of the nodes, as `covariance`; infinite where not determined."""
        found = self.covariance(weights, weights)
        return np.where(np.isnan(found), np.inf, found)


def reconcile(tree: Tree, measured: Values, variance: Values) -> Reconciled:
    """Return the best linear unbiased estimate of every node, column by column.

    Parameters
    ----------
    tree
        Areas, or anything else of which parents are the sums.
    measured
        y, float64 of shape (nodes, columns); not read where the variance is infinite.
    variance
        V, float64 of shape (nodes, columns) or (nodes, 1): zero for what is known exactly, infinite for what was not
        measured. Errors are independent.

    Returns
    -------
    A node that its own, higher and lower measurements leave open has the value NaN and an infinite variance.

    Raises
    ------
    ValueError
        If shapes differ, a variance is negative or NaN, a measured value is not finite, or exact values contradict
        each other.
    """
    _checked(tree, measured, variance)
    missing = np.isinf(variance)
    value = np.where(missing, 0.0, measured)
    below = np.where(missing, 0.0, variance)
    sums = [_up(piece, value, below, missing) for piece in reversed(tree.families)]
    spread, share = np.empty_like(below), np.zeros_like(below)
    spread[0] = np.where(missing[0], np.inf, below[0])
    value[0] = np.where(missing[0], np.nan, value[0])
    for piece, (total, variances, gaps) in zip(tree.families, reversed(sums), strict=True):
        nodes = piece.nodes
        share[nodes], alone = _shares(piece, below[nodes], missing[nodes], variances, gaps)
        # A share of zero takes nothing of a parent, not even that it is unknown.
        took = share[nodes] > 0
        change = (value[piece.parents] - total)[piece.group]
        above = np.where(took, spread[piece.parents][piece.group], 0.0)
        spread[nodes] = alone + share[nodes] ** 2 * above
        value[nodes] += np.where(took, share[nodes] * change, 0.0)
        value[nodes] = np.where(np.isinf(spread[nodes]), np.nan, value[nodes])
    return Reconciled(tree, value, spread, below, share)


def _up(
    piece: Families, value: Values, below: Values, missing: NDArray[np.bool_]
) -> tuple[Values, Values, NDArray[np.int64]]:
    """Join what children say to what was measured of their parents, in place.

    Returns
    -------
    Sums over the children of the values and of the variances of those that are told, and how many are not told.
    """
    nodes, parents = piece.nodes, piece.parents
    total, variances = piece.total(value[nodes]), piece.total(below[nodes])
    gaps = piece.total(missing[nodes].astype(np.int64))
    own, told = ~missing[parents], gaps == 0
    both = variances + below[parents]
    gain = np.where(told & own, variances / np.where(both > 0, both, 1.0), np.where(own, 1.0, 0.0))
    apart = np.abs(value[parents] - total)
    if (told & own & (both == 0) & (apart > _LOST * (1.0 + np.abs(total)))).any():
        raise ValueError("exact values of an area and of its parts contradict each other")
    value[parents] = np.where(gain == 1.0, value[parents], total + gain * (value[parents] - total))
    below[parents] = np.where(own, gain * below[parents], np.where(told, variances, 0.0))
    missing[parents] = ~own & ~told
    value[parents] = np.where(missing[parents], 0.0, value[parents])
    return total, variances, gaps


def _shares(
    piece: Families, below: Values, missing: NDArray[np.bool_], variances: Values, gaps: NDArray[np.int64]
) -> tuple[Values, Values]:
    """Return what nodes take of a change of their parent, and their variance if the parent were known.

    One sibling that nothing is known of takes all of the change and has the errors of the others; of two of them
    nothing can be told.
    """
    variances, gaps = variances[piece.group], gaps[piece.group]
    told = below / np.where(variances > 0, variances, 1.0)
    share = np.where(gaps == 0, told, np.where(missing & (gaps == 1), 1.0, 0.0))
    alone = np.where(gaps == 0, below * (1.0 - told), np.where(missing, variances, below))
    return share, np.where(missing & (gaps > 1), np.inf, alone)


def _checked(tree: Tree, measured: Values, variance: Values) -> None:
    """Refuse what cannot be reconciled."""
    columns = measured.shape[1:]
    if measured.shape[0] != tree.size or variance.shape not in {(tree.size, *columns), (tree.size, 1)}:
        raise ValueError(f"{tree.size} nodes, but values {measured.shape} and variances {variance.shape}")
    if len(columns) != 1:
        raise ValueError("values have a row for every node and a column for every hour")
    if not (variance >= 0).all():
        raise ValueError("a variance is negative or no number")
    if not np.isfinite(np.where(np.isinf(variance), 0.0, measured)).all():
        raise ValueError("a measured value is not finite; what was not measured has an infinite variance")
