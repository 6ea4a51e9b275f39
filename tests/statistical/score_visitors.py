"""How good estimates of visitors are, world by world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation.drift import Drift
from hub.estimation.roamers import Assumed
from hub.estimation.visitors import Visitors, visitors
from tests.statistical.visitors_world import Abroad, World, abroad, roamers, totals

Values = NDArray[np.float64]
#: Countries that the declared spread of factors is worth.
_WORTH = 4.0


@dataclass(frozen=True)
class Score:
    """Means over replications, in percent; cells without an estimate are in `empty` only.

    Attributes
    ----------
    wmape, wmape_known, wmape_pooled
        Of all cells, of countries with a total, and of those without.
    national
        WMAPE of noisy counts with the one factor of all countries with a total; `by_country`: with each one's own.
    coverage_95_known, coverage_95_pooled, coverage_95_large
        Of cells of countries with and without a total, and of cells with 500 visitors and more.
    imputed
        Countries with a total and without a signal.
    factor_sd
        Estimated spread of factors, not in percent.
    """

    scenario: str
    wmape: float
    wmape_known: float
    wmape_pooled: float
    national: float
    by_country: float
    coverage_80: float
    coverage_95: float
    coverage_95_known: float
    coverage_95_pooled: float
    coverage_95_large: float
    imputed: float
    empty: float
    factor_sd: float


def evaluate(world: World, replications: int, seed: int = 1) -> Score:
    """Estimate again and again, and hold the estimates against the truth."""
    country, chance = abroad(by_municipality=world.by_municipality), np.random.default_rng(seed)
    times = max(1, replications // 4) if world.by_municipality else replications
    found = np.array([_once(world, country, chance) for _ in range(times)])
    told = np.isfinite(found).any(axis=0)
    return Score(world.name, *np.where(told, np.nanmean(np.where(told, found, 0.0), axis=0), np.nan).tolist())


def _once(world: World, country: Abroad, chance: np.random.Generator) -> list[float]:
    cells, noise = roamers(world, country, chance)
    known = totals(world, country, chance)
    assumed = Assumed(Drift(world.declared, _WORTH))
    found = visitors(cells, noise, known, assumed, size=country.residents, smooth=world.smooth)
    right, there = country.persons, np.isfinite(found.estimate)
    told = found.calibrated[:, None] & there
    pooled = ~found.calibrated[:, None] & there
    narrow, inside = (_inside(found, right, level) for level in (0.80, 0.95))
    national, by_country = _baselines(cells[:-1].T, known.persons)
    return [
        *(_wmape(found.estimate, right, part) for part in (there, told, pooled)),
        *(_wmape(one, right, right >= 0) for one in (national, by_country)),
        *(_part(narrow, there), _part(inside, there), _part(inside, told), _part(inside, pooled)),
        _part(inside, there & (right >= 500)),
        100 * float(found.imputed.mean()),
        100 * float((~there).mean()),
        found.factor_sd.sd,
    ]


def _inside(found: Visitors, right: Values, level: float) -> NDArray[np.bool_]:
    low, high = found.interval(level)
    return np.asarray((low <= right) & (right <= high))


def _part(inside: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
    return 100 * float(inside[of].mean()) if of.any() else float("nan")


def _baselines(cells: Values, persons: Values) -> tuple[Values, Values]:
    """Return noisy counts with the factor of all countries with a total, and with that of each one that has one."""
    known = np.isfinite(persons)
    middle = persons[known].sum() / cells[known].sum()
    sums = cells.sum(axis=1)
    own = np.where(known & (sums > 0), np.nan_to_num(persons) / np.where(sums > 0, sums, 1.0), middle)
    return cells * middle, cells * own[:, None]


def _wmape(found: Values, right: Values, part: NDArray[np.bool_]) -> float:
    if not part.any():
        return float("nan")
    return 100 * float(np.abs(found - right)[part].sum() / right[part].sum())


_COLUMNS = (
    *(
        "scenario",
        "WMAPE",
        "with total",
        "without",
        "one factor",
        "own factors",
        "80 %",
        "95 %",
        "95 % with total",
    ),
    *("95 % without", "95 % ≥ 500", "imputed", "empty", "φ"),
)


def markdown(scores: Sequence[Score]) -> str:
    """Return the scores as a table."""
    return "\n".join(
        [
            "## Visitors",
            "",
            "Made up: 12 countries, 43 districts or 589 municipalities (a quarter of replications), totals to 2 %,",
            "factors of countries with φ = .30. One factor, own factors: WMAPE of noisy counts with the factor of",
            "all countries with a total, or of each. Empty: cells of which nothing is known. In percent.",
            "",
            f"| {' | '.join(_COLUMNS)} |",
            f"|{'---|' * len(_COLUMNS)}",
            *(_row(score) for score in scores),
            "",
        ]
    )


def _row(score: Score) -> str:
    errors = (score.wmape, score.wmape_known, score.wmape_pooled, score.national, score.by_country)
    covered = (score.coverage_80, score.coverage_95, score.coverage_95_known, score.coverage_95_pooled)
    values = (*errors, *covered, score.coverage_95_large, score.imputed, score.empty)
    parts = (score.scenario, *(_told(value, 1) for value in values), _told(score.factor_sd, 2))
    return f"| {' | '.join(parts)} |"


def _told(value: float, digits: int) -> str:
    return "–" if np.isnan(value) else f"{value:.{digits}f}"
