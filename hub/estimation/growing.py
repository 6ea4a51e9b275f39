"""Residents of releases after the register's date: they grow from it by what the operators counted then and now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hub.config import Agreement
from hub.estimation.assumed import Assumed
from hub.estimation.by_ratio import by_ratio
from hub.estimation.counts import market_of, period_of
from hub.estimation.drift import Drift
from hub.estimation.estimated import Estimated, Fact, columns_of, flags_of, levels_of
from hub.estimation.figures import Residents
from hub.estimation.published import Figures, Interval
from hub.estimation.question import Question
from hub.estimation.residents import residents

Values = NDArray[np.float64]


def growing(question: Question) -> Estimated:
    """Return estimates of residents: grown from the register where it is older than the release, by ratio else."""
    own = question.own
    dated = own.knowledge.register_date
    if dated is None or question.days == (dated.first_day, dated.last_day):
        return by_ratio(question)
    days = dated.first_day, dated.last_day
    before = question.earlier(question.terms.product, days, None)
    if not {answer.operator for answer in before} & set(question.operators):
        return _without(question, f"{days[0]} to {days[1]}")
    first, now = period_of(own, before), period_of(own, question.answers)
    found = residents(
        own.register.population,
        first,
        now,
        np.ones((own.register.population.size, 1)),
        assumed_in(own),
        market=market_of(own, first),
        total=own.knowledge.total(question.days),
    )
    names = own.charter.operators
    return Estimated(
        [
            _figures(question, (level, areas, membership), found.of(membership))
            for level, areas, membership in levels_of(question)
        ],
        f"growth of counts since the register of {days[0]} to {days[1]}, empirical Bayes",
        _assumptions(own),
        {
            "operators in both periods": [name for name, used in zip(names, found.used, strict=True) if used],
            "tau": round(found.tau, 4),
            "share drift of zones": round(found.share_sd.sd, 4),
            "share drift of the country": round(found.share_sd_nation.sd, 4),
            "national standard error": round(found.total_sd, 5),
            "factor to the national total": round(found.adjustment, 5),
        },
        [*found.warnings, *(_named(note, names) for note in found.notes)],
    )


def _without(question: Question, when: str) -> Estimated:
    """Return estimates by ratio, with a warning: nothing was measured at the register's date."""
    plain = by_ratio(question)
    return replace(
        plain,
        warnings=[
            *plain.warnings,
            f"no operator of this release was measured at the date of the register ({when}): the figures are the "
            "register's distribution as counts spread it now, without growth",
        ],
    )


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
    registered = membership @ question.own.register.population
    error = np.hypot(found.sd * found.estimate, found.beside)
    return Figures(
        level=level,
        areas=areas,
        columns=columns_of(question),
        estimate=found.estimate[column],
        std_error=error[column],
        interval=Interval(lower_80[column], upper_80[column], lower_95[column], upper_95[column]),
        # A zone in which nobody was registered is held against its estimate alone.
        size=np.where(registered > 0, registered, found.estimate)[column],
        gamma=found.gamma[column],
        noise_share=found.noise_share[column],
        imputed=found.imputed[column],
        experimental=found.experimental[column],
        flag=flags_of(question, membership),
        adjustment=found.adjustment,
    )
