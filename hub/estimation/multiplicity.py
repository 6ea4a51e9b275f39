r"""At how many operators persons are: a chain of probabilities of going on from one operator to the next.

With M_r persons at r operators or more, of k,

    persons in the union      U   = M_1
    sums of intersections     S_s = Σ_|S|=s n_S = Σ_r C(r − 1, s − 1)·M_r
    model, r = 2 … k − 1      M_{r+1} = q_r·M_r + w_r, w_r of mean 0 and sd σ_r·|M_r|

S_1 and S_2 are measured well, S_3 badly, higher ones not at all: only the chain says how many of those with a
second operator have a third, a fourth, and so on, and w_r how far that can be wrong. With all q alike it is a
geometric distribution. Everything is linear in S_1, S_2 and w: from S_2 = Σ (r − 1)·M_r follows M_2, then all
the others, and

    U = S_1 − Σ_{r ≥ 2} M_r = S_1 − S_2 + M_3 + 2·M_4 + 3·M_5 + …

Inclusion and exclusion that ends after the triples, S_1 − S_2 + S_3, would count somebody at four operators
4 − 6 + 4 = 2 times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True)
class GoingOn:
    """What is known beforehand of q_2, q_3, …: of persons at r operators, the part that has one more.

    Attributes
    ----------
    mean, sd
        One entry or more, each; the last one stands for all that follow. Means lie between 0 and 1, standard
        deviations between 0 and ½, the largest that a probability can have.
    """

    mean: tuple[float, ...]
    sd: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.mean or len(self.mean) != len(self.sd):
            raise ValueError("each probability of going on needs a mean and a standard deviation")
        if not all(0 <= mean <= 1 for mean in self.mean) or not all(0 <= sd <= 0.5 for sd in self.sd):
            raise ValueError("probabilities of going on lie between 0 and 1, and their sd between 0 and 1/2")

    @staticmethod
    def from_survey(at_least: Sequence[float], design_effect: float = 1.0) -> GoingOn:
        """Return what a survey of persons says.

        Each probability has a Beta distribution, from Jeffreys' prior Beta(½, ½): a survey in which nobody has
        a fourth operator does not prove that nobody has (Brown, Cai and DasGupta 2001, Statistical Science 16,
        101-133).

        Parameters
        ----------
        at_least
            Persons in the survey with 2, 3, … operators or more, weighted to the size of the sample.
        design_effect
            By which the variance is larger than in a simple random sample.

        Raises
        ------
        ValueError
            If there are fewer than two counts, one is negative or they grow, or the design effect is not positive.
        """
        counts = np.asarray(at_least, dtype=np.float64) / design_effect
        if counts.size < 2 or design_effect <= 0 or (counts < 0).any() or (np.diff(counts) > 0).any():
            raise ValueError(
                "counts of persons with 2, 3, … operators or more do not grow and are not negative"
            )
        size, went_on = counts[:-1] + 1.0, counts[1:] + 0.5
        mean = went_on / size
        sd = np.sqrt(mean * (1.0 - mean) / (size + 1.0))
        return GoingOn(tuple(mean.tolist()), tuple(sd.tolist()))

    def of(self, operators: int) -> tuple[Values, Values]:
        """Return means and standard deviations of q_2 … q_{k−1}, shape (operators − 2,), or empty."""
        needed = max(operators - 2, 0)
        places = np.minimum(np.arange(needed), len(self.mean) - 1)
        return np.array(self.mean)[places], np.array(self.sd)[places]


@dataclass(frozen=True)
class Chain:
    """M_2 … M_k as linear functions.

    Attributes
    ----------
    on_pairs
        Of S_2, float64 of shape (operators − 1,).
    on_deviations
        Of w_2 … w_{k−1}, float64 of shape (operators − 1, operators − 2).
    """

    on_pairs: Values
    on_deviations: Values


def chain(probabilities: Values) -> Chain:
    """Return the chain of two operators or more.

    Parameters
    ----------
    probabilities
        q_2 … q_{k−1}, float64 of shape (operators − 2,).
    """
    steps = probabilities.size + 1
    slope = np.concatenate([[1.0], np.cumprod(probabilities)])
    deviations = np.zeros((steps, steps - 1))
    for step in range(1, steps):
        deviations[step] = probabilities[step - 1] * deviations[step - 1]
        deviations[step, step - 1] = 1.0
    weights = intersections_of(steps + 1, 2)[1:]
    on_pairs = slope / (weights @ slope)
    return Chain(on_pairs, deviations - np.outer(on_pairs, weights @ deviations))


def intersections_of(operators: int, size: int) -> Values:
    """Return how often a person of M_1 … M_k is in intersections of so many operators: C(r − 1, size − 1)."""
    return np.array([comb(r, size - 1) for r in range(operators)], dtype=np.float64)


def deviations(squares: Values, sd: Values) -> Values:
    """Return the variances of w_2 … w_{k−1}.

    Parameters
    ----------
    squares
        Mean squares of M_2 … M_{k−1}, float64 of shape (operators − 2,).
    sd
        Of q_2 … q_{k−1}.
    """
    return np.asarray(sd**2 * squares)


def squares_expected(second: float, mean: Values, sd: Values) -> Values:
    """Return the mean squares of M_2 … M_{k−1}, if M_2² is given and nothing of the others is measured."""
    grown = np.concatenate([[1.0], np.cumprod(mean**2 + sd**2)[:-1]]) if mean.size else np.zeros(0)
    return np.asarray(second * grown)
