"""Commuting: small tables by hand, dense least squares, what always holds, and how good it is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.estimation.od import commuting
from hub.estimation.od_margins import met
from hub.estimation.od_table import Assumed, Counted, Known, Model, Table
from tests.statistical.commuting_world import WORLDS, land, seen
from tests.statistical.score_commuting import estimated, evaluate

Values = NDArray[np.float64]
NAMED = {world.name: world for world in WORLDS}
CELLS = np.array([[60.0, 20.0, 20.0], [10.0, 80.0, 10.0]])
COUNTED = Counted(CELLS, 4.0)
HOMES = Known.exactly(np.array([200.0, 150.0]))


def covariance(table: Table) -> Values:
    rows = range(table.estimate.shape[0])
    return np.block([[table.spread.between(one, other) for other in rows] for one in rows])


def belgium(name: str = "43 zones, σ = 100", seed: int = 1) -> tuple[Counted, Table]:
    chance = np.random.default_rng(seed)
    counted = seen(NAMED[name], land(), chance)
    return counted, estimated(NAMED[name], land(), counted, chance)


def test_subscribers_of_a_home_zone_stand_for_those_who_live_there() -> None:
    # Weights 200/100 and 150/100.
    found = commuting(COUNTED, HOMES)
    assert found.estimate == pytest.approx(np.array([[120.0, 40.0, 40.0], [15.0, 120.0, 15.0]]))
    assert not found.imputed.any()
    assert "not the usual place of work" in found.scope[0]


def test_variances_are_what_the_fractions_say() -> None:
    # p = (3/5, 1/5, 1/5), weight 2: noise 2²·4·(1 - 2·3/5 + 3·9/25) = 352/25, chance 2²·100·3/5·2/5 = 96.
    # Of the first two: 2²·4·(-3/5 - 1/5 + 3·3/25) = -176/25, and -2²·100·3/25 = -48.
    found = commuting(COUNTED, HOMES)
    assert found.sd[0, 0] ** 2 == pytest.approx(352 / 25 + 96)
    assert found.noise[0, 0] == pytest.approx(352 / 25)
    assert found.spread.between(0, 0)[0, 1] == pytest.approx(-176 / 25 - 48)
    # Persons known to ±10: 10²·p² more.
    uncertain = commuting(COUNTED, Known(HOMES.persons, np.array([100.0, 0.0])))
    assert uncertain.sd[0, 0] ** 2 == pytest.approx(352 / 25 + 96 + 36)


def test_customers_who_lean_to_other_zones_make_those_who_stay_as_uncertain() -> None:
    # lean .1: persons in other zones 40 ± 4, of the row's 200 again: (1 - 1/5)·4 there, and -3/5·4 of those who stay.
    plain, found = (commuting(COUNTED, HOMES, assumed=Assumed(1.0, lean)) for lean in (0.0, 0.1))
    more = found.spread.variance() - plain.spread.variance()
    assert more[0] == pytest.approx([2.4**2, 3.2**2, 0.8**2])


def test_a_second_count_of_homes_makes_the_weight_better_known() -> None:
    # u = y + (t - Σy)·V/(3V + V_t) = y + 10·4/16 each: (62.5, 22.5, 22.5).
    counted = dataclasses.replace(COUNTED, totals=np.array([110.0, 100.0]), totals_noise=4.0)
    found = commuting(counted, HOMES)
    assert found.estimate[0] == pytest.approx(200 * np.array([62.5, 22.5, 22.5]) / 107.5)
    assert np.all(found.noise <= commuting(COUNTED, HOMES).noise)


def test_who_leaves_is_told_by_their_sum_and_by_the_second_count() -> None:
    # 20 of variance 4, and 110 - 60 - 20 = 30 of variance 4 + 2·4: weights 3/4 and 1/4.
    counted = dataclasses.replace(COUNTED, totals=np.array([110.0, 100.0]), totals_noise=4.0)
    leaving, variance = counted.leaving()
    assert leaving == pytest.approx([22.5, 10.0])
    assert variance == pytest.approx(9 / 16 * 4 + 1 / 16 * 12)
    assert COUNTED.leaving()[1] == 4.0


DAYS = Known(np.array([140.0, 155.0]), np.array([0.0, 25.0]))


@pytest.mark.parametrize("homes_variance", [0.0, 64.0])
def test_known_sums_by_day_zone_are_met_as_dense_least_squares_meet_them(homes_variance: float) -> None:
    homes = Known(HOMES.persons, np.full(2, homes_variance))
    before, found = commuting(COUNTED, homes, smooth=False), commuting(COUNTED, homes, DAYS, smooth=False)
    design = np.array([[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 1, 0]], dtype=np.float64)
    matrix = covariance(before)
    gain = matrix @ design.T @ np.linalg.inv(design @ matrix @ design.T + np.diag(DAYS.variance))
    expected = before.estimate.ravel() + gain @ (DAYS.persons - design @ before.estimate.ravel())
    assert found.estimate.ravel() == pytest.approx(expected)
    assert covariance(found) == pytest.approx(matrix - gain @ design @ matrix, abs=1e-6)
    assert found.estimate[:, 0].sum() == pytest.approx(140.0)
    rest = DAYS.persons - design @ before.estimate.ravel()
    square = rest @ np.linalg.inv(design @ matrix @ design.T + np.diag(DAYS.variance)) @ rest
    assert found.disagreement == pytest.approx((square / 2) ** 0.5)
    if homes_variance == 0:
        assert found.estimate.sum(axis=1) == pytest.approx(HOMES.persons)


def test_sums_that_cannot_be_true_together_are_told() -> None:
    table = commuting(COUNTED, HOMES)
    with pytest.raises(ValueError, match="do not go together"):
        met(table, Known.exactly(np.array([100.0, 100.0, 100.0])))
    held = met(table, Known.exactly(np.array([150.0, 150.0, 50.0])))
    assert held.estimate.sum(axis=0) == pytest.approx([150.0, 150.0, 50.0])
    assert held.estimate.sum(axis=1) == pytest.approx([200.0, 150.0])


def test_where_nobody_lives_and_where_nobody_is_by_day_is_nobody() -> None:
    cells = np.array([[60.0, 3.0, 40.0, 20.0], [1.0, -2.0, 2.0, 1.0], [30.0, -4.0, 90.0, 10.0]])
    homes, days = Known.exactly(np.array([200.0, 0.0, 150.0])), Known.exactly(np.array([160.0, 0.0, 150.0]))
    found = commuting(Counted(cells, 4.0), homes, days)
    assert not found.estimate[1].any()
    assert not found.estimate[:, 1].any()
    assert not found.sd[1].any()
    assert not found.sd[:, 1].any()
    assert not found.imputed.any()
    assert found.estimate.sum(axis=0)[:3] == pytest.approx([160.0, 0.0, 150.0])


def test_a_country_of_one_zone_has_a_table_of_one_row() -> None:
    found = commuting(Counted(np.array([[90.0, 10.0]]), 1.0), Known.exactly(np.array([200.0])))
    assert found.estimate == pytest.approx(np.array([[180.0, 20.0]]))


def test_a_table_of_noise_alone_says_nothing() -> None:
    cells = np.random.default_rng(2).normal(0, 10, (4, 5))
    found = commuting(Counted(cells, 100.0), Known.exactly(np.full(4, 1000.0)))
    assert found.imputed.all()
    assert np.isnan(found.estimate).all()
    assert np.isinf(found.sd).all()
    with pytest.raises(ValueError, match="while an origin is unknown"):
        met(found, Known.exactly(np.full(5, 800.0)))


def test_an_origin_without_a_signal_has_the_pattern_of_the_others_and_is_flagged() -> None:
    counted, plain = belgium()
    counted.cells[7] = np.random.default_rng(4).normal(0, 173, 44)
    assert counted.totals is not None
    counted.totals[7] = -50.0
    found = commuting(counted, Known.exactly(land().owners), distance=land().distance)
    assert np.flatnonzero(found.imputed).tolist() == [7]
    assert found.estimate[7].sum() == pytest.approx(land().owners[7])
    assert not found.gamma[7].any()
    assert np.all(np.isfinite(found.sd[7]))
    assert found.sd[7, 7] > 3 * plain.sd[7, 7]


def test_negative_cells_stay() -> None:
    cells = np.array([[60.0, -5.0, 20.0], [10.0, 80.0, 10.0]])
    assert commuting(Counted(cells, 4.0), HOMES, smooth=False).estimate[0, 1] < 0


def test_a_table_of_an_earlier_period_can_be_the_model() -> None:
    counted, learnt = belgium("43 zones, σ = 400")
    chance, country = np.random.default_rng(9), land()
    before = Model.exactly(country.table * np.exp(chance.normal(0, 0.1, country.table.shape)))
    found = commuting(counted, Known.exactly(country.owners), model=before)
    error, other = (np.abs(one.estimate - country.table).sum() for one in (found, learnt))
    assert error < 0.6 * other


@settings(max_examples=25)
@given(
    st.lists(st.floats(-20, 400), min_size=12, max_size=12),
    st.lists(st.floats(1, 5000), min_size=3, max_size=3),
    st.floats(0.1, 20),
)
def test_exact_sums_by_home_hold_and_estimates_go_with_them(
    counts: list[float], homes: list[float], c: float
) -> None:
    cells = np.array(counts).reshape(3, 4)
    cells[:, 0] += 500.0
    people = np.array(homes)
    one = commuting(Counted(cells, 9.0), Known.exactly(people))
    other = commuting(Counted(cells, 9.0), Known.exactly(c * people))
    assert one.estimate.sum(axis=1) == pytest.approx(people)
    assert other.estimate == pytest.approx(c * one.estimate)
    assert other.sd == pytest.approx(c * one.sd)


@pytest.mark.parametrize("name", ["43 zones, σ = 100", "43 zones, σ = 100, sums by day zone known"])
def test_the_order_of_zones_does_not_matter(name: str) -> None:
    country, order = land(), np.random.default_rng(3).permutation(43)
    counted, found = belgium(name)
    cells = counted.cells[np.ix_(order, np.append(order, 43))]
    totals = None if counted.totals is None else counted.totals[order]
    days = Known.exactly(country.table.sum(axis=0)[order]) if NAMED[name].destinations else None
    other = commuting(
        dataclasses.replace(counted, cells=cells, totals=totals),
        Known.exactly(country.owners[order]),
        days,
        assumed=Assumed(0.65),
        distance=country.distance[np.ix_(order, order)],
    )
    back = np.argsort(order)
    again = np.ix_(back, np.append(back, 43))
    assert other.estimate[again] == pytest.approx(found.estimate, rel=1e-4, abs=0.5)
    assert other.sd[again] == pytest.approx(found.sd, rel=1e-3, abs=0.5)


def test_estimates_are_far_better_than_noisy_counts_with_one_weight_and_intervals_hold() -> None:
    score = evaluate(NAMED["43 zones, σ = 100"], 10)
    assert score.wmape < score.national / 5
    assert score.wmape < score.by_presence / 2
    assert 93 <= score.coverage_95 <= 97
    assert 89 <= score.coverage_95_arriving <= 98


def test_a_missing_operator_is_no_bias() -> None:
    score = evaluate(NAMED["43 zones, σ = 100, third operator missing"], 10)
    assert score.wmape < 2.0
    assert 93 <= score.coverage_95 <= 97


@pytest.mark.full
@pytest.mark.parametrize("name", [name for name in NAMED if "not declared" not in name])
def test_intervals_hold_in_every_world(name: str) -> None:
    assert 93 <= evaluate(NAMED[name], 40).coverage_95 <= 98


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(ValueError, match="one number of persons for each zone"):
        commuting(COUNTED, Known.exactly(np.ones(3)))
    with pytest.raises(ValueError, match="distances are between zones"):
        commuting(COUNTED, HOMES, distance=np.zeros((3, 3)))
    with pytest.raises(ValueError, match="shape of the counts"):
        commuting(COUNTED, HOMES, model=Model.exactly(-CELLS))
    with pytest.raises(ValueError, match="finite numbers, not negative"):
        Known.exactly(np.array([-1.0]))
    with pytest.raises(ValueError, match="last column"):
        Counted(np.ones((2, 2)), 1.0)
    with pytest.raises(ValueError, match="counts are finite"):
        Counted(CELLS * np.nan, 1.0)
