"""Cells that one operator makes nearly alone: flagged where it is so or not known, and nothing beyond is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.estimation.dominance import ALONE, DOMINATED, FREE, confidentiality
from hub.estimation.period import Period
from tests.statistical.scenarios import SCENARIOS, belgium, generate


def period(counts: object, variance: float = 2500.0, present: object = None) -> Period:
    values = np.asarray(counts, dtype=np.float64)
    operators = values.shape[0]
    there = np.full(operators, True) if present is None else np.asarray(present)
    return Period(values, np.full(operators, variance), there)


def cells(*shares: tuple[float, ...], size: float = 1e6) -> list[list[float]]:
    """Return counts of operators: 20 cells of 40, 35 and 25 % and the given ones."""
    return [[size * one[k] for one in [(0.40, 0.35, 0.25)] * 20 + list(shares)] for k in range(3)]


def test_one_operator_that_answered_stands_alone_everywhere() -> None:
    found = confidentiality(period(cells(), present=[False, True, False]), 0.8)
    assert found.tolist() == [ALONE] * 20


def test_large_cells_are_flagged_by_their_share() -> None:
    found = confidentiality(period(cells((0.85, 0.10, 0.05), (0.75, 0.20, 0.05), (1.0, 0.0, 0.0))), 0.8)
    assert found.tolist() == [FREE] * 20 + [DOMINATED, FREE, ALONE]


def test_it_does_not_matter_which_operator_dominates() -> None:
    one = confidentiality(period(cells((0.85, 0.10, 0.05))), 0.8)
    other = confidentiality(period(cells((0.85, 0.10, 0.05))[::-1]), 0.8)
    assert one.tolist() == other.tolist()


def test_where_noise_rules_nobody_dominates_if_nobody_does_elsewhere() -> None:
    counts = np.array(cells((0.4, 0.35, 0.25)))
    # Noise makes the first operator look alone: 100 of 120, where five standard deviations of the sum are 433.
    counts[:, -1] = [100, 40, -20]
    assert confidentiality(period(counts), 0.8)[-1] == FREE


def test_where_nothing_at_all_is_known_somebody_is_held_to_dominate() -> None:
    assert confidentiality(period([[30.0, -10.0], [5.0, 20.0]]), 0.8).tolist() == [DOMINATED] * 2


def test_a_smaller_cell_is_flagged_at_a_smaller_share() -> None:
    shares = [(share, (1 - share) * 0.6, (1 - share) * 0.4) for share in np.linspace(0.5, 0.95, 46)]
    lowest = []
    for size in (1e6, 3000.0):
        counts = np.array(cells(*shares))
        counts[:, 20:] *= size / 1e6
        flagged = confidentiality(period(counts), 0.8)[20:] != FREE
        # Above the first flagged share all are.
        assert flagged[np.argmax(flagged) :].all()
        lowest.append(shares[int(np.argmax(flagged))][0])
    assert 0.79 <= lowest[0] <= 0.81
    assert lowest[1] < lowest[0]


@given(st.permutations([0, 1, 2]), st.integers(0, 1000))
def test_flags_do_not_depend_on_the_order_of_operators_nor_on_who_is_missing(
    order: list[int], seed: int
) -> None:
    chance = np.random.default_rng(seed)
    counts = chance.normal(0, 300, (4, 15)) + 1000 * chance.random((4, 15))
    first = confidentiality(period(counts, present=[True, True, True, False]), 0.7)
    counts[3] = np.nan
    assert np.array_equal(
        first, confidentiality(period(counts[[*order, 3]], present=[True, True, True, False]), 0.7)
    )


def test_in_a_market_of_three_nearly_nothing_is_flagged_and_true_dominance_nearly_always() -> None:
    before, _now = generate(SCENARIOS[0], belgium(), np.random.default_rng(1))
    assert (confidentiality(before, 0.8) != FREE).mean() < 0.01
    chance, zones = np.random.default_rng(2), 400
    sizes = np.exp(chance.normal(9, 1, zones))
    shares = np.where(np.arange(zones) < 40, 0.9, 0.4)
    counts = np.stack([sizes * shares, sizes * (1 - shares) * 0.6, sizes * (1 - shares) * 0.4])
    found = confidentiality(period(chance.poisson(counts) + chance.normal(0, 50, counts.shape)), 0.8)
    assert (found[:40] != FREE).mean() > 0.95
    assert (found[40:] != FREE).mean() < 0.01


@pytest.mark.parametrize("threshold", [0.5, 1.0, float("nan")])
def test_a_threshold_is_above_a_half_and_below_one(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        confidentiality(period(cells()), threshold)


def test_nobody_is_told() -> None:
    with pytest.raises(ValueError, match="no operator answered"):
        confidentiality(period(cells(), present=[False] * 3), 0.8)
