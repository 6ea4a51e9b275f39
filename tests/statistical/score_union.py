"""How good estimates of persons at several operators are, world by world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation.multiplicity import GoingOn
from hub.estimation.union import UnionEstimate, union_of
from tests.statistical.union_world import AT_LEAST, Drawn, Sharing, draw, expected, noise_pmf

Values = NDArray[np.float64]

SURVEYED = tuple(
    Sharing(f"n = 10^{power}, k = {k}, ρ = {rho:g}", 10**power, rho, (1.0,) * k)
    for power in (5, 6, 7)
    for k in (3, 4, 5)
    for rho in (0.05, 0.125, 0.46)
)
_UNEQUAL = (1.6, 1.2, 0.8, 0.4)
#: What third operators are like is declared, not surveyed: right, far off, and with nothing shared.
OTHERS = (
    Sharing("operators of 40/30/20/10 %", 10**6, 0.125, _UNEQUAL),
    Sharing("small survey of 1,000", 10**6, 0.125, (1.0,) * 4, survey=1000),
    Sharing(
        "declared .1 ± .05, .2 ± .1, and true", 10**6, 0.125, (1.0,) * 4, 0, ((0.1, 0.2), (0.05, 0.1)), True
    ),
    Sharing("declared .02 ± .01, wrong", 10**6, 0.46, (1.0,) * 4, 0, ((0.02,), (0.01,))),
    Sharing("triples declared 0 ± .1", 10**6, 0.05, (1.0,) * 3, 0, ((0.0,), (0.1,))),
)
WORLDS = (*SURVEYED, *OTHERS)


@dataclass(frozen=True)
class Score:
    """Over replications, in percent of the union.

    Attributes
    ----------
    bins
        Cells of each sketch.
    rmse, bias
        Root mean square error, and mean error.
    sd
        Mean of the standard deviation that the estimates come with.
    prior_share
        Part of the variance that is the model's.
    gamma
        Mean weight of the measured triples.
    warned
        How often a warning was given.
    """

    scenario: str
    bins: int
    replications: int
    rmse: float
    bias: float
    sd: float
    coverage_80: float
    coverage_95: float
    prior_share: float
    gamma: float
    warned: float


def evaluate(world: Sharing, replications: int, seed: int = 1) -> Score:
    """Estimate again and again, and hold the estimates against the truth."""
    chance = np.random.default_rng([seed, world.persons, len(world.sizes), round(1000 * world.rho)])
    found = [_once(world, chance) for _ in range(replications)]
    truth = np.array([float(drawn.by_set.sum()) for drawn, _estimate in found])
    told = [estimate for _drawn, estimate in found]
    error = 100 * (np.array([one.persons for one in told]) / truth - 1)
    inside = {level: _inside(told, truth, level) for level in (0.80, 0.95)}
    return Score(
        scenario=world.name,
        bins=world.bins,
        replications=replications,
        rmse=float(np.sqrt((error**2).mean())),
        bias=float(error.mean()),
        sd=100 * float(np.mean([one.sd for one in told] / truth)),
        coverage_80=inside[0.80],
        coverage_95=inside[0.95],
        prior_share=100 * float(np.mean([one.prior_variance / one.sd**2 for one in told])),
        gamma=float(np.mean([one.gamma_all for one in told])),
        warned=100 * float(np.mean([bool(one.warnings) for one in told])),
    )


def _once(world: Sharing, chance: np.random.Generator) -> tuple[Drawn, UnionEstimate]:
    k = len(world.sizes)
    at_least, going_on = _beforehand(world, chance)
    drawn = draw(world, expected(world, at_least), int(chance.integers(2**63)))
    support, weights = noise_pmf(world.rho)
    return drawn, union_of(drawn.sums, np.full(k, float(weights @ support**2)), going_on)


def _beforehand(world: Sharing, chance: np.random.Generator) -> tuple[Values, GoingOn]:
    """Return the truth of the replication, and what is known of it before the sketch: a survey, or a declaration."""
    k = len(world.sizes)
    at_least = np.array(AT_LEAST[:k])
    if world.survey:
        exactly = at_least - np.append(at_least[1:], 0.0)
        counted = chance.multinomial(world.survey, exactly)
        return at_least, GoingOn.from_survey(counted[::-1].cumsum()[::-1][1:].tolist())
    going_on = GoingOn(*world.declared)
    if world.drawn:
        mean, sd = going_on.of(k)
        both = mean * (1 - mean) / sd**2 - 1
        at_least = np.append(
            at_least[:2], at_least[1] * chance.beta(mean * both, (1 - mean) * both).cumprod()
        )
    return at_least, going_on


def _inside(told: Sequence[UnionEstimate], truth: Values, level: float) -> float:
    lower, upper = np.array([one.interval(level) for one in told]).T
    return 100 * float(((lower <= truth) & (truth <= upper)).mean())


_COLUMNS = (
    *("scenario", "cells", "replications", "RMSE", "bias", "mean sd", "80 %", "95 %"),
    *("model's part of variance", "weight of triples", "warned"),
)


def markdown(scores: Sequence[Score]) -> str:
    """Return the scores as a table."""
    return "\n".join(
        [
            "## Persons at several operators",
            "",
            "n persons at each of k operators; 12 % of persons have a second one, 1 % a third, .3 % a fourth and",
            ".05 % a fifth. Third and further operators are known from a survey of 10,000 persons, a new one in each",
            "replication, unless the scenario says otherwise. Percent of the union.",
            "",
            f"| {' | '.join(_COLUMNS)} |",
            f"|{'---|' * len(_COLUMNS)}",
            *(_row(score) for score in scores),
            "",
        ]
    )


def _row(score: Score) -> str:
    return (
        f"| {score.scenario} | {score.bins:,} | {score.replications:,} | {score.rmse:.3f} | {score.bias:+.3f} "
        f"| {score.sd:.3f} | {score.coverage_80:.1f} | {score.coverage_95:.1f} | {score.prior_share:.0f} "
        f"| {score.gamma:.2f} | {score.warned:.1f} |"
    )
