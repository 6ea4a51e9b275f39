"""What an estimator returns: figures of every published level, how they were made, and what contradicts that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hub.estimation.combine import membership_of
from hub.estimation.dominance import confidentiality
from hub.estimation.period import Period
from hub.estimation.published import Column, Figures
from hub.estimation.question import Question
from quorate.contract.calendar import hour_label, period_label
from quorate.contract.zoning import ZONE

Values = NDArray[np.float64]
Fact = float | int | str | None


@dataclass(frozen=True)
class Estimated:
    """A release, estimated.

    Attributes
    ----------
    figures
        Of every published level, in the order of the charter.
    method
        In a few words.
    assumptions
        What was declared and not measured, with its value.
    diagnostics
        What the counts say about themselves: disagreement, drift, adjustments.
    warnings
        What contradicts the assumptions, or is missing.
    additive
        Whether larger areas are the sums of smaller ones.
    operators
        On how many operators the figures rest; None if on all that answered.
    """

    figures: Sequence[Figures]
    method: str
    assumptions: Mapping[str, Fact]
    diagnostics: Mapping[str, Fact | list[Fact]] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    additive: bool = True
    operators: int | None = None


def levels_of(question: Question) -> Iterator[tuple[str, list[str], Values]]:
    """Yield each published level: its name, the codes of its areas, and which zones are in which, (areas, zones).

    The zones are among them also where they are not published, because the others are their sums.
    """
    zoning, published = question.own.zoning, question.own.charter.publication.levels
    for level in published if ZONE in published else (*published, ZONE):
        members = zoning.members(level)
        yield level, list(members), membership_of(list(members.values()), len(zoning.zones))


def columns_of(question: Question) -> list[Column]:
    """Return the times of a release: the hours of its day, or its period."""
    terms, zone = question.terms, question.own.charter.time_zone
    hours = question.keyset.hours
    if hours == 1:
        return [Column(period_label(terms.first_day, terms.last_day, zone))]
    return [Column(hour_label(terms.first_day, hour, zone)) for hour in range(hours)]


def summed(membership: Values, values: Values) -> Values:
    """Return sums over the members of each area; no number where one of them is none.

    Parameters
    ----------
    membership
        0 or 1, float64 of shape (areas, members).
    values
        Float64 of shape (members, columns).
    """
    unknown = membership @ np.isnan(values) > 0
    return np.where(unknown, np.nan, membership @ np.nan_to_num(values))


def flags_of(question: Question, membership: Values) -> NDArray[np.str_]:
    """Return CL_CONF_STATUS of every area and hour: N where an operator stands alone, O where one dominates.

    Parameters
    ----------
    question
        The release, of counts that add up over operators.
    membership
        Which zones are in which area.
    """
    answers, threshold = question.each(), question.own.charter.publication.dominance_percent / 100
    counts = np.stack([membership @ answer.zones for answer in answers])
    noise = np.stack([answer.noise_of(membership)[0] for answer in answers])
    everybody = np.ones(len(answers), dtype=bool)
    hours = range(counts.shape[2])
    flags = [confidentiality(Period(counts[:, :, hour], noise, everybody), threshold) for hour in hours]
    return np.stack(flags, axis=1)


def alone(question: Question, shape: tuple[int, int]) -> NDArray[np.str_]:
    """Return CL_CONF_STATUS of estimates to which every operator gives one of the whole: N if one answered alone."""
    return np.full(shape, "F" if len(question.answers) > 1 else "N")
