r"""The covariance of a table of origins and destinations, which has too many cells for a matrix.

With n destinations, of origins h and g

    Cov(x_h, x_g) = [h = g]·K_h + (K_h L_h)·Q·(K_g L_g)',
    K_h = diag(a_h) + F_h C_h F_h',      L_h = diag(r_h) − p_h r_h'

a_h is each cell's own variance; F_h and C_h are what the cells of an origin share (a weight, a noisy sum); r_h is
how far each leans on what the model says of its destination, an error that all origins share; p_h are the row's
shares if it was scaled to a sum. Q, of the size 2n × 2n, has the variances of the destinations in the model, and
after sums by destination were met what these say of both. Reconciliation needs products with the covariance only,
and these cost as much as there are cells, times the number of factors.
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
    drawn, share
        r and p, of shape (origins, destinations).
    joint
        Q, of shape (2 destinations, 2 destinations).
    """

    own: Values
    factors: Values
    core: Values
    drawn: Values
    share: Values
    joint: Values

    @classmethod
    def of(cls, own: Values, factors: Values, core: Values, drawn: Values, destinations: Values) -> Spread:
        """Return the covariance of rows that were not scaled; `destinations` are their variances in the model."""
        joint = np.diag(np.append(np.zeros_like(destinations), destinations))
        return cls(own, factors, core, drawn, np.zeros_like(own), joint)

    def variance(self) -> Values:
        """Return the variance of each cell, shape (origins, destinations)."""
        within = np.einsum("hdk,hkl,hdl->hd", self.factors, self.core, self.factors, optimize=True)
        # Rounding leaves a little below zero where a cell is known exactly.
        return np.asarray(np.maximum(self.own + within + self._between(), 0.0))

    def _between(self) -> Values:
        """Return the diagonal of (K L) Q (K L)' by origin."""
        size = self.own.shape[1]
        first, mixed, last = self.joint[:size, :size], self.joint[:size, size:], self.joint[size:, size:]
        drawn, share = self.drawn, self.share
        turned = drawn @ last
        found = drawn**2 * np.diagonal(last) - 2 * share * drawn * turned
        found += share**2 * (drawn * turned).sum(axis=1, keepdims=True)
        return found + self._met(first, mixed) if first.any() else np.asarray(found)

    def _met(self, first: Values, mixed: Values) -> Values:
        """Return the part of that diagonal in which K has to do."""
        own = np.where(np.isinf(self.own), 0.0, self.own)
        right = np.einsum("hdk,hkl->hdl", self.factors, self.core)
        moved = np.einsum("de,hek->hdk", first, right, optimize=True)
        inner = np.einsum("hdk,hdl->hkl", right, moved, optimize=True)
        found = own**2 * np.diagonal(first) + 2 * own * np.einsum("hdk,hdk->hd", self.factors, moved)
        found += np.einsum("hdk,hkl,hdl->hd", self.factors, inner, self.factors, optimize=True)
        beside = np.einsum("hek,ed->hdk", right, mixed, optimize=True)
        crossed = own * np.diagonal(mixed) + np.einsum("hdk,hdk->hd", self.factors, beside)
        along = self._rows(self.drawn @ mixed.T)
        return np.asarray(found + 2 * (crossed * self.drawn - self.share * along))

    def _rows(self, steps: Values) -> Values:
        """Return K_h·step_h of every origin; steps of shape (origins, destinations)."""
        inner = np.einsum("hkl,hdl,hd->hk", self.core, self.factors, steps, optimize=True)
        own = np.where(np.isinf(self.own), 0.0, self.own)
        return np.asarray(own * steps + np.einsum("hdk,hk->hd", self.factors, inner))

    def between(self, one: int, other: int) -> Values:
        """Return the covariance matrix of the cells of two origins, or of one with itself."""
        (first, loaded), (second, beside) = self._dense(one), self._dense(other)
        found = first if one == other else np.zeros_like(first)
        return np.asarray(found + np.hstack([first, loaded]) @ self.joint @ np.hstack([second, beside]).T)

    def _dense(self, origin: int) -> tuple[Values, Values]:
        """Return K and L of one origin."""
        factors, drawn = self.factors[origin], self.drawn[origin]
        within = np.diag(self.own[origin]) + factors @ self.core[origin] @ factors.T
        return np.asarray(within), np.diag(drawn) - np.outer(self.share[origin], drawn)

    def _sums(self) -> tuple[Values, Values]:
        """Return Σ K_h and (Σ K_h, Σ L_h), shape (destinations, destinations) and (destinations, 2 destinations)."""
        size = self.own.shape[1]
        right = np.einsum("hdk,hkl->hdl", self.factors, self.core).transpose(1, 0, 2).reshape(size, -1)
        within = np.diag(self.own.sum(axis=0)) + right @ self.factors.transpose(1, 0, 2).reshape(size, -1).T
        loaded = np.diag(self.drawn.sum(axis=0)) - self.share.T @ self.drawn
        return within, np.hstack([within, loaded])

    def columns(self) -> Values:
        """Return the covariance of the sums by destination, shape (destinations, destinations)."""
        within, both = self._sums()
        return np.asarray(within + both @ self.joint @ both.T)

    def along_columns(self, step: Values) -> Values:
        """Return Cov(x_h, Σ x)·step of every origin, shape (origins, destinations)."""
        size = step.size
        pulled = self.joint @ (self._sums()[1].T @ step)
        loaded = self.drawn * pulled[size:]
        rows = self._rows(np.broadcast_to(step + pulled[:size], self.own.shape))
        return np.asarray(rows + loaded - self.share * loaded.sum(axis=1, keepdims=True))

    def known(self, inverse: Values) -> Spread:
        """Return the covariance after sums by destination were met.

        Parameters
        ----------
        inverse
            Of the covariance of their differences, zero in rows and columns of sums that are not known.
        """
        size = inverse.shape[0]
        reach = self.joint @ self._sums()[1].T
        reach[:size] += np.eye(size)
        return replace(self, joint=self.joint - reach @ inverse @ reach.T)

    def shared(self, share: Values) -> Spread:
        """Return the covariance after the part along 1 was taken out of each row: (I − p1')·Cov·(I − 1p').

        Parameters
        ----------
        share
            p, of the table's shape, with sums of 1; not a number in a row of which nothing is known.
        """
        lost = np.asarray(~np.isfinite(share).all(axis=1, keepdims=True))
        own, part = np.where(lost, 0.0, self.own), np.where(lost, 0.0, share)
        factors = np.where(lost[:, :, None], 0.0, self.factors)
        turned = factors - part[:, :, None] * factors.sum(axis=1)[:, None, :]
        pair = np.zeros((own.shape[0], 2, 2))
        pair[:, 0, 1] = pair[:, 1, 0] = -1.0
        pair[:, 1, 1] = own.sum(axis=1)
        factors = np.concatenate([turned, np.stack([own, part], axis=2)], axis=2)
        drawn = np.where(lost, 0.0, self.drawn)
        return Spread(np.where(lost, np.inf, own), factors, block(self.core, pair), drawn, part, self.joint)

    def times(self, weight: Values) -> Spread:
        """Return the covariance of rows that are each multiplied by a number; not a number where it is not known."""
        number = np.where(np.isfinite(weight), weight, 1.0)
        square = number**2
        return replace(
            self,
            own=self.own * square[:, None],
            core=self.core * square[:, None, None],
            drawn=self.drawn * number[:, None],
        )

    def along(self, direction: Values, variance: Values) -> Spread:
        """Return the covariance with an error along a direction in each row, of variances of shape (origins,)."""
        factors = np.concatenate([self.factors, np.nan_to_num(direction)[:, :, None]], axis=2)
        return replace(self, factors=factors, core=block(self.core, variance))

    def instead(self, rows: Mask, variance: Values) -> Spread:
        """Return the covariance in which cells of some rows share nothing, of variances of shape (origins,)."""
        here = rows[:, None]
        return replace(
            self,
            own=np.where(here, variance[:, None], self.own),
            factors=np.where(here[:, :, None], 0.0, self.factors),
            drawn=np.where(here, 0.0, self.drawn),
        )

    def either(self, rows: Mask, other: Spread) -> Spread:
        """Return the covariance with the rows of another one elsewhere; both have the same joint part."""
        here = rows[:, None]
        mine, others = (
            np.where(here[:, :, None], self.factors, 0.0),
            np.where(here[:, :, None], 0.0, other.factors),
        )
        return Spread(
            np.where(here, self.own, other.own),
            np.concatenate([mine, others], axis=2),
            block(self.core, other.core),
            np.where(here, self.drawn, other.drawn),
            np.where(here, self.share, other.share),
            self.joint,
        )
