"""Two-way tables with margins in closed form: by hand, and against the general solution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.estimation.constraints import Spread, adjust, sums_by
from hub.estimation.margins import Margin, with_margins

ONES = np.ones(2)


def test_a_table_of_two_by_two_worked_out_by_hand() -> None:
    # Rows lack 4 and 0, columns 2 and 2. With all variances 1 a cell gets half of what its row lacks beyond the
    # mean, (4 − 2)/2 = 1 and −1, nothing for the columns, and a quarter of what all lack, 4/4 = 1.
    found = with_margins(
        np.array([[10.0, 20.0], [30.0, 40.0]]),
        (ONES, ONES),
        Margin(np.array([34.0, 70.0]), 0.0),
        Margin(np.array([42.0, 62.0]), 0.0),
    )
    assert found.value.tolist() == [[12, 22], [30, 40]]
    assert found.variance.tolist() == [[0.25, 0.25], [0.25, 0.25]]


def test_one_margin_alone_shares_within_its_rows() -> None:
    # Variances by column 1 and 3: of 8 lacking they take 2 and 6, of 4 lacking 1 and 3. A row's cell keeps
    # 1 − 1/4 of its variance.
    found = with_margins(
        np.zeros((2, 2)),
        (ONES, np.array([1.0, 3.0])),
        Margin(np.array([8.0, 4.0]), 0.0),
        Margin(ONES, np.inf),
    )
    assert found.value == pytest.approx(np.array([[2, 6], [1, 3]]), rel=1e-14)
    assert found.variance == pytest.approx(np.full((2, 2), 0.75), rel=1e-14)


def test_without_margins_nothing_changes() -> None:
    table, unknown = np.array([[1.0, -2.0], [3.0, 4.0]]), Margin(ONES, np.inf)
    found = with_margins(table, (np.array([1.0, 2.0]), np.array([3.0, 5.0])), unknown, unknown)
    assert found.value.tolist() == table.tolist()
    assert found.variance == pytest.approx(np.array([[3, 5], [6, 10]]), rel=1e-14)


def test_exact_margins_with_different_grand_totals_are_refused() -> None:
    with pytest.raises(ValueError, match="differ by 1"):
        with_margins(np.zeros((2, 2)), (ONES, ONES), Margin(ONES, 0.0), Margin(np.array([1.0, 2.0]), 0.0))


@pytest.mark.parametrize(
    ("scale", "margin", "said"),
    [
        (np.ones(3), Margin(ONES, 0.0), "scales"),
        (np.zeros(2), Margin(ONES, 0.0), "scales"),
        (ONES, Margin(np.ones(3), 0.0), "margin"),
        (ONES, Margin(np.full(2, np.nan), 0.0), "margin"),
        (ONES, Margin(ONES, -1.0), "margin"),
        (ONES, Margin(ONES, np.nan), "margin"),
    ],
)
def test_what_is_no_table_is_refused(scale: NDArray[np.float64], margin: Margin, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        with_margins(np.zeros((2, 2)), (scale, ONES), margin, Margin(ONES, np.inf))


@settings(deadline=None, max_examples=80)
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    seed=st.integers(0, 2**32 - 1),
    noise=st.tuples(*[st.sampled_from([0.0, 0.7, 5.0, np.inf])] * 2),
)
def test_values_and_variances_are_those_of_the_general_solution(
    shape: tuple[int, int], seed: int, noise: tuple[float, float]
) -> None:
    rng = np.random.default_rng(seed)
    first, second = (rng.uniform(0.3, 3, size) for size in shape)
    table = rng.normal(0, 5, shape)
    rows, columns = (
        table.sum(axis=1) + rng.normal(size=shape[0]),
        table.sum(axis=0) + rng.normal(size=shape[1]),
    )
    columns += (rows.sum() - columns.sum()) / shape[1] if noise == (0.0, 0.0) else 0.0
    found = with_margins(table, (first, second), Margin(rows, noise[0]), Margin(columns, noise[1]))
    row, column = np.divmod(np.arange(table.size), shape[1])
    other = adjust(
        table.ravel(),
        Spread.independent(np.outer(first, second).ravel()),
        sums_by([row, column]),
        np.concatenate([rows, columns]),
        np.concatenate([noise[0] * first, noise[1] * second]),
    )
    assert found.value.ravel() == pytest.approx(other.value, rel=1e-8, abs=1e-8)
    assert found.variance.ravel() == pytest.approx(other.variance, rel=1e-8, abs=1e-10)
