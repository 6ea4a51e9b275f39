"""The covariance of a table, held against the matrix of all its cells."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hub.estimation.od_spread import Spread

Values = NDArray[np.float64]
ROWS, COLUMNS = 3, 4


def spread(seed: int = 1) -> Spread:
    chance = np.random.default_rng(seed)
    half = chance.normal(0, 1, (ROWS, 2, 2))
    return Spread.of(
        chance.uniform(0.5, 2, (ROWS, COLUMNS)),
        chance.normal(0, 1, (ROWS, COLUMNS, 2)),
        half @ half.transpose(0, 2, 1),
        chance.normal(0, 1, (ROWS, COLUMNS)),
        chance.uniform(0.1, 1, COLUMNS),
    )


def inverse(matrix: Values) -> Values:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def dense(found: Spread) -> Values:
    return np.block([[found.between(one, other) for other in range(ROWS)] for one in range(ROWS)])


def written_out(found: Spread) -> Values:
    """Return the matrix of a covariance that was not scaled, from its definition cell by cell."""
    matrix, last = np.zeros((ROWS * COLUMNS, ROWS * COLUMNS)), np.diagonal(found.joint)[COLUMNS:]
    for h in range(ROWS):
        for d in range(COLUMNS):
            for g in range(ROWS):
                for e in range(COLUMNS):
                    value = found.drawn[h, d] * found.drawn[g, d] * last[d] if d == e else 0.0
                    if h == g:
                        value += found.factors[h, d] @ found.core[h] @ found.factors[h, e]
                        value += found.own[h, d] if d == e else 0.0
                    matrix[h * COLUMNS + d, g * COLUMNS + e] = value
    return matrix


SHARE = np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.3, -0.1], [0.25, 0.25, 0.25, 0.25]])
SUMS = np.tile(np.eye(COLUMNS), ROWS)


def turned() -> Spread:
    return spread().shared(SHARE).times(np.array([2.0, 3.0, 0.5])).along(SHARE, np.array([1.0, 0.0, 2.0]))


def test_the_matrix_is_what_the_definition_says() -> None:
    assert dense(spread()) == pytest.approx(written_out(spread()))


def test_rows_that_are_scaled_to_a_sum_lose_the_part_along_one() -> None:
    projection = np.zeros((ROWS * COLUMNS, ROWS * COLUMNS))
    extra = np.zeros_like(projection)
    for row, (weight, variance) in enumerate([(2.0, 1.0), (3.0, 0.0), (0.5, 2.0)]):
        here = slice(row * COLUMNS, (row + 1) * COLUMNS)
        projection[here, here] = weight * (np.eye(COLUMNS) - np.outer(SHARE[row], np.ones(COLUMNS)))
        extra[here, here] = variance * np.outer(SHARE[row], SHARE[row])
    expected = projection @ written_out(spread()) @ projection.T + extra
    assert dense(turned()) == pytest.approx(expected)


@pytest.mark.parametrize("met", [False, True], ids=["as it is", "after sums were met"])
def test_variances_and_sums_are_those_of_the_matrix(met: bool) -> None:
    found = turned()
    if met:
        found = found.known(inverse(found.columns() + np.eye(COLUMNS)))
    matrix, step = dense(found), np.array([1.0, -2.0, 0.5, 3.0])
    assert found.variance().ravel() == pytest.approx(np.diagonal(matrix))
    assert found.columns() == pytest.approx(SUMS @ matrix @ SUMS.T)
    assert found.along_columns(step).ravel() == pytest.approx(matrix @ SUMS.T @ step)


def test_sums_that_are_met_leave_the_covariance_of_a_conditional_normal() -> None:
    matrix, noise = dense(turned()), np.diag([1.0, 0.5, 2.0, 0.1])
    gain = matrix @ SUMS.T @ np.linalg.inv(SUMS @ matrix @ SUMS.T + noise)
    once = turned().known(inverse(turned().columns() + noise))
    assert dense(once) == pytest.approx(matrix - gain @ SUMS @ matrix)
    # A second time as well.
    matrix = dense(once)
    gain = matrix @ SUMS.T @ np.linalg.inv(SUMS @ matrix @ SUMS.T + noise)
    twice = once.known(inverse(once.columns() + noise))
    assert dense(twice) == pytest.approx(matrix - gain @ SUMS @ matrix)


def test_rows_of_two_covariances_are_put_together_and_some_share_nothing() -> None:
    mine, rows = spread(), np.array([True, False, True])
    other = mine.times(np.array([1.0, 5.0, 1.0]))
    assert dense(mine.either(rows, other)) == pytest.approx(dense(other))
    alone = dense(mine.instead(~rows, np.array([0.0, 7.0, 0.0])))
    assert alone[COLUMNS : 2 * COLUMNS] == pytest.approx(np.eye(COLUMNS, 3 * COLUMNS, COLUMNS) * 7.0)


def test_an_origin_of_which_nothing_is_known_has_no_bounds() -> None:
    share = SHARE.copy()
    share[1] = np.nan
    found = spread().shared(share).times(np.array([1.0, np.nan, 1.0])).variance()
    assert np.isinf(found[1]).all()
    assert np.isfinite(found[[0, 2]]).all()
