"""The table sampler against the exact probabilities and against OpenDP's sampler, over many keys."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from privacy.sampler.exact import Distribution
from privacy.sampler.measurement import opendp_measurement
from privacy.sampler.stream import WordStream
from privacy.sampler.table import table_of
from tests.pmf import below

SIGMAS = ["1/2", "1", "3", "10", "100", "1500"]
CASES = [Distribution("gaussian", Fraction(sigma)) for sigma in SIGMAS] + [
    Distribution("laplace", Fraction(10))
]
NAMES = [f"{case.kind} {case.scale}" for case in CASES]
KEYS, DRAWS = 400, 20_000
PEER_KEYS, PEER_DRAWS = 60, 4_000
#: Probability that a true sampler fails one of these tests.
LEVEL = 1e-4


def draws(distribution: Distribution, seed: int, count: int) -> NDArray[np.int64]:
    """Return draws under a key that a seed fixes."""
    key = hashlib.sha256(f"{distribution}{seed}".encode()).digest()
    return table_of(distribution).draw(WordStream(key, 0)(count), WordStream(key, 1)).astype(np.int64)


def edges_of(distribution: Distribution, cells: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return edges of up to `cells` cells of about equal probability, and the exact probability of each."""
    reach = int(14 * distribution.scale) + 8
    cumulative = np.array([float(below(distribution, x)) for x in range(-reach, reach + 2)])
    wanted = np.linspace(0, 1, cells + 1)[1:-1]
    inner = np.unique(np.searchsorted(cumulative, wanted)) - reach
    bounds = np.concatenate([[0.0], [float(below(distribution, int(x))) for x in inner], [1.0]])
    keep = np.diff(bounds) > 0
    return inner[: len(keep) - 1], np.diff(bounds)


def counted(values: NDArray[np.int64], edges: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)


def assert_uniform(p_values: list[float]) -> None:
    assert stats.kstest(p_values, "uniform").pvalue > LEVEL, np.histogram(p_values, bins=10, range=(0, 1))[0]


@pytest.mark.full
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_chi_square_p_values_against_the_exact_probabilities_are_uniform(case: Distribution) -> None:
    edges, expected = edges_of(case, 40)
    p_values = [
        float(stats.chisquare(counted(draws(case, seed, DRAWS), edges), expected * DRAWS).pvalue)
        for seed in range(KEYS)
    ]
    assert_uniform(p_values)


@pytest.mark.full
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_tail_counts_are_binomial_with_the_exact_probability(case: Distribution) -> None:
    for far in (2, 3, 4):
        edge = int(far * case.scale) + 1
        tail = 2 * float(below(case, -edge + 1))
        found = sum(int((np.abs(draws(case, seed, DRAWS)) >= edge).sum()) for seed in range(KEYS))
        assert stats.binomtest(found, KEYS * DRAWS, tail).pvalue > LEVEL, (far, found, tail * KEYS * DRAWS)


@pytest.mark.full
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_two_sample_p_values_against_opendp_are_uniform(case: Distribution) -> None:
    peer = opendp_measurement(case)
    edges, _expected = edges_of(case, 12)
    p_values = []
    for seed in range(PEER_KEYS):
        theirs = np.array(peer([0] * PEER_DRAWS), dtype=np.int64)
        table = np.stack([counted(draws(case, 10**6 + seed, PEER_DRAWS), edges), counted(theirs, edges)])
        p_values.append(float(stats.chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue))
    assert_uniform(p_values)


@pytest.mark.full
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_neighbouring_draws_are_independent(case: Distribution) -> None:
    values = draws(case, 7, 10**6).astype(np.float64)
    for lag in (1, 2, 3):
        correlation = float(np.corrcoef(values[:-lag], values[lag:])[0, 1])
        assert abs(correlation) < 4.5 / np.sqrt(len(values)), lag
