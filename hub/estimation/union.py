r"""Persons in the union of several operators, from union sketches.

    U = S_1 − Σ_{r ≥ 2} M_r

with sizes S_1 from the sketches' totals, or from a better count, and the numbers M_r of persons at r operators
or more from the sketches' pairs and triples (`hub.estimation.sketch`), as the mixed model of
`hub.estimation.union_model` predicts them. Noise of sizes is independent of the rest, so variances add.

An operator that did not answer is not in the union: what is estimated is persons at one of those that did, and
a factor from it applies to the sum over just these operators. Estimates may be negative, where there is only
noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from hub.estimation.multiplicity import GoingOn
from hub.estimation.sketch import Integers, Moments, Sums, moments
from hub.estimation.union_model import Fitted, Model

Values = NDArray[np.float64]
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
    model = Model.of(operators, going_on, sizes)
    fitted = model.fit(measured, noise, sizes)
    return _result(model, fitted, measured, sizes, variance)


def _alone(sizes: Values, variance: Values) -> UnionEstimate:
    """Return the union of one operator: its own persons."""
    none, persons = np.zeros(0), float(sizes[0])
    return UnionEstimate(
        persons, float(variance[0]), 0.0, sizes, np.sqrt(variance), sizes, variance,
        *(none,) * 7, gamma_all=0.0,
    )  # fmt: skip


def _result(
    model: Model, fitted: Fitted, measured: Moments, sizes: Values, variance: Values
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
