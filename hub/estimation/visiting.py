"""Visitors of a date by country: a stratum of their own, calibrated to border or accommodation statistics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub.estimation.drift import Drift
from hub.estimation.estimated import Estimated, flags_of, levels_of, summed
from hub.estimation.published import Column, Figures, Interval, share_of
from hub.estimation.quantiles import quantile
from hub.estimation.question import Question
from hub.estimation.roamers import Assumed, Totals
from hub.estimation.visitors import Visitors, visitors
from quorate.contract.calendar import period_label

Values = NDArray[np.float64]


def visiting(question: Question) -> Estimated:
    """Return estimates of visitors by area and country (`hub.estimation.visitors`)."""
    own, combined, countries = question.own, question.combined(), question.keyset.labels
    known, declared = own.knowledge.visiting(question.days), own.charter.calibration
    told = np.array([known.get(country, (np.nan, 0.0)) for country in countries]).reshape(-1, 2)
    drift = Drift(declared.roaming_factor_permille / 1000, float(declared.roaming_factor_worth))
    found = visitors(
        np.concatenate([combined.zones, combined.specials]),
        float(np.mean(combined.zone_variance)),
        Totals(told[:, 0], told[:, 1] ** 2),
        Assumed(drift),
        size=own.register.population,
    )
    # A factor is a count of roamers if the total is known.
    several = len(question.answers) > 2
    when = period_label(*question.days, own.charter.time_zone)
    columns = [Column(when, country) for country in countries]
    return Estimated(
        [_figures(question, place, found, columns) for place in levels_of(question)],
        "roamers by country, calibrated to known totals; " + " ".join(found.scope),
        {
            "spread of visitors for each roamer between countries": drift.sd,
            "worth so many countries": drift.freedom,
        },
        {
            "countries with a known total": [name for name in countries if name in known],
            "visitors for each roamer": [_rounded(value) for value in found.factor] if several else None,
            "spread of the factor": round(found.factor_sd.sd, 3),
        },
    )


def _rounded(value: float) -> float | None:
    return float(f"{value:.1e}") if np.isfinite(value) else None


def _figures(
    question: Question, place: tuple[str, list[str], Values], found: Visitors, columns: list[Column]
) -> Figures:
    level, areas, membership = place
    zones = membership.shape[1]
    inside = np.zeros((membership.shape[0], found.estimate.shape[1]))
    inside[:, :zones] = membership
    by_country = summed(inside, found.estimate.T)
    variance = found.spread.groups(np.eye(found.estimate.shape[0]), inside).T
    noise = inside @ np.nan_to_num(found.noise.T, posinf=0.0)
    square = np.nan_to_num(found.estimate) ** 2
    # What the factor of a country does not know is the same part of all its cells.
    doubt = (found.common / np.where(square > 0, square, np.inf)).max(axis=1)
    common = doubt * np.nan_to_num(by_country) ** 2
    std_error = np.where(np.isfinite(by_country), np.sqrt(variance), np.inf)
    freedom = found.freedom * np.maximum(variance / np.where(common > 0, common, np.inf), 1.0) ** 2
    freedom = np.where(common > 0, freedom, np.inf)
    reach_80, reach_95 = (quantile(level_, freedom) * std_error for level_ in (0.80, 0.95))
    imputed = np.broadcast_to(found.imputed, by_country.shape)
    return Figures(
        level=level,
        areas=areas,
        columns=columns,
        estimate=by_country,
        std_error=std_error,
        interval=Interval(
            by_country - reach_80, by_country + reach_80, by_country - reach_95, by_country + reach_95
        ),
        size=by_country,
        gamma=inside @ np.nan_to_num(found.gamma.T) / inside.sum(axis=1, keepdims=True),
        noise_share=share_of(noise, std_error**2),
        imputed=imputed,
        flag=flags_of(question, membership),
    )
