"""Residents of releases after the register's date: they grow from it by what the operators counted then and now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from hub.config import Agreement
from hub.estimation.assumed import Assumed
from hub.estimation.by_ratio import by_ratio
from hub.estimation.chance import chance_of
from hub.estimation.counts import market_of, period_of
from hub.estimation.drift import Drift
from hub.estimation.estimated import Estimated, Fact, columns_of, flags_of, levels_of
from hub.estimation.figures import Residents, Total
from hub.estimation.period import Period
from hub.estimation.published import Figures, Interval, held_against
from hub.estimation.question import Answer, Question, counted
from hub.estimation.residents import residents
from privacy.errors import UsageProblem

Values = NDArray[np.float64]
#: By how much periods may differ in length, and the parts of subscribers without a home, to be compared.
_SAME_LENGTH, _ANCHORED = 0.11, 0.02
_UNCHECKED = (
    "kappa cannot be checked: without tau of the register's history a drift of coverage looks like growth"
)
#: A known total that is farther than this from what was counted, and more imputed zones than this part, are told.
_FAR, _IMPUTED = 0.03, 0.5


def growing(question: Question) -> Estimated:
    """Return estimates of residents: grown from the register where it is older than the release, by ratio else."""
    own = question.own
    dated = own.knowledge.register_date
    if dated is None or question.days == (dated.first_day, dated.last_day):
        return by_ratio(question)
    days = dated.first_day, dated.last_day
    before = question.earlier(question.terms.product, days, None)
    both = [answer for answer in question.answers if answer.operator in {other.operator for other in before}]
    if problem := _unfit(question, days, len(both)):
        return _without(question, problem)
    first, now = period_of(own, before), period_of(own, question.answers)
    try:
        found = _found(question, first, now)
    except UsageProblem as error:
        return _without(question, error.what)
    used = Question(own, both, question.earlier)
    names = own.charter.operators
    return Estimated(
        [
            _figures(used, (level, areas, membership), found.of(membership))
            for level, areas, membership in levels_of(question)
        ],
        f"growth of counts since the register of {days[0]} to {days[1]}, empirical Bayes",
        _assumptions(own),
        {
            "operators in both periods": [name for name, used in zip(names, found.used, strict=True) if used],
            "tau": round(found.tau, 4),
            "share drift of zones": round(found.share_sd.sd, 4),
            "share drift of the country": round(found.share_sd_nation.sd, 4),
            "national standard error": round(found.total_sd, 4),
            "factor to the national total": round(found.adjustment, 4),
        },
        [
            *found.warnings,
            *(_named(note, names) for note in found.notes),
            *_anchored_otherwise(own, before, both),
            *([] if dated.tau else [_UNCHECKED]),
            *_doubts(found),
        ],
        operators=len(both),
    )


def _doubts(found: Residents) -> list[str]:
    """Say where the known total and the counts contradict each other, and where most zones are the model's."""
    told = []
    if abs(found.adjustment - 1) > _FAR:
        told.append(
            f"the known national total is {found.adjustment - 1:+.1%} off what was counted: one of them has an error"
        )
    part = float(np.mean(found.imputed))
    if part > _IMPUTED:
        told.append(
            f"{part:.0%} of the zones are within their noise: they have the growth of the model alone"
        )
    return told


def _unfit(question: Question, days: tuple[date, date], both: int) -> str:
    """Return why counts of the register's date cannot be compared with those of a release, nothing if they can."""
    first, last = question.days
    least = question.own.charter.publication.min_operators
    if first <= days[1]:
        return f"the register's period {days[0]} to {days[1]} is not before that of the release"
    length, other = (last - first).days + 1, (days[1] - days[0]).days + 1
    if abs(length - other) > _SAME_LENGTH * other:
        return f"{length} days find other homes than the {other} days of the register's period"
    if not both:
        return (
            f"no operator of this release was measured at the date of the register ({days[0]} to {days[1]})"
        )
    if both < least:
        return f"{both} operators were measured at both dates, and the charter asks for {least}"
    return ""


