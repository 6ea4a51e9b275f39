"""Quality indicators as releases have them: subscribers of the operators that answered, and parts of them.

A count is the sum over the operators that answered: it stands for their subscribers, and is not spread to the others
or to persons. Its only error is the noise, so its interval is that of the noise (`hub.estimation.noise_reach`). A
part p = X/S of the subscribers S has, by the delta method, the standard error

    √(V·(1 + p²))/S,    V the variance of the noise of each sum.

What one operator counts is told to nobody: where one answered alone, nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation.dominance import confidentiality
from hub.estimation.estimated import Estimated
from hub.estimation.noise_reach import reach
from hub.estimation.period import GATE, Period
from hub.estimation.published import Column, Figures, Interval
from hub.estimation.question import Answer, Question, vector_of
from privacy.noise import noise_of, variance
from privacy.statistics import QUALITY_INDICATORS
from quorate.contract.calendar import days_between, period_label
from quorate.contract.charter import Product
from quorate.contract.columns import INDICATORS
from quorate.contract.zoning import NATION

Values = NDArray[np.float64]
Json = Mapping[str, object]
#: Code of the country (SDMX: total).
COUNTRY = "_T"
_SUBSCRIBERS, _REJECTED, _ZONES, _FLOWS = range(len(INDICATORS))
#: Fewest operators of which a sum is told.
FEWEST = 2


def indicating(question: Question) -> Estimated:
    """Return the sums of the operators' indicators, a column each; no numbers where one operator answered alone."""
    counts, terms = _counts(question, question.answers), question.terms
    operators, noise = len(counts), noise_of(terms.mechanism, terms.levels[0].scale_milli)
    told = operators >= FEWEST
    total = counts.sum(axis=0, keepdims=True) if told else np.full((1, len(INDICATORS)), np.nan)
    shape, spread = total.shape, operators * variance(noise)
    near, far = reach(noise, operators, 0.80), reach(noise, operators, 0.95)
    period = Period(counts, np.full(operators, variance(noise)), np.ones(operators, dtype=bool))
    when = period_label(*question.days, question.own.charter.time_zone)
    figures = Figures(
        level=NATION,
        areas=[COUNTRY],
        columns=[Column(when, label) for label in question.keyset.labels],
        estimate=total,
        std_error=np.full(shape, np.sqrt(spread) if told else np.inf),
        interval=Interval(total - near, total + near, total - far, total + far),
        size=total,
        gamma=np.ones(shape),
        noise_share=np.ones(shape),
        imputed=np.zeros(shape, dtype=bool),
        flag=confidentiality(period, question.own.charter.publication.dominance_percent / 100)[None, :],
    )
    return Estimated(
        [figures],
        "subscribers of the operators that answered, added up; the interval is that of the noise alone",
        {},
        warnings=[] if told else ["one operator answered alone: its counts are withheld"],
        additive=False,
    )


@dataclass(frozen=True)
class _Sums:
    """Indicators of some days, added up over operators and days: the sums, and the variance of the noise in each."""

    counts: Values
    noise: float
    days: int


def indicators_of(question: Question) -> Json:
    """Return what the report of a release says of rejected rows and truncation, ready for JSON.

    The indicators are those that the same operators gave for the same days, of which there must be estimates already:
    with more operators or fewer, two reports would differ by what one operator counted.
    """
    if len(question.answers) < FEWEST:
        return _not_measured("one operator answered alone, and its indicators are withheld")
    products = [one for one in question.own.charter.products if one.statistic == QUALITY_INDICATORS]
    if not products:
        return _not_measured("the charter has no quality indicators; operators keep these counts")
    for product in products:
        found = _sums(question, product)
        if found is not None:
            return _told(question, product, found)
    return _not_measured("no indicators of these days by the same operators had been estimated")


def _not_measured(why: str) -> Json:
    return {"not measured": [f"rejected rows and truncation: {why}"]}


def _counts(question: Question, answers: Sequence[Answer]) -> Values:
    return np.stack([vector_of(question.own, answer) for answer in answers]).astype(np.float64)


def _sums(question: Question, product: Product) -> _Sums | None:
    """Return the indicators of all days that have them by the same operators; None if no day has."""
    sums, noise, days = np.zeros(len(INDICATORS)), 0.0, 0
    for day in days_between(*question.days):
        own = question.terms.product == product.product_id
        given = question.answers if own else question.earlier(product.product_id, (day, day), None)
        if sorted(answer.operator for answer in given) != sorted(question.operators):
            continue
        terms = given[0].order.terms
        sums += _counts(question, given).sum(axis=0)
        noise += len(given) * variance(noise_of(terms.mechanism, terms.levels[0].scale_milli))
        days += 1
    return _Sums(sums, noise, days) if days else None


def _told(question: Question, product: Product, found: _Sums) -> Json:
    """Return the parts of subscribers, or why there are none: a part of what may be nobody is none."""
    if found.counts[_SUBSCRIBERS] <= GATE * math.sqrt(found.noise):
        return _not_measured("the indicators are within their noise")
    given = product.parameters
    return {
        "indicators": {
            "product": product.product_id,
            "days": found.days,
            "days of the release": len(days_between(*question.days)),
        },
        "rejected rows": _part(found, _REJECTED),
        "truncated": {
            f"more than {given['zones_limit']} zones": _part(found, _ZONES),
            f"more than {given['flows_limit']} flows": _part(found, _FLOWS),
        },
        "not measured": [],
    }


def _part(found: _Sums, place: int) -> Json:
    whole = found.counts[_SUBSCRIBERS]
    part = found.counts[place] / whole
    error = math.sqrt(found.noise * (1 + part**2)) / whole
    # What is published is not negative, and never was an exact number.
    return {"part of subscribers": round(max(part, 0.0), 4), "standard error": round(error, 5)}
