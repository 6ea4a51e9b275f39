"""Flows of a day: small tables by hand, what is uncertain about them, and how good they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.estimation.flow_weights import Weights, by_presence, nationally
from hub.estimation.flows import Flows, Kept, flows
from hub.estimation.od_table import Assumed, Known
from tests.statistical.commuting_world import land

Values = NDArray[np.float64]
CELLS = np.array([[3.0, 100.0, 20.0], [80.0, -2.0, 40.0], [30.0, 50.0, 7.0]])
WEIGHTS = Weights(
    np.array([2.0, 3.0, 2.5]),
    np.array([0.01, 0.0, 0.04]),
    np.array([500.0, 400.0]),
    np.zeros(2, dtype=np.bool_),
)


def test_subscribers_stand_for_those_who_were_in_the_origin_and_cut_pairs_are_made_up_for() -> None:
    found = flows(CELLS, 4.0, WEIGHTS, Kept(0.8, measured=True)).table
    assert found.estimate == pytest.approx(
        np.array([[0.0, 250.0, 50.0], [300.0, 0.0, 150.0], [93.75, 156.25, 0.0]])
    )
    assert not found.sd[[0, 1, 2], [0, 1, 2]].any()
    assert "80.0% were kept" in found.scope[-1]
    assert "was counted" in found.scope[-1]


def test_variances_are_what_the_fractions_say() -> None:
    # 2/.8 = 5/2: (5/2)²·(4 + 100) + 250²·(1/100 + (1/20)²); of two cells of a row 250·50·(1/100 + 1/400).
    found = flows(CELLS, 4.0, WEIGHTS, Kept(0.8, 0.04))
    assert found.table.sd[0, 1] ** 2 == pytest.approx(650 + 781.25)
    assert found.table.spread.between(0, 0)[1, 2] == pytest.approx(156.25)
    assert found.table.noise[0, 1] == pytest.approx(25)
    assert found.table.sd[2, 0] ** 2 == pytest.approx(2.5**2 / 0.64 * (4 + 30) + 93.75**2 * (0.04 + 0.0025))
    assert found.common == pytest.approx(0.0025)
    assert "was assumed" in found.table.scope[-1]


def known(persons: Known) -> Known:
    return Known.exactly(persons.persons)


def test_weights_are_persons_for_each_subscriber_present() -> None:
    persons = Known(np.array([1000.0, 900.0, 800.0]), np.array([100.0, 0.0, 0.0]))
    found, sure = (
        by_presence(one, np.array([500.0, 450.0, 400.0]), np.ones(3)) for one in (persons, known(persons))
    )
    assert found.value == pytest.approx([2.0, 2.0, 2.0, 2.0])
    # 10² persons of 1,000: 1/10,000 of the square.
    assert found.error - sure.error == pytest.approx([1e-4, 0.0, 0.0, 0.0])
    assert found.present == pytest.approx([500.0, 450.0, 400.0])
    assert not found.imputed.any()
    with pytest.raises(ValueError, match="cannot be told from noise"):
        by_presence(persons, np.array([5.0, -9.0, 4.0]), np.full(3, 100.0))


def test_a_zone_within_its_noise_has_the_weight_of_the_others_and_is_flagged() -> None:
    persons = Known.exactly(np.full(30, 1000.0))
    subscribers = 400 * np.exp(np.random.default_rng(1).normal(0, 0.1, 30))
    subscribers[4] = 12.0
    found = by_presence(persons, subscribers, np.full(30, 100.0))
    assert np.flatnonzero(found.imputed).tolist() == [4]
    assert found.value[4] == pytest.approx(2.5, rel=0.1)
    assert found.error[4] > 2 * found.error[5]


def test_one_weight_of_the_country_says_that_it_is_one() -> None:
    found = nationally((1000.0, 100.0), (400.0, 16.0), np.array([600.0, 200.0]), 0.1)
    assert found.value == pytest.approx([2.5, 2.5, 2.5])
    assert found.error == pytest.approx(np.full(3, 1e-4 + 1e-4 + 0.01))
    assert found.present == pytest.approx([300.0, 100.0])
    assert "one weight of the country" in flows(CELLS, 4.0, found, Kept()).table.scope[-2]
    with pytest.raises(ValueError, match="needs persons and subscribers"):
        nationally((0.0, 0.0), (400.0, 16.0), np.ones(2), 0.1)


@settings(max_examples=25)
@given(st.lists(st.floats(50, 500), min_size=9, max_size=9), st.floats(0.5, 5), st.floats(0.3, 1))
def test_estimates_go_with_the_weights(counts: list[float], factor: float, part: float) -> None:
    cells = np.array(counts).reshape(3, 3)
    more = Weights(factor * WEIGHTS.value, WEIGHTS.error, WEIGHTS.present, WEIGHTS.imputed)
    one, other = flows(cells, 1.0, WEIGHTS, Kept()).table, flows(cells, 1.0, more, Kept(part)).table
    assert other.estimate == pytest.approx(one.estimate * factor / part)
    assert other.sd == pytest.approx(one.sd * factor / part)


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(ValueError, match="between the same areas"):
        flows(CELLS[:2], 4.0, WEIGHTS, Kept())
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        Kept(0.0)


def day(sigma: float, chance: np.random.Generator) -> tuple[Values, Flows, Values]:
    """Return the truth, the estimate and noisy counts with one weight: commuters go and come back."""
    country = land()
    zones = country.owners.size
    going = country.table[:, :-1] * (1 - np.eye(zones))
    truth = np.full((zones + 1, zones + 1), 20.0)
    truth[:-1, :-1] = going + going.T
    np.fill_diagonal(truth, 0.0)
    present = country.owners + going.sum(axis=0)
    counts, subscribers, noise = np.zeros_like(truth), np.zeros(zones), 3 * sigma**2
    for market in (0.40, 0.35, 0.25):
        share = np.minimum(market * np.exp(chance.normal(0, 0.22, zones + 1)), 1.0)
        # A twentieth of the pairs is cut.
        counts += chance.binomial(truth.astype(np.int64), 0.95 * share[:, None])
        subscribers += chance.binomial(present.astype(np.int64), share[:-1])
    counts += chance.normal(0, noise**0.5, counts.shape)
    subscribers += chance.normal(0, noise**0.5, zones)
    weights = by_presence(Known.exactly(present), subscribers, np.full(zones, noise))
    found = flows(counts, noise, weights, Kept(0.95), assumed=Assumed(0.65), distance=country.distance)
    return truth, found, counts * present.sum() / subscribers.sum()


@pytest.mark.parametrize("sigma", [20.0, 100.0, 400.0])
def test_flows_are_better_than_noisy_counts_with_one_weight_and_intervals_hold(sigma: float) -> None:
    chance = np.random.default_rng(1)
    errors, inside = [], []
    for _ in range(10):
        truth, found, raw = day(sigma, chance)
        off = truth > 0
        error = np.abs(found.table.estimate - truth)
        errors.append((error.sum(), np.abs(raw - truth)[off].sum()))
        inside.append((error <= 1.96 * found.table.sd)[off].mean())
    ours, theirs = np.mean(errors, axis=0)
    assert ours < theirs / 2
    assert 0.93 <= np.mean(inside) <= 0.975
