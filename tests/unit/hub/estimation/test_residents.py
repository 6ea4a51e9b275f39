"""Residents: what must hold whatever the counts are, and how good the intervals are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hub.estimation.drift import Drift
from hub.estimation.residents import Assumed, Period, Residents, residents
from tests.statistical.scenarios import MARKET, SCENARIOS, belgium, generate
from tests.statistical.score_residents import evaluate

NAMED = {scenario.name: scenario for scenario in SCENARIOS}
ASSUMED = NAMED["three operators"].assumed()


def estimated(name: str = "two operators", seed: int = 1, *, known: bool = True) -> Residents:
    country = belgium()
    before, now = generate(NAMED[name], country, np.random.default_rng(seed))
    return run(before, now, total=float(country.now.sum()) if known else None)


def run(before: Period, now: Period, total: float | None = None, assumed: Assumed = ASSUMED) -> Residents:
    country = belgium()
    return residents(country.then, before, now, np.ones((589, 1)), assumed, market=MARKET, total=total)


def flat(counts: list[float], present: list[bool], variance: float = 100.0) -> Period:
    """Return a date on which every zone has the same counts."""
    return Period(np.array(counts)[:, None] * np.ones(20), np.full(len(counts), variance), np.array(present))


def small(before: Period, now: Period, total: float | None = None) -> Residents:
    market = np.full(before.variance.size, 1 / before.variance.size)
    return residents(np.full(20, 1000.0), before, now, np.ones((20, 1)), ASSUMED, market=market, total=total)


def test_the_sum_is_the_known_total() -> None:
    found, total = estimated(), belgium().now.sum()
    assert found.estimate.sum() == pytest.approx(total, rel=1e-12)
    assert found.total_interval(0.95) == pytest.approx((total, total))


def test_counts_of_a_missing_operator_are_not_looked_at() -> None:
    before, now = generate(NAMED["two operators"], belgium(), np.random.default_rng(1))
    anything = now.counts.copy()
    anything[2] = -1e9
    changed = dataclasses.replace(now, counts=anything)
    assert np.array_equal(run(before, now).estimate, run(before, changed).estimate)


def test_who_joins_later_is_not_growth() -> None:
    before, now = flat([500, 500], [True, False]), flat([550, 500], [True, True])
    assert small(before, now).estimate == pytest.approx(np.full(20, 1100.0))


def test_who_joins_or_leaves_is_told() -> None:
    found = small(flat([500, 500, 500], [True, True, False]), flat([550, 550, 550], [True, False, True]))
    assert found.used.tolist() == [True, False, False]
    assert found.notes == [
        "operator 1 answered only at the date of the register: its counts are not used",
        "operator 2 answered only now: its counts are not used",
    ]
    assert not found.warnings, "nothing that was declared is contradicted"


def test_nobody_in_both_periods_is_told() -> None:
    with pytest.raises(ValueError, match="no operator is there in both periods"):
        small(flat([500, 500], [True, False]), flat([500, 500], [False, True]))


def test_a_missing_operator_makes_intervals_wider_and_so_does_an_unknown_total() -> None:
    three, two = estimated("three operators"), estimated()
    assert two.sd.mean() > three.sd.mean()
    unknown = estimated(known=False)
    assert unknown.sd.mean() > two.sd.mean()
    assert np.all(np.isfinite(unknown.freedom))


def test_a_zone_within_its_noise_grows_as_the_model_says_and_is_flagged() -> None:
    before, now = flat([500, 500], [True, True]), flat([550, 550], [True, True])
    now.counts[:, 3] = 10.0
    found = small(before, now)
    assert found.imputed.tolist() == [zone == 3 for zone in range(20)]
    assert found.estimate[3] == pytest.approx(1100.0)
    assert (found.gamma[3], found.noise_share[3]) == (0.0, 0.0)
    assert found.sd[3] > found.sd[4]


def test_negative_sums_are_no_error_and_have_the_growth_of_the_model() -> None:
    before, now = flat([500, 500], [True, True]), flat([550, 550], [True, True])
    before.counts[:, 0] = -300.0
    found = small(before, now)
    assert found.imputed.tolist() == [zone == 0 for zone in range(20)]
    assert found.estimate[0] == pytest.approx(1100.0)
    assert np.all(np.isfinite(found.sd))


def test_intervals_are_nested_around_the_estimate() -> None:
    found = estimated(known=False)
    (low, high), (lower, upper) = found.interval(0.80), found.interval(0.95)
    assert np.all((lower < low) & (low < found.estimate) & (found.estimate < high) & (high < upper))


def test_drift_of_shares_is_estimated_and_with_one_operator_it_is_declared() -> None:
    assert estimated("three operators").share_sd.sd == pytest.approx(0.05, abs=0.006)
    assert estimated("one operator").share_sd == Drift(ASSUMED.share_zone, np.inf)


@pytest.mark.parametrize(
    ("name", "mape"), [("three operators", 1.10), ("two operators", 1.30), ("two smaller operators", 1.32)]
)
def test_estimates_are_better_than_the_register_and_intervals_hold(name: str, mape: float) -> None:
    score = evaluate(NAMED[name], 10)
    assert score.mape <= mape
    assert 92 <= score.coverage_95 <= 97
    assert score.warned == 0
    assert score.total_inside == 100


def test_a_drift_that_was_declared_too_small_is_told() -> None:
    assert evaluate(NAMED["κ = .02 where .005 is declared"], 5).warned == 100
    assert evaluate(NAMED["κ = .02 where .02 is declared"], 5).warned == 0
    assert "drift of coverage (kappa_zone = 0.005)" in estimated("κ = .02 where .005 is declared").warnings[0]


def test_whoever_of_the_operators_is_missing_intervals_hold_on_average() -> None:
    score = evaluate(NAMED["one missing at random, total unknown"], 30)
    # The error that all zones share is one of three, each as often; 30 draws of it.
    assert 92 <= score.coverage_95 <= 97.5
    assert score.total_error <= 2.5
    assert score.total_inside == 100


@pytest.mark.parametrize("name", [name for name in NAMED if name.endswith(" missing, total unknown")])
def test_without_a_total_the_national_sum_stays_within_its_interval(name: str) -> None:
    score = evaluate(NAMED[name], 10)
    assert score.total_error <= 2.5
    assert score.total_inside == 100
