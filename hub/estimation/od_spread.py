r"""The covariance of a table of origins and destinations, which has too many cells for a matrix.

    Cov(x_h, x_g) = [h = g]·(diag(a_h) + F_h C_h F_h') − K_h M K_g',      K_h = diag(a_h) + F_h C_h F_h'

a_h is each cell's own variance, F_h and C_h what the cells of an origin share (a weight, a noisy sum), and M, of the size of
one row, what all origins share since sums by destination were met; zero before. Reconciliation needs products with it
only, and these cost as much as there are cells, times the number of factors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


def block(first: Values, *others: float | Values) -> Values:
    """Return cores, shape (rows, k, k), with further blocks: each a number for all rows, (rows,) or (rows, l, l)."""
    rows, found = first.shape[0], first
    for other in others:
        value = np.asarray(other, dtype=np.float64)
        part = value if value.ndim == 3 else np.broadcast_to(value, (rows,))[:, None, None]
        size, more = found.shape[1], part.shape[1]
        whole = np.zeros((rows, size + more, size + more))
        whole[:, :size, :size], whole[:, size:, size:] = found, part
        found = whole
    return found


@dataclass(frozen=True)
class Spread:
    """The covariance.

    Attributes
    ----------
    own
        a, float64 of shape (origins, destinations); infinite where nothing is known.
    factors, core
        F and C, of shape (origins, destinations, k) and (origins, k, k).
    joint
        M, of shape (destinations, destinations), or None.
    """

    own: Values
    factors: Values
    core: Values
    joint: Values | None = None

    def variance(self) -> Values:
        """Return the variance of each cell, shape (origins, destinations)."""
        found = self.own + np.einsum("hdk,hkl,hdl->hd", self.factors, self.core, self.factors, optimize=True)
        if self.joint is not None:
            found = found - self._met(self.joint)
        # Rounding leaves a little below zero where a cell is known exactly.
        return np.asarray(np.maximum(found, 0.0))

    def _met(self, joint: Values) -> Values:
        """Return the diagonal of K_h M K_h' by origin."""
        right = np.einsum("hdk,hkl->hdl", self.factors, self.core)
        moved = np.einsum("de,hek->hdk", joint, right, optimize=True)
        inner = np.einsum("hdk,hdl->hkl", right, moved, optimize=True)
        crossed = 2 * self.own * np.einsum("hdk,hdk->hd", self.factors, moved)
        both = np.einsum("hdk,hkl,hdl->hd", self.factors, inner, self.factors, optimize=True)
        return np.asarray(self.own**2 * np.diagonal(joint) + crossed + both)

    def within(self, origin: int) -> Values:
        """Return the covariance matrix of the cells of one origin."""
        return self.between(origin, origin)

    def between(self, one: int, other: int) -> Values:
        """Return the covariance matrix of the cells of two origins, or of one with itself."""
        first, second = self._free(one), self._free(other)
        found = first if one == other else np.zeros_like(first)
        return found if self.joint is None else found - first @ self.joint @ second

    def _free(self, origin: int) -> Values:
        factors = self.factors[origin]
        return np.asarray(np.diag(self.own[origin]) + factors @ self.core[origin] @ factors.T)

    def columns(self) -> Values:
        """Return Σ K_h: the covariance of the sums by destination before these were met."""
        flat = np.einsum("hdk,hkl->hdl", self.factors, self.core).transpose(1, 0, 2)
        factors = self.factors.transpose(1, 0, 2)
        size = self.own.shape[1]
        return np.asarray(
            np.diag(self.own.sum(axis=0)) + flat.reshape(size, -1) @ factors.reshape(size, -1).T
        )

    def along_columns(self, step: Values) -> Values:
        """Return K_h·step of every origin, shape (origins, destinations)."""
        inner = np.einsum("hdk,d->hk", self.factors, step)
        return np.asarray(
            self.own * step + np.einsum("hdk,hkl,hl->hd", self.factors, self.core, inner, optimize=True)
        )

    def shared(self, share: Values) -> Spread:
        """Return the covariance after the part along 1 was taken out of each row: (I − p1') K (I − 1p').

        Parameters
        ----------
        share
            p, of the table's shape, with sums of 1; not a number in a row of which nothing is known.
        """
        lost = ~np.isfinite(share).all(axis=1)
        own, part = np.where(lost[:, None], 0.0, self.own), np.where(lost[:, None], 0.0, share)
        factors = np.where(lost[:, None, None], 0.0, self.factors)
        turned = factors - part[:, :, None] * factors.sum(axis=1)[:, None, :]
        pair = np.zeros((own.shape[0], 2, 2))
        pair[:, 0, 1] = pair[:, 1, 0] = -1.0
        pair[:, 1, 1] = own.sum(axis=1)
        pair[lost] = 0.0
        factors = np.concatenate([turned, np.stack([own, part], axis=2)], axis=2)
        return Spread(np.where(lost[:, None], np.inf, own), factors, block(self.core, pair))

    def times(self, weight: Values) -> Spread:
        """Return the covariance of rows that are each multiplied by a number; not a number where it is not known."""
        square = np.where(np.isfinite(weight), weight, 1.0) ** 2
        return replace(self, own=self.own * square[:, None], core=self.core * square[:, None, None])

    def along(self, direction: Values, variance: Values) -> Spread:
        """Return the covariance with an error along a direction in each row, of a variance by row, shape (origins,)."""
        factors = np.concatenate([self.factors, np.nan_to_num(direction)[:, :, None]], axis=2)
        return replace(self, factors=factors, core=block(self.core, variance))

    def instead(self, rows: Mask, variance: Values) -> Spread:
        """Return the covariance in which the cells of some rows have one variance each, shape (origins,), and share nothing."""
        here = rows[:, None]
        return replace(
            self,
            own=np.where(here, variance[:, None], self.own),
            factors=np.where(here[:, :, None], 0.0, self.factors),
        )

    def either(self, rows: Mask, other: Spread) -> Spread:
        """Return the covariance of these rows, and of another covariance's rows elsewhere."""
        here = rows[:, None]
        return Spread(
            np.where(here, self.own, other.own),
            np.concatenate(
                [
                    np.where(here[:, :, None], self.factors, 0.0),
                    np.where(here[:, :, None], 0.0, other.factors),
                ],
                axis=2,
            ),
            block(self.core, other.core),
        )
