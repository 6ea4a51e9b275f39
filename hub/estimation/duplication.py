r"""Factors that turn a sum over operators into persons, each with its standard deviation and where it is from.

(a) Survey: persons = Y/m̄ with m̄ of what is counted per person, so the factor is f = 1/m̄ with sd(f) = sd(m̄)/m̄².
(b) Sketch: f = U/Σ n_j (`hub.estimation.union`). With Q = Σn_j − U, whose error is independent of that of the sizes,

    Var(f) = Var(Q)/(Σn_j)² + Q²/(Σn_j)⁴·Var(Σn_j)

Either way, persons f·Y have the variance f²·Var(Y) + Y²·Var(f), by linearisation (Oehlert 1992); with (a) that is
Var(Y)/m̄² + (Y/m̄²)²·Var(m̄).

A survey asks for what the counts hold. They hold locally distinct persons, or subscriptions: m̄ is operators
per person or subscriptions per person accordingly. A sketch holds locally distinct persons, so its factor is
for counts of these.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hub.estimation.union import UnionEstimate

Values = NDArray[np.float64]
SURVEY, SKETCH, BOTH = "survey", "sketch", "survey and sketch"
#: Standard deviations between two factors that contradict each other: a chance of one in a thousand.
APART = 3.29
#: A sum of sizes counts as measured above so many standard deviations of its noise.
GATE = 5.0


@dataclass(frozen=True)
class Factor:
    """Persons per counted unit.

    Attributes
    ----------
    value, sd
        The factor, 1 where nobody is counted twice, and the standard deviation of its error.
    source
        One of `SURVEY`, `SKETCH`, `BOTH`.
    warnings
        What contradicts it.
    """

    value: float
    sd: float
    source: str
    warnings: list[str] = field(default_factory=list)

    def persons(self, counted: Values, variance: Values) -> tuple[Values, Values]:
        """Return persons and their variances.

        Errors of the factor are the same in all cells; the variances are those of single cells.

        Parameters
        ----------
        counted, variance
            Sums over operators, and their variances, of any shape.
        """
        return self.value * counted, self.value**2 * variance + counted**2 * self.sd**2


def by_survey(per_person: float, sd: float) -> Factor:
    """Return the factor of a survey.

    Parameters
    ----------
    per_person, sd
        m̄, what is counted per person, and its standard error, with the design of the sample in it.

    Raises
    ------
    ValueError
        If there is less than one per person, or the standard error is negative.
    """
    if not (1.0 <= per_person < np.inf and 0.0 <= sd < np.inf):
        raise ValueError(f"{per_person:g} ± {sd:g} per counted person cannot be")
    return Factor(1.0 / per_person, sd / per_person**2, SURVEY)


def by_sketch(union: UnionEstimate) -> Factor:
    """Return the factor of the operators that are in a union.

    Raises
    ------
    ValueError
        If their sizes are within five standard deviations of their noise: then nothing was measured.
    """
    found, noise, prior = sketched(union)
    if not np.isfinite(noise):
        raise ValueError("the sizes of the sketches are within their noise")
    return Factor(found, float(np.sqrt(noise + prior)), SKETCH, list(union.warnings))


def sketched(union: UnionEstimate) -> tuple[float, float, float]:
    """Return the factor of a union, and its variance by noise and by the multiplicity model.

    A sum of sizes within its noise measures no factor: it comes as 1 with an infinite variance by noise.
    """
    total, spread = float(union.sizes.sum()), float(union.sizes_variance.sum())
    if not total > GATE * np.sqrt(spread):
        return 1.0, float(np.inf), 0.0
    twice = total - union.persons
    noise = (union.noise_variance - spread) / total**2 + twice**2 / total**4 * spread
    return union.persons / total, noise, union.prior_variance / total**2


def combined(survey: Factor, sketch: Factor) -> Factor:
    """Return the mean of two factors, weighted by the inverse of their variances.

    Where they contradict each other the sketch is taken alone, because it counts the persons in question, and a
    warning says so. Both must be for the same unit, and independent: the survey that told the sketch of third
    operators is not.

    Raises
    ------
    ValueError
        If a standard deviation is not positive.
    """
    if not (survey.sd > 0 and sketch.sd > 0):
        raise ValueError("factors are weighted by their variances, which must be positive")
    warnings = [*survey.warnings, *sketch.warnings]
    apart = abs(survey.value - sketch.value) / float(np.hypot(survey.sd, sketch.sd))
    if apart > APART:
        warning = (
            f"the survey ({survey.value:.3f} ± {survey.sd:.3f}) and the sketch "
            f"({sketch.value:.3f} ± {sketch.sd:.3f}) are {apart:.1f} standard deviations apart: "
            "they do not count the same, and the sketch alone is used"
        )
        return Factor(sketch.value, sketch.sd, SKETCH, [*warnings, warning])
    weights = np.array([survey.sd, sketch.sd]) ** -2.0
    value = float(weights @ [survey.value, sketch.value] / weights.sum())
    return Factor(value, float(weights.sum() ** -0.5), BOTH, warnings)
