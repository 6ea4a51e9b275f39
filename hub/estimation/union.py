r"""Persons in the union of several operators, from union sketches.

The sketch (`hub.estimation.sketch`) measures sizes, pairs and triples: y, with the covariance V. Pairs β are taken as
they are measured; triples are mostly noise where ρ is small, and are shrunk to what the multiplicity model
(`hub.estimation.multiplicity`) expects of the pairs. It is one linear mixed model,

    y = Xβ + Zw + e,    Var(w) = P,    Var(e) = V,    Ω = ZPZ' + V,
    β̂ = (X'Ω⁻¹X)⁻¹X'Ω⁻¹y,    ŵ = PZ'Ω⁻¹(y − Xβ̂)

whose best linear unbiased prediction of any Aβ + Bw is Cy with C = AK + BPZ'Ω⁻¹(I − XK), β̂ = Ky (Henderson 1975,
Biometrics 31, 423-447; Robinson 1991, Statistical Science 6, 15-51). Its error has two parts that do not touch:

    C·V·C'                      noise, and chance of the cells
    (CZ − B)·P·(CZ − B)'        what the model does not know beforehand

w holds the deviations of the chain, and of each triple from its part of all triples: n_abc = p_abc·S_3 + u_abc, with p as
if persons chose operators independently by size, and Σu = 0. Without noise the triples stay as measured; with infinite
noise the model alone remains, with its own uncertainty. V and P depend on what is estimated: three rounds settle them.
Nothing is clipped but inside V. An operator that did not answer is not in the union: what is estimated is persons at
one of those that did, and factors from it apply to the sum over just these operators.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from hub.estimation.multiplicity import (
    Chain,
    GoingOn,
    chain,
    deviations,
    intersections_of,
    squares_expected,
)
from hub.estimation.sketch import Integers, Moments, Sums, covariance, moments, subsets

Values = NDArray[np.float64]
#: Relative standard deviation of a triple around its part of all triples.
SPREAD = 0.5
#: Rounds in which variances follow the estimates.
_ROUNDS = 3
#: Standard deviations of a disagreement that is warned of: a chance of one in a thousand.
_APART = 3.29


@dataclass(frozen=True)
class Known:
    """Sizes from a better count than the sketch: float64 of shape (operators,), each."""

    sizes: Values
    variance: Values


@dataclass(frozen=True)
class UnionEstimate:
    """Persons at one operator or more, of those that answered; estimates may be negative.

    Attributes
    ----------
    persons
        U.
    noise_variance, prior_variance
        Of U: by noise and chance of the cells, and by what the model does not know.
    exactly, exactly_sd
        Persons at exactly 1 … k operators, shape (operators,).
    sizes, sizes_variance
        Persons at each operator, shape (operators,).
    pairs, pairs_sd
        Persons that two operators share, in the order of `sketch.subsets`.
    triples, triples_sd
        The same of three operators, shrunk.
    triples_measured, triples_measured_sd
        As the sketch alone has them.
    gamma
        Weight of each measured triple in its estimate; the rest is the model's.
    gamma_all
        The same of all triples together.
    warnings
        What contradicts the model.
    """

    persons: float
    noise_variance: float
    prior_variance: float
    exactly: Values
    exactly_sd: Values
    sizes: Values
    sizes_variance: Values
    pairs: Values
    pairs_sd: Values
    triples: Values
    triples_sd: Values
    triples_measured: Values
    triples_measured_sd: Values
    gamma: Values
    gamma_all: float
    warnings: list[str] = field(default_factory=list)

    @property
    def sd(self) -> float:
        """Standard deviation of the error of `persons`."""
        return float(np.sqrt(self.noise_variance + self.prior_variance))

    def interval(self, level: float) -> tuple[float, float]:
        """Return the lower and upper end of an interval of a confidence level."""
        reach = float(norm.ppf(0.5 + level / 2)) * self.sd
        return self.persons - reach, self.persons + reach


def union(counts: Integers, noise: Values, going_on: GoingOn, known: Known | None = None) -> UnionEstimate:
    """Estimate persons in the union.

    Parameters
    ----------
    counts
        Noisy counts, one row per operator that answered, int64 of shape (operators, cells).
    noise
        Variance of the noise in a cell of each operator, float64 of shape (operators,).
    going_on
        What is known beforehand of third and further operators.
    known
        Sizes, if there is a better count of the same persons.

    Raises
    ------
    ValueError
        If shapes do not fit, there are fewer than three cells, or a variance of noise is not positive.
    """
    return union_of(Sums.of(counts), noise, going_on, known)


def union_of(sums: Sums, noise: Values, going_on: GoingOn, known: Known | None = None) -> UnionEstimate:
    """Estimate persons in the union from cells that were added up already; see `union`."""
    operators = sums.sizes.size
    if noise.shape != (operators,) or not (np.isfinite(noise) & (noise > 0)).all():
        raise ValueError("each operator needs one positive variance of noise")
    if known is not None and not known.sizes.shape == known.variance.shape == (operators,):
        raise ValueError("known sizes need one value and one variance for each operator")
    measured = moments(sums)
    sizes, variance = (measured.sizes, sums.cells * noise) if known is None else (known.sizes, known.variance)
    if operators == 1:
        return _alone(sizes, variance)
    model = _Model.of(operators, going_on, sizes)
    fitted = model.fit(measured, noise, sizes)
    return _result(model, fitted, measured, sizes, variance)


@dataclass(frozen=True)
class _Fitted:
    """Predictions of the model's targets, what they are made with, and both parts of their errors' covariance."""

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
class _Model:
    """X, Z, A and B of the module's formulas; the targets are M_2 … M_k, pairs, triples."""

    operators: int
    mean: Values
    sd: Values
    chain: Chain
    parts: Values
    x: Values
    z: Values
    a: Values
    b: Values

    @staticmethod
    def of(operators: int, going_on: GoingOn, sizes: Values) -> _Model:
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
        return _Model(operators, mean, sd, links, parts, x, z, np.vstack([upper, x]), np.vstack([upper_w, z]))

    def fit(self, measured: Moments, noise: Values, sizes: Values) -> _Fitted:
        """Predict all targets; variances follow the estimates in a few rounds."""
        y = np.concatenate([measured.pairs, measured.triples])
        chained = slice(0, self.operators - 1)
        value = self.a @ measured.pairs
        squares = squares_expected(float(value[0]) ** 2, self.mean, self.sd)
        of_triples = float(intersections_of(self.operators, 3)[1:] @ value[chained]) ** 2
        for _round in range(_ROUNDS):
            spread = covariance(self._persons(value, sizes), measured.cells, noise)
            fitted = self._predict(y, spread, self._prior(squares, of_triples))
            value, error = fitted.value, (fitted.by_noise + fitted.by_prior)[chained, chained]
            squares = (value[chained] ** 2 + np.diag(error))[: self.mean.size]
            in_triples = intersections_of(self.operators, 3)[1:]
            of_triples = float((in_triples @ value[chained]) ** 2 + in_triples @ error @ in_triples)
        return fitted

    def _prior(self, squares: Values, of_triples: float) -> Values:
        """Return P: the chain's deviations, and those of triples around their parts, which add up to zero."""
        steps = self.mean.size
        around = np.eye(self.parts.size) - np.outer(self.parts, np.ones(self.parts.size))
        found = np.zeros((steps + self.parts.size,) * 2)
        found[:steps, :steps] = np.diag(deviations(squares, self.sd))
        found[steps:, steps:] = SPREAD**2 * of_triples * (around * self.parts**2) @ around.T
        return found

    def _predict(self, y: Values, spread: Values, prior: Values) -> _Fitted:
        whole = self.z @ prior @ self.z.T + spread
        solved = np.linalg.solve(whole, self.x)
        of_beta = np.linalg.inv(self.x.T @ solved)
        k = of_beta @ solved.T
        residual = np.eye(y.size) - self.x @ k
        weights = self.a @ k + self.b @ prior @ np.linalg.solve(whole, self.z).T @ residual
        off = weights @ self.z - self.b
        return _Fitted(
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


def _alone(sizes: Values, variance: Values) -> UnionEstimate:
    """Return the union of one operator: its own persons."""
    none, persons = np.zeros(0), float(sizes[0])
    return UnionEstimate(
        persons, float(variance[0]), 0.0, sizes, np.sqrt(variance), sizes, variance,
        *(none,) * 7, gamma_all=0.0,
    )  # fmt: skip


def _result(
    model: _Model, fitted: _Fitted, measured: Moments, sizes: Values, variance: Values
) -> UnionEstimate:
    operators = model.operators
    chained = slice(0, operators - 1)
    pairs = slice(operators - 1, operators - 1 + measured.pairs.size)
    triples = slice(pairs.stop, fitted.value.size)
    # M_1 = S_1 − Σ M_r; persons at exactly r are M_r − M_{r+1}.
    to_least = np.vstack([-np.ones(operators - 1), np.eye(operators - 1)])
    to_exact = (np.eye(operators) - np.eye(operators, k=1)) @ to_least
    first = np.eye(operators)[0]
    total = float(sizes.sum())
    errors = (fitted.by_noise + fitted.by_prior)[chained, chained]
    exact_variance = np.diag(to_exact @ errors @ to_exact.T) + first * variance.sum()
    told = fitted.weights[triples, measured.pairs.size :]
    measured_sd = np.sqrt(np.diag(fitted.measured_covariance)[measured.pairs.size :])
    return UnionEstimate(
        persons=total - float(fitted.value[chained].sum()),
        noise_variance=float(variance.sum() + fitted.by_noise[chained, chained].sum()),
        prior_variance=float(fitted.by_prior[chained, chained].sum()),
        exactly=to_exact @ fitted.value[chained] + first * total,
        exactly_sd=np.sqrt(exact_variance),
        sizes=sizes,
        sizes_variance=variance,
        pairs=fitted.value[pairs],
        pairs_sd=fitted.sd(pairs),
        triples=fitted.value[triples],
        triples_sd=fitted.sd(triples),
        triples_measured=measured.triples,
        triples_measured_sd=measured_sd,
        gamma=np.diag(told),
        gamma_all=float((told @ model.parts).sum()),
        warnings=_warnings(fitted.disagreement),
    )


def _warnings(disagreement: float) -> list[str]:
    if abs(disagreement) < _APART:
        return []
    return [
        f"the operators share {abs(disagreement):.1f} standard deviations {'more' if disagreement > 0 else 'fewer'} "
        "triples than expected: what is declared of third and further operators is wrong, and intervals are too short"
    ]
