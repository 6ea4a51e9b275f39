"""Residents without a register: counts over the coverage that a survey tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hub.estimation.coverage import Survey, residents_by_coverage
from hub.estimation.figures import Residents, Total
from hub.estimation.period import Period
from privacy.errors import UsageProblem

ZONES = 40


def counted(persons: object, phones: float = 2.0, variance: float = 100.0) -> Period:
    values = phones * np.asarray(persons, dtype=np.float64)
    return Period(values[None, :], np.array([variance]), np.array([True]))


def surveyed(persons: NDArray[np.float64], every: int = 2, sd: float = 0.05) -> Survey:
    there = np.arange(persons.size) % every == 0
    return Survey(np.where(there, persons, np.nan), np.full(persons.size, sd**2))


def run(
    now: Period, survey: Survey, total: float | Total | None = None, tau: float | None = None
) -> Residents:
    zones = now.counts.shape[1]
    return residents_by_coverage(
        now,
        survey,
        np.ones((zones, 1)),
        np.zeros((zones, 1, 1)),
        chance=np.random.default_rng(1),
        draws=400,
        total=total,
        tau=tau,
    )


PERSONS = np.linspace(2000.0, 50_000.0, ZONES)


def test_where_phones_by_person_are_the_same_everywhere_counts_tell_everything() -> None:
    found = run(counted(PERSONS), surveyed(PERSONS))
    # Half of the variance below, so that sums are right on average.
    assert found.estimate == pytest.approx(PERSONS * np.exp(-(found.sd**2) / 2), rel=1e-6)
    assert found.experimental.all()
    assert not found.imputed.any()
    # What is left is the mean of 20 surveys, .05²/20, and what a count errs by.
    phones = 2 * PERSONS[1::2]
    assert found.sd[1::2] ** 2 == pytest.approx(0.05**2 / 20 + 100 / phones**2 + 1 / phones, rel=0.15)


def test_where_coverage_varies_as_declared_survey_and_counts_share_as_their_variances_say() -> None:
    # Zone 0: counts say 1.1 times the survey. τ = F^½ = .05, noise and chance are nothing: half of the way.
    persons = np.full(ZONES, 1e6)
    now = counted(persons, variance=1.0)
    now.counts[0, 0] *= 1.1
    found = run(now, surveyed(persons), tau=0.05)
    common = np.log(1.1) / 20
    grown = np.log(found.estimate[0] / 1e6) + found.sd[0] ** 2 / 2
    assert grown == pytest.approx((np.log(1.1) - common) / 2, rel=1e-3)
    assert found.gamma[0] == pytest.approx(0.5, abs=0.001)
    assert found.sd[0] ** 2 == pytest.approx(0.05**2 / 2 + 0.25 * 0.005 / 20, rel=0.05)
    assert found.sd[1] ** 2 == pytest.approx(0.05**2 + 0.005 / 20, rel=0.05)


def test_a_zone_within_its_noise_has_the_survey_or_its_bare_count() -> None:
    persons = PERSONS.copy()
    now = counted(persons)
    now.counts[0, 0], now.counts[0, 1], now.counts[0, 3] = 30.0, 30.0, -20.0
    found = run(now, surveyed(persons))
    assert found.estimate[0] == persons[0]
    assert found.sd[0] == pytest.approx(0.05)
    assert found.gamma[0] == 0.0
    # 30 phones are 15 persons, with √(100 + 30)/2 as standard deviation; −20 are nobody, as the last step.
    assert found.estimate[1] == pytest.approx(15.0, rel=0.01)
    assert found.interval(0.95)[1][1] == pytest.approx(15 + 1.96 * 130**0.5 / 2, rel=0.02)
    assert found.estimate[3] == 0.0
    assert found.interval(0.95)[0][3] == 0.0
    assert found.interval(0.95)[1][3] == pytest.approx(1.96 * 5, rel=0.02)


def test_a_known_total_takes_the_common_error_away() -> None:
    now, survey = counted(PERSONS), surveyed(PERSONS * 1.015)
    free, bound = run(now, survey), run(now, survey, total=float(PERSONS.sum()))
    assert free.estimate.sum() == pytest.approx(1.015 * PERSONS.sum(), rel=1e-3)
    assert bound.estimate == pytest.approx(PERSONS, rel=1e-3)
    assert bound.total_interval(0.95) == pytest.approx((PERSONS.sum(), PERSONS.sum()))
    assert free.total_interval(0.95)[0] < PERSONS.sum() < free.total_interval(0.95)[1]


def test_too_few_surveys_are_told() -> None:
    survey = surveyed(PERSONS, every=ZONES)
    with pytest.raises(UsageProblem, match="1 zones have a survey and a count") as told:
        run(counted(PERSONS), survey)
    assert "survey more zones" in told.value.todo
    with pytest.raises(ValueError, match="no operator answered"):
        run(replace(counted(PERSONS), present=np.array([False])), surveyed(PERSONS))


def test_intervals_hold_where_covariates_are_a_survey_with_errors() -> None:
    chance, zones = np.random.default_rng(9), 150
    inside, national = [], []
    for _ in range(60):
        persons = np.exp(chance.normal(9, 1, zones))
        use, error = chance.normal(0, 1, zones), 0.7
        phones = persons * np.exp(0.2 + 0.15 * use + chance.normal(0, 0.08, zones))
        now = Period(
            (chance.poisson(phones) + chance.normal(0, 80, zones))[None, :],
            np.array([6400.0]),
            np.array([True]),
        )
        there = chance.random(zones) < 0.4
        survey = Survey(
            np.where(there, persons * np.exp(chance.normal(0, 0.06, zones)), np.nan), np.full(zones, 0.0036)
        )
        errors = np.zeros((zones, 2, 2))
        errors[:, 1, 1] = error**2
        covariates = np.stack([np.ones(zones), use + chance.normal(0, error, zones)], axis=1)
        found = residents_by_coverage(now, survey, covariates, errors, chance=chance, draws=60)
        low, high = found.interval(0.95)
        inside.append((low <= persons) & (persons <= high))
        total = found.total_interval(0.95)
        national.append(total[0] <= persons.sum() <= total[1])
    assert 0.93 <= np.mean(inside) <= 0.97
    # 60 intervals: five standard errors below 95 %.
    assert np.mean(national) >= 0.82
