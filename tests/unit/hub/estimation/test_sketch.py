"""Moments of sketches and their covariance, against all possible hashes of a few persons, in exact arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations, product
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from hub.estimation.sketch import Sums, moments, subsets
from hub.estimation.sketch_covariance import covariance

Counts = NDArray[np.int64]
Set = tuple[int, ...]


def tables(persons: Sequence[Set], operators: int, cells: int, noise: int) -> Iterator[list[list[int]]]:
    """Yield every equally likely table of counts: each hash of each person, and −noise or +noise in every cell."""
    signs = [0] if noise == 0 else [-noise, noise]
    for hashes in product(range(cells), repeat=len(persons)):
        exact = [
            [
                sum(hashed == cell and operator in one for one, hashed in zip(persons, hashes, strict=True))
                for cell in range(cells)
            ]
            for operator in range(operators)
        ]
        for drawn in product(signs, repeat=operators * cells):
            added = iter(drawn)
            yield [[count + next(added) for count in row] for row in exact]


def unbiased(table: list[list[int]], members: Set) -> Fraction:
    """Return m times the k-statistic of two or three rows, from distances times m, which are whole."""
    m = len(table[0])
    rows = [[m * count - sum(table[one]) for count in table[one]] for one in members]
    power = len(members)
    total = Fraction(sum(prod(cell) for cell in zip(*rows, strict=True)), m**power)
    return total * (Fraction(m, m - 1) if power == 2 else Fraction(m**2, (m - 1) * (m - 2)))


def enumerated(
    persons: Sequence[Set], operators: int, cells: int, noise: int
) -> tuple[list[Fraction], list[list[Fraction]]]:
    """Return means and covariances of all pairs and triples over every hash."""
    sets = [*combinations(range(operators), 2), *combinations(range(operators), 3)]
    seen = [[unbiased(table, one) for one in sets] for table in tables(persons, operators, cells, noise)]
    number = len(seen)
    mean = [sum(column, Fraction(0)) / number for column in zip(*seen, strict=True)]
    spread = [
        [
            sum((row[a] * row[b] for row in seen), Fraction(0)) / number - mean[a] * mean[b]
            for b in range(len(sets))
        ]
        for a in range(len(sets))
    ]
    return mean, spread


def persons_by_mask(persons: Sequence[Set], operators: int) -> NDArray[np.float64]:
    masks = [sum(1 << operator for operator in one) for one in persons]
    return np.array([sum(mask & all_of == all_of for mask in masks) for all_of in range(2**operators)], float)


CASES = [
    # One person at three operators: every hash gives one person in every intersection, so nothing varies.
    ([(0, 1, 2)], 3, 3, 0),
    ([(0, 1, 2), (0, 1), (2,), (0, 1, 2), (1, 2)], 3, 3, 0),
    ([(0, 1, 2), (0,), (1, 2), (1,), (0, 2)], 3, 4, 0),
    ([(0, 1, 2, 3), (0, 1), (2, 3), (0, 1, 2), (1, 3)], 4, 3, 0),
    ([(0, 1, 2, 3, 4), (0, 1, 4), (2, 3)], 5, 4, 0),
    ([(0, 1), (1,), (0,), (0, 1)], 2, 3, 2),
    ([(0, 1, 2), (0, 1)], 3, 3, 1),
]


@pytest.mark.parametrize(("persons", "operators", "cells", "noise"), CASES)
def test_over_all_hashes_the_mean_is_the_intersection_and_the_covariance_is_the_formula_s(
    persons: list[Set], operators: int, cells: int, noise: int
) -> None:
    mean, spread = enumerated(persons, operators, cells, noise)
    sets = [*combinations(range(operators), 2), *combinations(range(operators), 3)]
    assert mean == [sum(set(one) <= set(person) for person in persons) for one in sets]
    found = covariance(persons_by_mask(persons, operators), cells, np.full(operators, float(noise * noise)))
    assert found == pytest.approx(np.array([[float(cell) for cell in row] for row in spread]), abs=1e-12)


def test_two_persons_apart_vary_as_counted_by_hand() -> None:
    # m = 3, one person at a, another at b. Same cell (1/3): T = 2/3, n̂ = 1; else T = −1/3, n̂ = −1/2.
    # Mean 1/3 − 1/3 = 0, variance 1/3 + 2/3·1/4 = 1/2 = n_a·n_b/(m − 1).
    assert enumerated([(0,), (1,)], 2, 3, 0) == ([Fraction(0)], [[Fraction(1, 2)]])
    assert covariance(np.array([2.0, 1.0, 1.0, 0.0]), 3, np.zeros(2)) == pytest.approx(np.array([[0.5]]))


def test_many_persons_and_cells_vary_nearly_as_the_short_formulas_say() -> None:
    # n = 10⁶ each, 50,000 in each pair, 10,000 in all three; m = 2¹⁷, v = 10.
    persons = np.array([0, 1e6, 1e6, 5e4, 1e6, 5e4, 5e4, 1e4])
    m, v = 2**17, 10.0
    found = covariance(persons, m, np.full(3, v))
    s = 1e6 / m + v
    assert found[0, 0] == pytest.approx(m * (s**2 + (5e4 / m) ** 2), rel=1e-3)
    assert found[3, 3] == pytest.approx(m * s**3, rel=0.02)


small = arrays(np.int64, st.tuples(st.integers(3, 5), st.integers(3, 12)), elements=st.integers(-50, 50))


@given(small)
def test_moments_are_those_of_exact_fractions(counts: Counts) -> None:
    found, table = moments(Sums.of(counts)), counts.tolist()
    operators = len(table)
    assert found.sizes.tolist() == [sum(row) for row in table]
    for told, size in ((found.pairs, 2), (found.triples, 3)):
        right = [float(unbiased(table, one)) for one in subsets(operators, size)]
        assert told == pytest.approx(np.array(right), abs=1e-6)


@given(small, st.randoms(use_true_random=False))
def test_the_order_of_cells_does_not_matter(counts: Counts, chance: object) -> None:
    order = list(range(counts.shape[1]))
    chance.shuffle(order)  # type: ignore[attr-defined]
    one, other = moments(Sums.of(counts)), moments(Sums.of(counts[:, order]))
    assert one.pairs == pytest.approx(other.pairs, abs=1e-6)
    assert one.triples == pytest.approx(other.triples, abs=1e-6)


@given(small, st.integers(-(10**6), 10**6))
def test_the_origin_of_sums_does_not_matter(counts: Counts, origin: int) -> None:
    # The same sums about another origin, each in exact integers.
    moved = [[count - origin for count in row] for row in counts.tolist()]
    m, k = counts.shape[1], counts.shape[0]
    sums = Sums(
        m,
        counts.sum(axis=1).astype(float),
        np.array([sum(row) for row in moved], float),
        np.array(
            [sum(a * b for a, b in zip(*(moved[j] for j in s), strict=True)) for s in subsets(k, 2)], float
        ),
        np.array([sum(map(prod, zip(*(moved[j] for j in s), strict=True))) for s in subsets(k, 3)], float),
    )
    right = moments(Sums.of(counts))
    # What is lost to rounding is relative to the sums.
    assert moments(sums).pairs == pytest.approx(
        right.pairs, abs=1e-6 + 1e-13 * float(np.abs(sums.second).max())
    )


def test_more_cells_than_a_block_add_up() -> None:
    counts = np.random.default_rng(1).integers(-5, 5, (3, 70_000))
    apart = counts - counts.mean(axis=1, keepdims=True)
    m = counts.shape[1]
    found = moments(Sums.of(counts))
    assert found.pairs[1] == pytest.approx((apart[0] * apart[2]).sum() * m / (m - 1))
    assert found.triples[0] == pytest.approx(apart.prod(axis=0).sum() * m**2 / ((m - 1) * (m - 2)))


@pytest.mark.parametrize("shape", [(3, 1), (3, 2), (0, 8), (8,)])
def test_fewer_than_three_cells_or_no_operator_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="three cells"):
        Sums.of(np.zeros(shape, dtype=np.int64))
