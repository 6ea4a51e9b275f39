"""Drift of market shares: the formula in fractions, and what the operators' disagreement tells of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.estimation.drift import Drift, drift_factor, national_drift, zone_drift


def test_the_factor_is_what_the_fractions_say() -> None:
    # s = (2, 1, 1)/4. Without the third: s_S = 3/4, [(4/16 + 1/16)·(1/4)² + (9/16)·(1/16)]/(9/16) = 5/144 + 9/144.
    shares = np.array([[0.5], [0.25], [0.25]])
    assert drift_factor(shares, np.array([True, True, False])) == pytest.approx([14 / 144])
    # The first alone: (1/4)·(1/2)²/(1/4) + 2/16.
    assert drift_factor(shares, np.array([True, False, False])) == pytest.approx([3 / 8])


def test_nothing_drifts_when_all_take_part_and_all_is_unknown_where_none_has_a_share() -> None:
    shares = np.array([[0.5, 0.0], [0.5, 1.0]])
    assert drift_factor(shares, np.array([True, True])) == pytest.approx([0.0, 0.0])
    assert drift_factor(shares, np.array([True, False]))[1] == np.inf


@given(st.lists(st.floats(0.05, 1.0), min_size=2, max_size=5), st.data())
def test_the_factor_is_the_variance_of_what_it_describes(sizes: list[float], data: st.DataObject) -> None:
    shares = np.array(sizes) / sum(sizes)
    present = np.array(data.draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes))))
    present[0] = True
    together = shares[present].sum()
    moves = np.where(present, shares * (1 - together) / together, -shares)
    assert drift_factor(shares[:, None], present)[0] == pytest.approx((moves**2).sum(), abs=1e-12)


@given(st.lists(st.floats(-0.5, 0.5), min_size=4, max_size=40), st.floats(0.0001, 0.05))
def test_of_two_operators_half_the_variance_of_their_difference_beyond_the_noise_is_drift(
    differences: list[float], noise: float
) -> None:
    growth = np.stack([np.array(differences), np.zeros(len(differences))])
    found = zone_drift(growth, np.full(growth.shape, noise))
    assert found**2 == pytest.approx(max(growth[0].var(ddof=1) / 2 - noise, 0.0), rel=0.01, abs=1e-4)


def test_of_three_operators_the_drift_is_found_whatever_the_zones_and_the_country_do() -> None:
    chance, zones = np.random.default_rng(3), 4000
    noise = np.broadcast_to(np.linspace(1e-4, 1e-2, zones), (3, zones))
    growth = (
        chance.normal(0, 1, zones)
        + np.array([[0.0], [0.2], [-0.1]])
        + chance.normal(0, 0.05, (3, zones))
        + chance.normal(0, np.sqrt(noise))
    )
    assert zone_drift(growth, noise) == pytest.approx(0.05, rel=0.05)


def test_one_operator_disagrees_with_nobody() -> None:
    with pytest.raises(ValueError, match="two operators"):
        zone_drift(np.zeros((1, 10)), np.ones((1, 10)))


def test_what_was_declared_of_the_country_is_corrected_by_what_is_seen() -> None:
    # Growths 0 and .04: variance .0008; with a prior of .03 worth 4: (4·.0009 + .0008)/5.
    found = national_drift(np.array([0.0, 0.04]), np.zeros(2), Drift(0.03, 4.0))
    assert found.sd**2 == pytest.approx(0.00088)
    assert found.freedom == 5
    declared = Drift(0.03, 4.0)
    assert national_drift(np.array([0.1]), np.zeros(1), declared) is declared
    assert national_drift(np.zeros(2), np.ones(2), declared).sd ** 2 == pytest.approx(4 * 0.0009 / 5), (
        "never below zero"
    )
