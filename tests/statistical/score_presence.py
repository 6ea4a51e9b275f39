"""How good estimates of presence are, world by world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation.presence import Presence, averaged
from tests.statistical.charts import Chart, coverage, errors
from tests.statistical.presence_world import Land, Seen, World, land, seen, truth
from tests.statistical.score_residents import scored

Values = NDArray[np.float64]
#: What is declared: the spread of an answer where one operator answers, and of where silent phones are.
RELATIVE, SILENT = 0.0, 0.25


@dataclass(frozen=True)
class Score:
    """Means over replications, in percent, by day; `night` says so.

    Attributes
    ----------
    baseline
        WMAPE of counts scaled by the residents of the zone in which somebody is present.
    times_below
        How many times the WMAPE is below that.
    interval_score
        Of the 95 % interval (Gneiting and Raftery 2007, JASA 102, 359-378), in percent of the truth.
    skill
        Part of the error of the register, which has everybody where they live by day as well, that is gone.
    disagreement
        Of operators, published beside the estimates.
    """

    scenario: str
    mape: float
    wmape: float
    wmape_night: float
    bias: float
    baseline: float
    times_below: float
    coverage_80: float
    coverage_95: float
    coverage_95_night: float
    interval_score: float
    skill: float
    disagreement: float


def evaluate(world: World, replications: int, seed: int = 1) -> Score:
    """Estimate again and again, and hold the estimates against the truth."""
    country, chance = land(), np.random.default_rng(seed)
    found = [_once(world, country, chance) for _ in range(replications)]
    right = truth(country)
    estimate = np.stack([one.estimate for one, _baseline in found])
    estimate = estimate + (country.residents - country.owners)[:, None]
    sd = np.sqrt(np.stack([one.variance(SILENT) for one, _baseline in found]))
    wmape = _wmape(estimate, right)
    baseline = _wmape(np.stack([by_zone for _one, by_zone in found]), right)
    inside = {z: (np.abs(estimate - right) <= z * sd).mean(axis=(0, 1)) for z in (1.2816, 1.96)}
    return Score(
        scenario=world.name,
        mape=100 * float(np.abs(estimate[:, :, 1] / right[:, 1] - 1).mean()),
        wmape=wmape[1],
        wmape_night=wmape[0],
        bias=100 * float((estimate[:, :, 1] / right[:, 1] - 1).mean()),
        baseline=baseline[1],
        times_below=baseline[1] / wmape[1],
        coverage_80=100 * float(inside[1.2816][1]),
        coverage_95=100 * float(inside[1.96][1]),
        coverage_95_night=100 * float(inside[1.96][0]),
        interval_score=100 * scored(_interval(estimate, sd), right[:, 1]),
        skill=1 - wmape[1] / _wmape(country.residents[None, :, None].repeat(2, axis=2), right)[1],
        disagreement=float(np.mean([one.disagreement[1] for one, _baseline in found])),
    )


def _once(world: World, country: Land, chance: np.random.Generator) -> tuple[Presence, Values]:
    operators = [seen(world, number, country, chance) for number in range(len(world.market))]
    there = [operator for number, operator in enumerate(operators) if number != world.refused]
    regions = np.zeros(country.owners.size, dtype=np.int64)
    found = averaged([operator.answer for operator in there], regions, country.owners, RELATIVE)
    return found, _by_zone_of_presence(there, country)


def _by_zone_of_presence(there: Sequence[Seen], country: Land) -> Values:
    """Return counts, each scaled by the residents of the zone in which it is, not of the zone it comes from."""
    counted = np.sum([operator.counted for operator in there], axis=0)
    return np.asarray(counted * (country.residents / counted[:, 0])[:, None])


def _interval(estimate: Values, sd: Values) -> tuple[Values, Values]:
    """Return the ends of the 95 % intervals by day."""
    by_day, spread = estimate[:, :, 1], 1.96 * sd[:, :, 1]
    return by_day - spread, by_day + spread


def _wmape(found: Values, right: Values) -> tuple[float, float]:
    error = 100 * np.abs(found - right).sum(axis=1).mean(axis=0) / right.sum(axis=0)
    return float(error[0]), float(error[1])


_COLUMNS = (
    *("scenario", "MAPE by day", "WMAPE by day", "at night", "bias", "zone of presence", "times below"),
    *("80 %", "95 %", "95 % at night", "interval score", "skill", "disagreement"),
)


def markdown(scores: Sequence[Score]) -> str:
    """Return the scores as a table."""
    return "\n".join(
        [
            "## Presence",
            "",
            "43 districts, commuting of the census of 2011, phone owners by age; everybody, also those without a",
            "phone. Zone of presence: counts scaled by the residents of the zone in which they are. Errors in",
            "percent of the truth; skill: against everybody staying where the register has them.",
            "",
            f"| {' | '.join(_COLUMNS)} |",
            f"|{'---|' * len(_COLUMNS)}",
            *(_row(score) for score in scores),
            "",
        ]
    )


def charts(scores: Sequence[Score]) -> dict[str, Chart]:
    """Return errors beside those of scaling by the zone of presence, and coverage."""
    baseline = {score.scenario: score.baseline for score in scores}
    return {
        "error": errors(
            {score.scenario: score.wmape for score in scores},
            "sum of absolute errors by day, % of persons present",
            beside=("scaling by zone of presence", baseline),
        ),
        "coverage": coverage(
            {f"{score.scenario}, {when}": value for score in scores for when, value in _held(score)}
        ),
    }


def _held(score: Score) -> tuple[tuple[str, float], tuple[str, float]]:
    return ("day", score.coverage_95), ("night", score.coverage_95_night)


def _row(score: Score) -> str:
    apart = "–" if np.isnan(score.disagreement) else f"{score.disagreement:.2f}"
    return (
        f"| {score.scenario} | {score.mape:.2f} | {score.wmape:.2f} | {score.wmape_night:.2f} | {score.bias:+.2f} "
        f"| {score.baseline:.2f} | {score.times_below:.1f} | {score.coverage_80:.1f} | {score.coverage_95:.1f} "
        f"| {score.coverage_95_night:.1f} | {score.interval_score:.2f} | {score.skill:.2f} | {apart} |"
    )
