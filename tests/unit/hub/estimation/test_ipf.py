"""Iterative proportional fitting: a table whose answer is known, and what holds for all."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.estimation.ipf import Margin, fitted, rows_and_columns, scaled

# Scaling rows and columns keeps the odds ratio, 1·4/(2·3) = 2/3; of tables with these sums only this one has it.
SEED = np.array([[1.0, 2.0], [3.0, 4.0]])
ANSWER = np.array([[2.0, 3.0], [4.0, 4.0]])
SUMS = rows_and_columns(np.array([5.0, 8.0]), np.array([6.0, 7.0]))

positive = st.floats(0.1, 10)


def test_a_table_of_two_by_two_becomes_the_one_with_its_odds_ratio_and_the_sums() -> None:
    assert fitted(SEED, SUMS) == pytest.approx(ANSWER, rel=1e-8)


def test_one_sweep_is_what_the_fractions_say() -> None:
    # Rows: (5/3, 10/3), (24/7, 32/7). Columns then have 107/21 and 166/21, and should have 6 and 7.
    rows = [[Fraction(5, 3), Fraction(10, 3)], [Fraction(24, 7), Fraction(32, 7)]]
    expected = [[row[0] * 6 / Fraction(107, 21), row[1] * 7 / Fraction(166, 21)] for row in rows]
    assert scaled(SEED, SUMS, 1) == pytest.approx(np.array(expected, dtype=np.float64))


@settings(max_examples=30)
@given(st.lists(positive, min_size=12, max_size=12), st.lists(positive, min_size=12, max_size=12))
def test_sums_hold_and_odds_ratios_stay(seed: list[float], wanted: list[float]) -> None:
    table, target = np.array(seed).reshape(3, 4), np.array(wanted).reshape(3, 4)
    found = fitted(table, rows_and_columns(target.sum(axis=1), target.sum(axis=0)))
    assert found.sum(axis=1) == pytest.approx(target.sum(axis=1), rel=1e-6)
    assert found.sum(axis=0) == pytest.approx(target.sum(axis=0), rel=1e-6)
    odds, before = (
        np.log(one[:-1, :-1] * one[1:, 1:] / (one[:-1, 1:] * one[1:, :-1])) for one in (found, table)
    )
    assert odds == pytest.approx(before, abs=1e-6)


def test_a_third_margin_by_classes_of_cells_holds_too() -> None:
    classes = Margin(np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]), np.array([10.0, 20.0]))
    margins = [*rows_and_columns(np.array([8.0, 10.0, 12.0]), np.array([12.0, 9.0, 9.0])), classes]
    found = fitted(np.ones((3, 3)), margins)
    assert np.trace(found) == pytest.approx(10.0)
    assert found.sum(axis=1) == pytest.approx([8.0, 10.0, 12.0])


def test_zeros_of_the_seed_and_empty_sums_stay_empty() -> None:
    found = fitted(
        np.array([[0.0, 1.0], [1.0, 1.0]]), rows_and_columns(np.array([2.0, 3.0]), np.array([1.0, 4.0]))
    )
    assert found == pytest.approx(np.array([[0.0, 2.0], [1.0, 2.0]]))
    found = fitted(SEED, rows_and_columns(np.array([0.0, 3.0]), np.array([1.0, 2.0])))
    assert found == pytest.approx(np.array([[0.0, 0.0], [1.0, 2.0]]))


def test_what_has_no_solution_is_told() -> None:
    with pytest.raises(ValueError, match="no table with these sums and zeros"):
        fitted(np.eye(2), rows_and_columns(np.array([1.0, 2.0]), np.array([2.0, 1.0])), most=100)
    with pytest.raises(ValueError, match="different totals"):
        fitted(SEED, rows_and_columns(np.array([1.0, 2.0]), np.array([2.0, 2.0])))
    with pytest.raises(ValueError, match="not negative"):
        fitted(-SEED, SUMS)