def _anchored_otherwise(own: Agreement, before: Sequence[Answer], now: Sequence[Answer]) -> list[str]:
    """Say if another part of the subscribers has a home than at the date of the register: that looks like growth."""
    operators = {answer.operator for answer in now}
    parts = [
        _without_home(own, [one for one in given if one.operator in operators]) for given in (before, now)
    ]
    if abs(parts[0] - parts[1]) < _ANCHORED:
        return []
    return [
        f"{parts[0]:.0%} of the subscribers had no home at the date of the register, {parts[1]:.0%} have none now: "
        "counts changed by how homes are found, not by growth"
    ]


def _without_home(own: Agreement, answers: Sequence[Answer]) -> float:
    nowhere = sum(float(counted(own, answer).special.sum()) for answer in answers)
    found = sum(float(counted(own, answer).zones.sum()) for answer in answers)
    return nowhere / (nowhere + found) if nowhere + found > 0 else 0.0


def _found(question: Question, first: Period, now: Period) -> Residents:
    own, known = question.own, question.own.knowledge.total(question.days)
    return residents(
        own.register.population,
        first,
        now,
        np.ones((own.register.population.size, 1)),
        assumed_in(own),
        market=market_of(own, first),
        total=None if known is None else Total(known.persons, known.sd / known.persons),
        chance=chance_of(question),
    )


def _without(question: Question, why: str) -> Estimated:
    """Return estimates by ratio, with a warning: nothing can grow from the register's date."""
    plain = by_ratio(question)
    warnings = [f"{why}: the figures are the register's distribution as counts spread it now, without growth"]
    if question.own.knowledge.total(question.days) is not None:
        warnings.append("the known national total is not used: one ratio scales to the register")
    return replace(plain, warnings=[*plain.warnings, *warnings])


def assumed_in(own: Agreement) -> Assumed:
    """Return what is declared in the charter, and what the history of the register says."""
    declared, dated = own.charter.calibration, own.knowledge.register_date
    return Assumed(
        kappa_zone=declared.coverage_drift_zone_permille / 1000,
        kappa_nation=declared.coverage_drift_nation_permille / 1000,
        share_zone=declared.share_drift_zone_permille / 1000,
        share_nation=Drift(
            declared.share_drift_nation_permille / 1000, float(declared.share_drift_nation_worth)
        ),
        tau=dated.tau if dated else None,
        scatter=dated.scatter if dated else 0.0,
    )


def _assumptions(own: Agreement) -> Mapping[str, Fact]:
    sure, dated = assumed_in(own), own.knowledge.register_date
    return {
        "kappa_zone": sure.kappa_zone,
        "kappa_nation": sure.kappa_nation,
        "share drift of a zone, if it cannot be estimated": sure.share_zone,
        "share drift of the country": sure.share_nation.sd,
        "worth so many operators": sure.share_nation.freedom,
        "tau of the register's history": dated.tau if dated else None,
        "scatter of the register's history": dated.scatter if dated else None,
    }


def _named(note: str, names: Sequence[str]) -> str:
    """Return a note that names an operator as the charter does, not by its number."""
    for place, name in enumerate(names):
        if note.startswith(f"operator {place} "):
            return f"operator {name} " + note.removeprefix(f"operator {place} ")
    return note


def _figures(question: Question, place: tuple[str, Sequence[str], Values], found: Residents) -> Figures:
    level, areas, membership = place
    (lower_80, upper_80), (lower_95, upper_95) = found.interval(0.80), found.interval(0.95)
    column = (slice(None), None)
    error = np.hypot(found.sd * found.estimate, found.beside)
    return Figures(
        level=level,
        areas=areas,
        columns=columns_of(question),
        estimate=found.estimate[column],
        std_error=error[column],
        interval=Interval(lower_80[column], upper_80[column], lower_95[column], upper_95[column]),
        size=held_against(membership @ question.own.register.population, found.estimate[column]),
        gamma=found.gamma[column],
        noise_share=found.noise_share[column],
        imputed=found.imputed[column],
        experimental=found.experimental[column],
        flag=flags_of(question, membership),
        adjustment=found.adjustment,
    )
