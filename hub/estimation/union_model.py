r"""The mixed model of a union sketch: pairs as they are measured, triples shrunk to what pairs let expect.

With the measured pairs and triples y of covariance V (`hub.estimation.sketch`), and the true pairs β,

    y = Xβ + Zw + e,    Var(w) = P,    Var(e) = V,    Ω = ZPZ' + V,
    β̂ = Ky,    K = (X'Ω⁻¹X)⁻¹X'Ω⁻¹,    ŵ = PZ'Ω⁻¹(y − Xβ̂)

The best linear unbiased prediction of any Aβ + Bw is Cy with C = AK + BPZ'Ω⁻¹(I − XK) (Henderson 1975, Biometrics 31,
423-447; Robinson 1991, Statistical Science 6, 15-51). Its error has two parts that are independent:

    C·V·C'                      noise, and chance of the cells
    (CZ − B)·P·(CZ − B)'        what the model does not know beforehand

w holds the deviations of the chain (`hub.estimation.multiplicity`), and those of each triple from its part of all
triples: n_abc = p_abc·S_3 + u_abc, with p as if persons chose operators independently, by size, and Σu = 0. Without
noise the triples stay as measured; with infinite noise the model alone remains, with its own uncertainty. V and P
depend on what is estimated: three rounds settle them. Nothing is clipped but inside V.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation.multiplicity import GoingOn, chain, deviations, intersections_of, squares_expected
from hub.estimation.sketch import Moments, subsets
from hub.estimation.sketch_covariance import covariance

Values = NDArray[np.float64]
#: Relative standard deviation of a triple around its part of all triples.
SPREAD = 0.5
#: Rounds in which variances follow the estimates.
_ROUNDS = 3


@dataclass(frozen=True)
class Fitted:
    """Predictions of the targets: M_2 … M_k, pairs, triples.

    Attributes
    ----------
    value
        Shape (targets,).
    weights
        C, shape (targets, measured).
    by_noise, by_prior
        Both parts of the covariance of their errors, shape (targets, targets).
    measured_covariance
        V.
    disagreement
        By how many standard deviations the measured triples are, in sum, off what the pairs let expect.
    """

    value: Values
    weights: Values
    by_noise: Values
    by_prior: Values
    measured_covariance: Values
    disagreement: float

    def sd(self, targets: slice) -> Values:
        """Return standard deviations of some of the targets."""
        return np.sqrt(np.maximum(np.diag(self.by_noise + self.by_prior)[targets], 0.0))


@dataclass(frozen=True)
class Model:
    """What the formulas of the module need, for two operators or more.

    Attributes
    ----------
    mean, sd
        Of the probabilities of going on, shape (operators - 2,).
    parts
        p, shape (triples,).
    x, z, a, b
        Matrices X, Z, A and B.
    """

    operators: int
    mean: Values
    sd: Values
    parts: Values
    x: Values
    z: Values
    a: Values
    b: Values

    @staticmethod
    def of(operators: int, going_on: GoingOn, sizes: Values) -> Model:
        """Return the model of so many operators of given sizes."""
        mean, sd = going_on.of(operators)
        links = chain(mean)
        pairs = len(subsets(operators, 2))
        parts = _parts(operators, sizes)
        in_triples = intersections_of(operators, 3)[1:]
        own = np.eye(pairs)
        # Columns of w: the deviations of the chain, then one of each triple.
        from_pairs = np.outer(parts, np.full(pairs, in_triples @ links.on_pairs))
        from_w = np.hstack([np.outer(parts, in_triples @ links.on_deviations), np.eye(parts.size)])
        x = np.vstack([own, from_pairs])
        z = np.vstack([np.zeros((pairs, from_w.shape[1])), from_w])
        upper = np.outer(links.on_pairs, np.ones(pairs))
        upper_w = np.hstack([links.on_deviations, np.zeros((operators - 1, parts.size))])
        return Model(operators, mean, sd, parts, x, z, np.vstack([upper, x]), np.vstack([upper_w, z]))

    def fit(self, measured: Moments, noise: Values, sizes: Values) -> Fitted:
        """Predict all targets; variances follow the estimates in a few rounds."""
        y = np.concatenate([measured.pairs, measured.triples])
        chained = slice(0, self.operators - 1)
        value = self.a @ measured.pairs
        squares = squares_expected(float(value[0]) ** 2, self.mean, self.sd)
        of_triples = float(intersections_of(self.operators, 3)[1:] @ value[chained]) ** 2
        for _round in range(_ROUNDS):
            spread = covariance(self._persons(value, sizes), measured.cells, noise)
            fitted = self.predict(y, spread, self.prior(squares, of_triples))
            value, error = fitted.value, (fitted.by_noise + fitted.by_prior)[chained, chained]
            squares = (value[chained] ** 2 + np.diag(error))[: self.mean.size]
            in_triples = intersections_of(self.operators, 3)[1:]
            of_triples = float((in_triples @ value[chained]) ** 2 + in_triples @ error @ in_triples)
        return fitted

    def prior(self, squares: Values, of_triples: float) -> Values:
        """Return P: the chain's deviations, and those of triples around their parts, which add up to zero."""
        steps = self.mean.size
        around = np.eye(self.parts.size) - np.outer(self.parts, np.ones(self.parts.size))
        found = np.zeros((steps + self.parts.size,) * 2)
        found[:steps, :steps] = np.diag(deviations(squares, self.sd))
        found[steps:, steps:] = SPREAD**2 * of_triples * (around * self.parts**2) @ around.T
        return found

    def predict(self, y: Values, spread: Values, prior: Values) -> Fitted:
        """Predict all targets with given variances.

        Parameters
        ----------
        y
            Measured pairs and triples, shape (measured,).
        spread, prior
            V, shape (measured, measured), and P, shape (w, w).
        """
        whole = self.z @ prior @ self.z.T + spread
        solved = np.linalg.solve(whole, self.x)
        of_beta = np.linalg.inv(self.x.T @ solved)
        k = of_beta @ solved.T
        residual = np.eye(y.size) - self.x @ k
        weights = self.a @ k + self.b @ prior @ np.linalg.solve(whole, self.z).T @ residual
        off = weights @ self.z - self.b
        return Fitted(
            weights @ y,
            weights,
            weights @ spread @ weights.T,
            off @ prior @ off.T,
            spread,
            self._disagreement(residual @ y, whole - self.x @ of_beta @ self.x.T),
        )

    def _disagreement(self, residual: Values, expected: Values) -> float:
        """Return by how many standard deviations the measured triples are, in sum, off the model."""
        if not self.parts.size:
            return 0.0
        triples = np.arange(residual.size) >= residual.size - self.parts.size
        return float(residual[triples].sum() / np.sqrt(expected[np.ix_(triples, triples)].sum()))

    def _persons(self, value: Values, sizes: Values) -> Values:
        """Return n_S of every set for the variances: not negative, no part larger than the whole, shape (2**k,)."""
        at_least = np.concatenate([[0.0], value[: self.operators - 1]])
        persons = np.zeros(2**self.operators)
        place = self.operators - 1
        for size in range(1, self.operators + 1):
            sets = subsets(self.operators, size)
            even = float(intersections_of(self.operators, size) @ at_least) / len(sets)
            for number, members in enumerate(sets):
                mask = sum(1 << one for one in members)
                told = sizes[number] if size == 1 else value[place + number] if size < 4 else even
                whole = min((persons[mask ^ (1 << one)] for one in members), default=0.0)
                persons[mask] = max(told, 0.0) if size == 1 else min(max(told, 0.0), whole)
            place += len(sets) if size in {2, 3} else 0
        return persons


def _parts(operators: int, sizes: Values) -> Values:
    """Return each triple's part of all triples if operators are chosen independently, by size."""
    positive = np.maximum(sizes, 0.0)
    products = np.array([positive[list(one)].prod() for one in subsets(operators, 3)])
    if products.sum() > 0:
        return np.asarray(products / products.sum())
    return np.full(products.size, 1.0 / max(products.size, 1))
