"""Tables of origins and destinations as releases have them: commuting of a period, and flows of a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hub.estimation.counts import market_of, period_of
from hub.estimation.estimated import Estimated, Fact, alone, levels_of, summed
from hub.estimation.flow_weights import Weights, by_presence, nationally
from hub.estimation.flows import Kept, flows
from hub.estimation.od import commuting
from hub.estimation.od_table import Assumed, Counted, Known, Table
from hub.estimation.presence import stands_out
from hub.estimation.published import Column, Figures, normal_interval, share_of
from hub.estimation.question import Question
from privacy.statistics import ANCHORS_BY_DAY, RESIDENTS
from quorate.contract.calendar import period_label
from quorate.contract.zoning import ZONE

Values = NDArray[np.float64]
#: Code of who has no destination in an area (SDMX: unspecified).
NO_AREA = "_X"


def commuted(question: Question) -> Estimated:
    """Return estimates of persons with a phone by home area and day area (`hub.estimation.od`)."""
    own, combined = question.own, question.combined()
    totals, noise = _residents(question)
    counted = Counted(
        combined.zones, float(np.mean(combined.zone_variance)), totals=totals, totals_noise=noise
    )
    assumed = _assumed(question)
    table = commuting(
        counted,
        Known.exactly(own.register.phone_owners),
        assumed=assumed,
        distance=_distances(question),
    )
    return _estimated(
        question, table, "home by day zone, weighted by home, small cells lean on a model", assumed, []
    )


def flowed(question: Question) -> Estimated:
    """Return estimates of persons with a trip from one area to another on a day (`hub.estimation.flows`)."""
    combined, assumed = question.combined(), _assumed(question)
    weights, warnings = _weights(question)
    found = flows(
        np.concatenate([combined.zones, combined.specials]),
        float(np.mean(combined.zone_variance)),
        weights,
        Kept(),
        assumed=assumed,
        distance=_distances(question),
    )
    made = _estimated(question, found.table, "trips between zones, weighted by origin", assumed, warnings)
    kept = {"part of the pairs that was kept at the limit": Kept().part}
    return replace(made, assumptions={**made.assumptions, **kept})


def _residents(question: Question) -> tuple[Values | None, float]:
    """Return the same subscribers by home, counted by the same operators with noise of its own; None without."""
    own = question.own
    for product in own.charter.products:
        night = product.parameters.get("night_hours"), product.parameters.get("min_nights")
        asked = own.charter.product(question.terms.product).parameters
        if product.statistic == RESIDENTS and night == (asked.get("night_hours"), asked.get("min_nights")):
            given = question.earlier(product.product_id, question.days, None)
            same = [answer for answer in given if answer.operator in question.operators]
            if len(same) == len(question.answers):
                period = period_of(own, same)
                counts, noise = period.of(period.present)
                return counts, float(noise.mean())
    return None, 0.0


def _assumed(question: Question) -> Assumed:
    return Assumed(dispersion=1.0, lean=question.own.charter.calibration.model_cv_permille / 1000)


def _distances(question: Question) -> Values | None:
    """Return distances between zones in metres, None if the zoning has no centres."""
    positions = question.own.zoning.positions()
    if positions is None:
        return None
    x, y = np.array(positions, dtype=np.float64).T
    return np.asarray(np.hypot(x[:, None] - x, y[:, None] - y), np.float64)


def _weights(question: Question) -> tuple[Weights, list[str]]:
    """Return how many persons a traveller stands for: by anchors of the same day, or one number for the country."""
    own = question.own
    for product in own.charter.products:
        if product.statistic == ANCHORS_BY_DAY:
            given = question.earlier(product.product_id, question.days, None)
            same = [answer for answer in given if answer.operator in question.operators]
            if len(same) == len(question.answers):
                period = period_of(own, same)
                counts, noise = period.of(period.present)
                if not stands_out(own.register.phone_owners, counts, noise).any():
                    return _one_weight(
                        question, "the anchors of this day are within their noise in every zone"
                    )
                return by_presence(Known.exactly(own.register.phone_owners), counts, noise), []
    return _one_weight(question, "there is no release of anchors of this day by the same operators")


def _one_weight(question: Question, why: str) -> tuple[Weights, list[str]]:
    """Return one weight: persons for each subscription by a survey, and for the operators that are missing."""
    own = question.own
    survey = own.knowledge.subscriptions
    missing = [f"{why}: one weight for all origins"]
    if survey is None:
        missing.append("no survey of subscriptions: counted subscriptions are taken for persons")
    per_person, sd = (survey.per_person, survey.sd) if survey else (1.0, 0.0)
    names = own.charter.operators
    answered = np.array([name in question.operators for name in names])
    share = float(market_of(own, period_of(own, []))[answered].sum())
    persons = 1.0 / (per_person * share)
    spread = own.charter.calibration.share_sd_permille / 1000
    weights = nationally(
        (persons, (persons * sd / per_person) ** 2), (1.0, 0.0), own.register.phone_owners, spread
    )
    return weights, missing


def _estimated(
    question: Question, table: Table, method: str, assumed: Assumed, warnings: Sequence[str]
) -> Estimated:
    size = len(question.own.zoning.zones)
    facts: dict[str, Fact] = {"dispersion": assumed.dispersion, "lean": assumed.lean}
    return Estimated(
        [_figures(question, place, table, size) for place in levels_of(question)],
        f"{method}; {' '.join(table.scope)}",
        facts,
        {"origins without a signal": int(np.count_nonzero(table.imputed[:size]))},
        [*warnings, *_unused(question)],
    )


def _unused(question: Question) -> list[str]:
    """Return a warning if larger areas were measured: pairs of them have other columns than pairs of zones."""
    more = [level.name for level in question.terms.levels if level.name != ZONE]
    used = "is charged and not used: pairs of larger areas are sums of pairs of zones"
    return [f"what was measured of {', '.join(more)} {used}"] if more else []


def _figures(question: Question, place: tuple[str, list[str], Values], table: Table, zones: int) -> Figures:
    """Return the table of one level; its last column has those without a destination in an area."""
    level, areas, membership = place
    origins = np.zeros((membership.shape[0], table.estimate.shape[0]))
    origins[:, :zones] = membership
    destinations = np.zeros((membership.shape[0] + 1, table.estimate.shape[1]))
    destinations[:-1, :zones] = membership
    destinations[-1, zones:] = 1.0
    estimate = summed(destinations, summed(origins, table.estimate).T).T
    variance = table.spread.groups(origins, destinations)
    noise = origins @ np.nan_to_num(table.noise, posinf=0.0) @ destinations.T
    std_error = np.where(np.isfinite(estimate), np.sqrt(variance), np.inf)
    cells = origins.sum(axis=1)[:, None] * destinations.sum(axis=1)
    when = period_label(*question.days, question.own.charter.time_zone)
    imputed = (origins[:, :zones] @ table.imputed[:zones]) == origins[:, :zones].sum(axis=1)
    return Figures(
        level=level,
        areas=areas,
        columns=[Column(when, code, destination=True) for code in (*areas, NO_AREA)],
        estimate=estimate,
        std_error=std_error,
        interval=normal_interval(estimate, std_error),
        size=estimate,
        gamma=origins @ np.nan_to_num(table.gamma) @ destinations.T / cells,
        noise_share=share_of(noise, std_error**2),
        imputed=np.broadcast_to(imputed[:, None], estimate.shape),
        flag=alone(question, (estimate.shape[0], estimate.shape[1])),
    )
