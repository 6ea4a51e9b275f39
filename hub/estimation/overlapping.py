"""Union sketches as releases have them: persons at one operator or more, and how many subscriptions a person has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hub.estimation.combine import membership_of
from hub.estimation.duplication import Factor, by_sketch, by_survey, combined
from hub.estimation.duplication_areas import by_area
from hub.estimation.estimated import Estimated, Fact, alone, columns_of
from hub.estimation.multiplicity import GoingOn
from hub.estimation.published import Figures, normal_interval, share_of
from hub.estimation.question import Question, vector_of
from hub.estimation.union import UnionEstimate, union
from privacy.errors import UsageProblem
from privacy.noise import noise_of, variance
from quorate.contract.zoning import NATION, ZONE

Values = NDArray[np.float64]
#: Code of the country (SDMX: total).
COUNTRY = "_T"


def overlapping(question: Question) -> Estimated:
    """Return estimates of persons in the union of the operators that answered (`hub.estimation.union`)."""
    levels = [_measured(question, place) for place in range(len(question.keyset.levels))]
    figures = [_figures(question, name, unions) for name, unions in levels]
    nation = next((unions[0] for name, unions in levels if name == NATION), None)
    diagnostics, warnings = ({}, []) if nation is None else _told(question, nation)
    going_on = going_on_of(question)
    return Estimated(
        figures,
        "union of sketches: pairs as measured, triples shrunk, a chain from one operator to the next",
        {"going on to a further operator": going_on.mean[0], "its standard deviation": going_on.sd[0]},
        diagnostics,
        warnings,
        # Somebody who was in two zones is in both of their unions.
        additive=False,
    )


def going_on_of(question: Question) -> GoingOn:
    """Return what is known of third and further operators: by a survey, or as it was declared."""
    survey, declared = question.own.knowledge.operators, question.own.charter.calibration
    if survey is not None:
        return GoingOn.from_survey(survey.at_least, survey.design_effect)
    return GoingOn((declared.going_on_permille / 1000,), (declared.going_on_sd_permille / 1000,))


def _measured(question: Question, place: int) -> tuple[str, list[UnionEstimate]]:
    """Return the name of a measured level, and the union of each of its areas."""
    keyset, terms = question.keyset, question.terms
    name, where, shape = list(keyset.parts())[place]
    counts = np.stack([vector_of(question.own, answer)[where].reshape(shape) for answer in question.answers])
    noise = np.full(
        len(question.answers), variance(noise_of(terms.mechanism, terms.levels[place].scale_milli))
    )
    going_on = going_on_of(question)
    return name, [union(counts[:, area], noise, going_on) for area in range(shape[0])]


def factor_of(question: Question) -> Factor | None:
    """Return persons for each counted subscriber by a national sketch; None if it is within its noise."""
    for place, cells in enumerate(question.keyset.levels):
        if cells.name == NATION:
            (nation,) = _measured(question, place)[1]
            try:
                return by_sketch(nation)
            except ValueError:
                return None
    return None


def _told(question: Question, nation: UnionEstimate) -> tuple[dict[str, Fact | list[Fact]], list[str]]:
    """Return what the union of the country says besides: persons by number of operators, and the factor."""
    survey = question.own.knowledge.subscriptions
    facts: dict[str, Fact | list[Fact]] = {
        "persons at exactly 1, 2, … operators": [round(float(value)) for value in nation.exactly],
        "standard error of these": [round(float(value)) for value in nation.exactly_sd],
        "weight of the measured triples": round(float(nation.gamma_all), 1),
    }
    try:
        factor = by_sketch(nation)
    except ValueError:
        return facts, [*nation.warnings, "the sketches are within their noise: no factor follows from them"]
    if survey is not None and survey.sd > 0 and factor.sd > 0:
        factor = combined(by_survey(survey.per_person, survey.sd), factor)
    facts |= {
        "persons for each counted subscriber": round(factor.value, 4),
        "its standard error": round(factor.sd, 5),
        "told by": factor.source,
    }
    return facts, list(dict.fromkeys([*nation.warnings, *factor.warnings]))


def _figures(question: Question, level: str, unions: Sequence[UnionEstimate]) -> Figures:
    """Return the figures of one level; small areas have the factor of their region."""
    estimate = np.array([found.persons for found in unions])
    noise = np.array([found.noise_variance for found in unions])
    spread = np.array([found.sd**2 for found in unions])
    gamma = np.ones(len(unions))
    if level != NATION:
        estimate, spread, gamma = _shrunk(question, level, unions)
    column = (slice(None), None)
    std_error = np.sqrt(spread)[column]
    shape = std_error.shape
    return Figures(
        level=level,
        areas=_codes(question, level),
        columns=columns_of(question),
        estimate=estimate[column],
        std_error=std_error,
        interval=normal_interval(estimate[column], std_error),
        size=_registered(question, level)[column],
        gamma=gamma[column],
        noise_share=share_of(np.minimum(noise, spread)[column], std_error**2),
        imputed=np.zeros(shape, dtype=bool),
        flag=alone(question, shape),
    )


def _shrunk(question: Question, level: str, unions: Sequence[UnionEstimate]) -> tuple[Values, Values, Values]:
    """Return persons of areas by their own sizes and factors that lean on those of their regions."""
    sizes = np.array([found.sizes.sum() for found in unions])
    of_sizes = np.array([found.sizes_variance.sum() for found in unions])
    try:
        factors = by_area(unions, _regions(question, level))
    except ValueError as error:
        raise UsageProblem(
            f"no factor can be told for the areas of {level}: {error}",
            means="the sketches of a whole region are within their noise",
            todo="measure larger areas, or let the charter spend more on it",
        ) from error
    persons = factors.value * sizes
    variance_ = factors.value**2 * of_sizes + sizes**2 * factors.sd**2
    return persons, variance_, factors.gamma


def _regions(question: Question, level: str) -> NDArray[np.int64]:
    """Return in which area of the largest level each area lies; all in one where there is no larger level."""
    zoning = question.own.zoning
    largest = zoning.levels[-1]
    members = zoning.members(level)
    if largest in {level, ZONE}:
        return np.zeros(len(members), dtype=np.int64)
    above = [zoning.zones[zones[0]].parents.get(largest, "") for zones in members.values()]
    return np.unique(above, return_inverse=True)[1].astype(np.int64)


def _codes(question: Question, level: str) -> list[str]:
    return [COUNTRY] if level == NATION else list(question.own.zoning.members(level))


def _registered(question: Question, level: str) -> Values:
    population = question.own.register.population
    if level == NATION:
        return np.array([population.sum()])
    members = question.own.zoning.members(level)
    return np.asarray(membership_of(list(members.values()), population.size) @ population)
