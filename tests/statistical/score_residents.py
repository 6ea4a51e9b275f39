"""How good estimates of residents are, scenario by scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation.coverage import residents_by_coverage
from hub.estimation.residents import Residents, residents
from tests.statistical.charts import Chart, by_tenth, errors
from tests.statistical.scenarios import MARKET, Country, Scenario, belgium, generate
from tests.statistical.survey_world import surveyed

Values = NDArray[np.float64]
DECILES = 10
#: Worlds of the bootstrap where there is no register.
DRAWS = 50


@dataclass(frozen=True)
class Score:
    """Means over zones and replications; errors in percent of the truth.

    Attributes
    ----------
    skill
        Part of the error of the register, carried forward and scaled to the total, that is gone.
    interval_score
        Of the 95 % interval (Gneiting and Raftery 2007, JASA 102, 359-378), in percent of the truth.
    coverage_by_size
        Of the 95 % interval, by tenth of the zones from small to large.
    total_error, total_inside
        Largest error of the national sum, and how often its 95 % interval held.
    warned
        How often a warning was given.
    """

    scenario: str
    mape: float
    wmape: float
    bias: float
    coverage_80: float
    coverage_95: float
    interval_score: float
    skill: float
    coverage_by_size: tuple[float, ...]
    total_error: float
    total_inside: float
    warned: float
    imputed: float


def evaluate(scenario: Scenario, replications: int, seed: int = 1) -> Score:
    """Estimate again and again, and hold the estimates against the truth."""
    country, chance = belgium(), np.random.default_rng(seed)
    found = [_once(scenario, country, chance) for _ in range(replications)]
    return score(scenario, country, found)


def _once(scenario: Scenario, country: Country, chance: np.random.Generator) -> Residents:
    before, now = generate(scenario, country, chance)
    total = scenario.total(country, chance)
    if not scenario.register:
        told = surveyed(country, now, chance)
        return residents_by_coverage(
            told.now, told.survey, told.covariates, told.errors, chance=chance, draws=DRAWS, total=total
        )
    return residents(
        country.then,
        before,
        now,
        np.ones((country.then.size, 1)),
        scenario.assumed(),
        market=MARKET,
        total=total,
    )


def score(scenario: Scenario, country: Country, found: Sequence[Residents]) -> Score:
    truth = country.now
    error = np.stack([one.estimate / truth - 1 for one in found])
    inside = {
        level: np.stack([_inside(one.interval(level), truth) for one in found]) for level in (0.80, 0.95)
    }
    scaled = country.then * truth.sum() / country.then.sum()
    mape = float(np.abs(error).mean())
    totals = [float(one.estimate.sum() / truth.sum() - 1) for one in found]
    tenths = np.array_split(np.argsort(truth), DECILES)
    return Score(
        scenario=scenario.name,
        mape=100 * mape,
        wmape=100 * float((np.abs(error) * truth).sum() / truth.sum() / len(found)),
        bias=100 * float(error.mean()),
        coverage_80=100 * float(inside[0.80].mean()),
        coverage_95=100 * float(inside[0.95].mean()),
        interval_score=100 * float(np.mean([scored(one.interval(0.95), truth) for one in found])),
        skill=1 - mape / float(np.abs(scaled / truth - 1).mean()),
        coverage_by_size=tuple(100 * float(inside[0.95][:, zones].mean()) for zones in tenths),
        total_error=100 * max(map(abs, totals)),
        total_inside=100 * float(np.mean([_total_inside(one, truth) for one in found])),
        warned=100 * float(np.mean([bool(one.warnings) for one in found])),
        imputed=100 * float(np.mean([one.imputed.mean() for one in found])),
    )


def _inside(interval: tuple[Values, Values], truth: Values) -> NDArray[np.bool_]:
    lower, upper = interval
    return np.asarray((lower <= truth) & (truth <= upper))


def _total_inside(found: Residents, truth: Values) -> bool:
    lower, upper = found.total_interval(0.95)
    return bool(lower * (1 - 1e-9) <= truth.sum() <= upper * (1 + 1e-9))


def scored(interval: tuple[Values, Values], truth: Values, alpha: float = 0.05) -> float:
    """Return the mean score of intervals of 1 − α (Gneiting and Raftery 2007), as a part of the truth."""
    lower, upper = interval
    outside = np.maximum(lower - truth, 0) + np.maximum(truth - upper, 0)
    return float(((upper - lower + 2 / alpha * outside) / truth).mean())


def carried_forward() -> tuple[float, float]:
    """Return the MAPE of the register carried forward, as it is and scaled to the national total, in percent."""
    then, now = belgium().then, belgium().now
    scaled = then * now.sum() / then.sum()
    return 100 * float(np.abs(then / now - 1).mean()), 100 * float(np.abs(scaled / now - 1).mean())


def charts(scores: Sequence[Score]) -> dict[str, Chart]:
    """Return coverage by size of the zone, and errors beside those of the register carried forward."""
    plain, scaled = carried_forward()
    return {
        "coverage": by_tenth({score.scenario: score.coverage_by_size for score in scores}),
        "error": errors(
            {score.scenario: score.mape for score in scores},
            "mean absolute error of a municipality, % of the truth",
            {"register carried forward": plain, "register scaled to the total": scaled},
        ),
    }


def markdown(scores: Sequence[Score]) -> str:
    """Return the scores as tables."""
    plain, scaled = carried_forward()
    return "\n".join(
        [
            "## Residents",
            "",
            f"589 municipalities, register of 2011 to 2015. The register carried forward has a MAPE of {plain:.2f}",
            f"%, scaled to the national total {scaled:.2f} %. Errors are in percent of the truth.",
            "",
            f"| {' | '.join(_COLUMNS)} |",
            f"|{'---|' * len(_COLUMNS)}",
            *(_row(score) for score in scores),
            "",
            "Coverage of the 95 % interval by size of the zone, from the smallest tenth to the largest:",
            "",
            f"| scenario | {' | '.join(str(tenth + 1) for tenth in range(DECILES))} |",
            f"|---|{'---|' * DECILES}",
            *(
                f"| {s.scenario} | {' | '.join(f'{part:.1f}' for part in s.coverage_by_size)} |"
                for s in scores
            ),
            "",
        ]
    )


_COLUMNS = (
    *("scenario", "MAPE", "WMAPE", "bias", "80 %", "95 %", "interval score", "skill"),
    *("largest national error", "inside", "warned", "imputed"),
)


def _row(score: Score) -> str:
    return (
        f"| {score.scenario} | {score.mape:.2f} | {score.wmape:.2f} | {score.bias:+.2f} | {score.coverage_80:.1f} "
        f"| {score.coverage_95:.1f} | {score.interval_score:.2f} | {score.skill:.2f} | {score.total_error:.2f} "
        f"| {score.total_inside:.0f} | {score.warned:.0f} | {score.imputed:.1f} |"
    )
