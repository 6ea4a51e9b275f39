"""Union estimates hold in worlds drawn cell by cell; the whole table is a long test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hub.estimation.duplication_areas import by_area
from hub.estimation.multiplicity import GoingOn
from hub.estimation.sketch import moments, subsets
from hub.estimation.sketch_covariance import covariance
from hub.estimation.union import union_of
from tests.statistical.score_union import OTHERS, SURVEYED, evaluate
from tests.statistical.union_world import AT_LEAST, Sharing, alias, draw, expected, noise_pmf, sets_of

SMALL = Sharing("small", 2000, 0.125, (1.0,) * 4)


def intersections(by_set: np.ndarray, operators: int) -> np.ndarray:
    """Return n_S of all sizes, pairs and triples."""
    sets = [one for size in (1, 2, 3) for one in subsets(operators, size)]
    exact = sets_of(operators)
    return np.array([sum(by_set[i] for i, one in enumerate(exact) if set(s) <= set(one)) for s in sets])


def test_drawn_sketches_have_the_moments_that_theory_says() -> None:
    means, number, k = expected(SMALL, np.array(AT_LEAST)), 800, 4
    support, weights = noise_pmf(SMALL.rho)
    v = float(weights @ support**2)
    errors = []
    for seed in range(number):
        drawn = draw(SMALL, means, seed)
        found = moments(drawn.sums)
        told = np.concatenate([found.sizes, found.pairs, found.triples])
        errors.append(told - intersections(drawn.by_set, k))
    error = np.array(errors)
    persons = np.zeros(2**k)
    for mask in range(1, 2**k):
        persons[mask] = sum(
            mean
            for mean, one in zip(means, sets_of(k), strict=True)
            if sum(1 << j for j in one) & mask == mask
        )
    spread = covariance(persons, SMALL.bins, np.full(k, v))
    sd = np.sqrt(np.concatenate([np.full(k, SMALL.bins * v), np.diag(spread)]))
    # Bounds that are exceeded once in a hundred thousand times, fourteen times over.
    assert np.abs(error.mean(axis=0) / sd).max() < 4.6 / np.sqrt(number)
    assert np.abs(error.var(axis=0) / sd**2 - 1).max() < 4.6 * np.sqrt(2 / number) * 1.3
    together = np.corrcoef(error[:, 4:].T)
    right = spread / np.outer(sd[4:], sd[4:])
    assert np.abs(together - right).max() < 5.2 / np.sqrt(number)


def test_drawn_persons_are_those_that_were_expected() -> None:
    means = expected(SMALL, np.array(AT_LEAST))
    found = np.sum([draw(SMALL, means, seed).by_set for seed in range(300)], axis=0)
    assert np.abs((found - 300 * means) / np.sqrt(300 * means)).max() < 4.6


def test_an_alias_table_has_the_probabilities_it_was_made_of() -> None:
    weights = np.array([0.5, 0.2, 0.05, 0.25, 0.0])
    threshold, other = alias(weights)
    kept = threshold / 2.0**32 / weights.size
    told = kept + np.bincount(other, weights=1 / weights.size - kept, minlength=weights.size)
    assert told == pytest.approx(weights, abs=1e-9)


def test_the_worlds_are_as_they_are_described() -> None:
    means = expected(SURVEYED[0], np.array(AT_LEAST))
    size = np.array([len(one) for one in sets_of(3)])
    assert means @ size == pytest.approx(3 * 10**5)
    assert means[size >= 2].sum() / means.sum() == pytest.approx(0.12)
    assert means[size == 3].sum() / means.sum() == pytest.approx(0.01)


def test_intervals_hold_and_errors_are_as_large_as_they_say() -> None:
    score = evaluate(replace(SMALL, persons=20_000, rho=0.46), 400, seed=2)
    # 95 % of 400 with a standard deviation of 1.1 points; the ratio of two standard deviations with one of 3.5 %.
    assert 91.5 <= score.coverage_95 <= 98.5
    assert 0.87 < score.rmse / score.sd < 1.13
    assert abs(score.bias) < 3.3 * score.rmse / 20


def test_a_wrong_declaration_is_warned_of() -> None:
    (wrong,) = (world for world in OTHERS if "wrong" in world.name)
    assert evaluate(wrong, 10).warned == 100


@pytest.mark.full
@pytest.mark.parametrize("world", SURVEYED, ids=lambda world: world.name)
def test_intervals_hold_in_every_cell_of_the_table(world: Sharing) -> None:
    # Crowded sketches take long: fewer replications, and bounds that are wider by what fewer of them vary.
    many = world.persons < 10**7
    score = evaluate(world, 2000 if many else 400)
    assert (93 if many else 91.5) <= score.coverage_95 <= (97 if many else 98.5)
    assert abs(score.bias) < 0.05 + 4 * score.rmse / np.sqrt(score.replications)
    if (world.persons, len(world.sizes), world.rho) == (10**6, 3, 0.05):
        assert score.rmse < 0.5


@pytest.mark.full
def test_areas_gain_by_their_region_and_their_intervals_hold() -> None:
    errors = [_areas(np.random.default_rng(seed)) for seed in range(60)]
    shrunk, measured, inside = np.mean(errors, axis=0)
    # 1,800 areas in 60 replications, with what the survey said in common.
    assert 0.92 <= inside <= 0.98
    assert shrunk < 0.5 * measured


def _areas(chance: np.random.Generator) -> tuple[float, float, float]:
    """Return mean squared errors of shrunk and of measured factors of 30 areas, and how many intervals held."""
    world = Sharing("area", 3000, 0.125)
    counted = chance.multinomial(10_000, [0.88, 0.11, 0.01])
    going_on = GoingOn.from_survey([counted[1] + counted[2], counted[2]])
    support, weights = noise_pmf(world.rho)
    noise = np.full(3, float(weights @ support**2))
    regions = np.repeat(np.arange(3), 10)
    second = np.clip(0.09 + 0.03 * regions + chance.normal(0, 0.02, 30), 0.01, 0.3)
    truth, unions = [], []
    for part in second:
        means = expected(world, np.array([1.0, part, part / 12]))
        drawn = draw(world, means, int(chance.integers(2**63)))
        truth.append(drawn.by_set.sum() / (drawn.by_set @ [len(one) for one in sets_of(3)]))
        unions.append(union_of(drawn.sums, noise, going_on))
    found = by_area(unions, regions)
    error = found.value - truth
    held = (np.abs(error) <= 1.96 * found.sd).mean()
    return float((error**2).mean()), float(((found.measured - truth) ** 2).mean()), float(held)
