"""How many persons in the country own a phone: by the register's survey, or by the operators' counts over a factor.

The operators of S count Y subscribers; with f persons for each counted subscriber (`hub.estimation.duplication`: a
survey of subscriptions, a sketch of the union, or both) and their common share s_S of the market there are

    O = f·Y/s_S,      Var(O)/O² = Var(f)/f² + Var(Y)/Y²

phone owners (delta method, Oehlert 1992). What the drift of shares adds when operators are missing is in the variance
of the calibration already.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hub.estimation.combine import Combined
from hub.estimation.counts import market_of, period_of
from hub.estimation.duplication import Factor, by_survey
from hub.estimation.duplication import combined as of_both
from hub.estimation.overlapping import factor_of
from hub.estimation.question import Question
from privacy.errors import UsageProblem
from privacy.statistics import UNION_SKETCH
from quorate.contract.zoning import NATION


@dataclass(frozen=True)
class Owners:
    """Phone owners of the country.

    Attributes
    ----------
    total, sd
        Persons, and the standard deviation of their number.
    source
        Where it is from.
    warnings
        What contradicts it.
    """

    total: float
    sd: float
    source: str
    warnings: tuple[str, ...] = ()


def owners_of(question: Question, counted: Combined) -> Owners:
    """Return the phone owners that a release is calibrated to.

    Parameters
    ----------
    question
        The release.
    counted
        Its sum over operators, with those whom it has in no zone.

    Raises
    ------
    UsageProblem
        If they are to be counted, and there is neither a survey of subscriptions nor a sketch of the same days.
    """
    registered = float(question.own.register.phone_owners.sum())
    if question.own.knowledge.phone_owners == "register":
        return Owners(registered, 0.0, "register")
    factor = factor_for(question)
    if factor is None:
        raise UsageProblem(
            "phone owners are to be counted, and nothing says how many subscriptions a person has",
            means="counts cannot be turned into persons",
            todo="give [subscriptions] in knowledge.toml, release a union sketch of these days, or leave out "
            'phone_owners = "counted"',
        )
    return _counted(question, counted, factor)


def factor_for(question: Question) -> Factor | None:
    """Return persons for each counted subscriber: by a survey, a sketch of the same days and operators, or both."""
    survey = question.own.knowledge.subscriptions
    told = None if survey is None else by_survey(survey.per_person, survey.sd)
    sketch = _sketched(question)
    if told is None or sketch is None:
        return sketch or told
    return of_both(told, sketch) if told.sd > 0 and sketch.sd > 0 else sketch


def _sketched(question: Question) -> Factor | None:
    for product in question.own.charter.products:
        national = {level.name for level in product.levels} == {NATION}
        if product.statistic != UNION_SKETCH or not national:
            continue
        answers = question.earlier(product.product_id, question.days, None)
        if {answer.operator for answer in answers} == set(question.operators):
            return factor_of(Question(question.own, answers, question.earlier))
    return None


def _counted(question: Question, counted: Combined, factor: Factor) -> Owners:
    own = question.own
    # Everybody is in one cell of every hour, so the hours count the same persons.
    seen = float((counted.zones.sum(axis=0) + counted.special).mean())
    hours = counted.zones.shape[1]
    zones = np.broadcast_to(counted.zone_variance, (counted.zones.shape[0],))
    noise = float(zones.sum() + zones.mean() * counted.specials.shape[0]) / hours
    answered = np.array([name in question.operators for name in own.charter.operators])
    share = float(market_of(own, period_of(own, question.answers))[answered].sum())
    total = factor.value * max(seen, 0.0) / share
    relative = (factor.sd / factor.value) ** 2 + noise / max(seen, 1.0) ** 2
    return Owners(
        total, total * float(np.sqrt(relative)), f"counts and {factor.source}", tuple(factor.warnings)
    )
