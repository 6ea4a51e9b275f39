"""ε against other people's accountants: OpenDP's, two of Google's, and the exact curves of Gaussian noise.

A loss of ρ is that of Gaussian noise with σ² = 1/(2ρ) for a sensitivity of 1. The ε that ρ implies is an upper
bound on its ε: never below an exact one, and for budgets that a charter can have not far above it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import opendp.prelude as dp
import pytest
from dp_accounting import ComposedDpEvent, GaussianDpEvent, SelfComposedDpEvent
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from scipy.optimize import brentq
from scipy.stats import norm

from privacy.noise import gaussian
from privacy.units import NANO, epsilon
from tests.pmf import weights

#: From ρ = 0.0001 to a year of ρ = 0.1 a day.
LOSSES = (100_000, 1_000_000, 10_000_000, 30_000_000, 100_000_000, 600_000_000, 3_100_000_000, 36_500_000_000)
ORDERS = (1 + np.geomspace(1e-3, 1e7, 4_000)).tolist()
#: δ, and by which factor ε is at most above the exact one for these losses; docs/calculus.md states that of 10⁻⁶.
ABOVE = {1e-9: 1.07, 1e-6: 1.10, 1e-3: 1.37}
DELTAS = tuple(ABOVE)


def noise(nano: int) -> float:
    """Return the σ whose loss is `nano` for a sensitivity of 1."""
    return math.sqrt(NANO / (2 * nano))


def renyi(events: Sequence[Any], delta: float) -> float:
    """Return ε by Google's accountant of Rényi divergences, over a dense list of orders."""
    accountant = RdpAccountant(orders=ORDERS)
    accountant.compose(ComposedDpEvent(list(events)))
    return float(accountant.get_epsilon(delta))


def exactly(nano: int, delta: float) -> float:
    """Return the ε of Gaussian noise: Balle and Wang 2018, "Improving the Gaussian Mechanism", theorem 8."""
    mu = 1 / noise(nano)

    def excess(found: float) -> float:
        tail = math.exp(found + norm.logcdf(-mu / 2 - found / mu))
        return float(norm.cdf(mu / 2 - found / mu) - tail - delta)

    return float(brentq(excess, 0.0, 400.0, xtol=1e-12))


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("nano", LOSSES)
def test_epsilon_is_that_of_the_renyi_accountant_and_never_more(nano: int, delta: float) -> None:
    theirs, ours = renyi([GaussianDpEvent(noise(nano))], delta), epsilon(nano, delta)
    assert ours <= theirs * (1 + 1e-9), "every order gives a bound, and ours is the best of all orders"
    assert ours >= theirs * (1 - 1e-5), "their orders are dense"


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("nano", LOSSES)
def test_epsilon_is_never_below_the_exact_one_and_close_to_it(nano: int, delta: float) -> None:
    exact, ours = exactly(nano, delta), epsilon(nano, delta)
    assert exact <= ours <= ABOVE[delta] * exact


@pytest.mark.parametrize("nano", [10_000_000, 100_000_000, 600_000_000, 3_100_000_000])
def test_the_exact_curve_is_that_of_the_accountant_of_loss_distributions(nano: int) -> None:
    accountant = PLDAccountant(value_discretization_interval=1e-3)
    accountant.compose(GaussianDpEvent(noise(nano)))
    theirs = float(accountant.get_epsilon(1e-6))
    assert exactly(nano, 1e-6) == pytest.approx(theirs, rel=1e-4)
    assert theirs <= epsilon(nano, 1e-6)


@pytest.mark.parametrize("sigma_milli", [500, 1_000, 2_240, 10_010])
@pytest.mark.parametrize("delta", [1e-6, 1e-3])
def test_epsilon_is_an_upper_bound_for_the_discrete_gaussian_too(sigma_milli: int, delta: float) -> None:
    """δ(ε) = Σ max(0, P(x) − e^ε·P(x − 1)), over probabilities in decimal arithmetic."""
    found, total = weights(gaussian(sigma_milli))
    half = np.array([float(weight / total) for weight in found])
    there = np.concatenate([half[:0:-1], half])
    moved = np.concatenate([[0.0], there[:-1]])
    ours = epsilon(math.ceil(NANO / (2 * (sigma_milli / 1000) ** 2)), delta)
    assert np.maximum(0.0, moved - math.exp(ours) * there).sum() <= delta
    assert np.maximum(0.0, there - math.exp(ours) * moved).sum() <= delta


# --- composition ------------------------------------------------------------------------------------------


def test_losses_of_different_releases_add_up_as_the_accountants_compose_them() -> None:
    spent = (5_000_000, 10_000_000, 20_000_000, 30_000_000, 100_000_000)
    events = [GaussianDpEvent(noise(nano)) for nano in spent]
    ours = epsilon(sum(spent), 1e-6)
    assert ours == pytest.approx(renyi(events, 1e-6), rel=1e-5)
    distributions = PLDAccountant(value_discretization_interval=1e-4)
    distributions.compose(ComposedDpEvent(events))
    assert exactly(sum(spent), 1e-6) == pytest.approx(distributions.get_epsilon(1e-6), rel=1e-3)
    assert distributions.get_epsilon(1e-6) <= ours


@pytest.mark.parametrize(("days", "figure"), [(31, 15.3), (365, 79.7)])
def test_a_release_every_day_costs_a_month_and_a_year_what_the_specification_says(
    days: int, figure: float
) -> None:
    daily = 100_000_000
    theirs = renyi([SelfComposedDpEvent(GaussianDpEvent(noise(daily)), days)], 1e-6)
    assert epsilon(days * daily, 1e-6) == pytest.approx(theirs, rel=1e-5)
    assert round(theirs, 1) == round(epsilon(days * daily, 1e-6), 1) == figure
    assert exactly(days * daily, 1e-6) < theirs


@pytest.mark.parametrize("nano", LOSSES)
@pytest.mark.parametrize("delta", DELTAS)
def test_epsilon_of_many_releases_is_what_opendp_converts_their_composition_to(
    nano: int, delta: float
) -> None:
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
    one: Any = dp.m.make_gaussian(*space, scale=noise(nano))
    both: Any = dp.c.make_composition([one, one])
    converted: Any = dp.c.make_fix_delta(dp.c.make_zCDP_to_approxDP(both), delta)
    theirs, _delta = converted.map(1.0)
    assert epsilon(2 * nano, delta) == pytest.approx(theirs, rel=1e-5)
