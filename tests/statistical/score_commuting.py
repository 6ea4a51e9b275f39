"""How good tables of commuting are, world by world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation.od import commuting
from hub.estimation.od_table import APART, Assumed, Counted, Known, Table
from tests.statistical.commuting_world import Land, World, land, seen

Values = NDArray[np.float64]
#: Variance of subscribers around their expectation: each operator's share is drawn by itself, 1 - Σs² of the market.
DISPERSION = 0.65
#: A table of 589 zones has 190 times as many cells: one of these for so many of the others.
_FOR_EACH = 20


@dataclass(frozen=True)
class Score:
    """Means over replications, in percent.

    Attributes
    ----------
    wmape, apart
        Of the whole table, and between different zones.
    national, national_apart
        The same of noisy counts with one weight of the country.
    by_presence, by_presence_apart
        The same of noisy counts, each with the weight of the zone in which it is by day.
    coverage_95_large, coverage_95_stay, coverage_95_arriving
        Of cells with 1,000 persons and more, of the diagonal, and of sums by day zone.
    imputed
        Origins without a signal.
    disagreement
        Of known sums by day zone.
    """

    scenario: str
    wmape: float
    apart: float
    national: float
    national_apart: float
    by_presence: float
    by_presence_apart: float
    coverage_80: float
    coverage_95: float
    coverage_95_large: float
    coverage_95_stay: float
    coverage_95_arriving: float
    imputed: float
    disagreement: float


def evaluate(world: World, replications: int, seed: int = 1) -> Score:
    """Estimate again and again, and hold the tables against the truth."""
    country, chance = land(by_municipality=world.by_municipality), np.random.default_rng(seed)
    times = max(1, replications // _FOR_EACH) if world.by_municipality else replications
    found = np.array([_once(world, country, chance) for _ in range(times)])
    return Score(world.name, *found.mean(axis=0).tolist())


def _once(world: World, country: Land, chance: np.random.Generator) -> list[float]:
    counted = seen(world, country, chance)
    table = estimated(world, country, counted, chance)
    right, error, sd = country.table, np.abs(table.estimate - country.table), table.sd
    apart = counted.kinds() == APART
    inside = error <= 1.96 * sd
    raw, by_presence = _baselines(country, counted)
    sums = np.abs((table.estimate - right).sum(axis=0))[:-1]
    sums_sd = np.sqrt(np.maximum(np.diagonal(table.spread.columns()), 0.0))[:-1]
    known = world.destinations
    return [
        *(
            _wmape(one, right, part)
            for one in (table.estimate, raw, by_presence)
            for part in (right >= 0, apart)
        ),
        *(100 * float(part.mean()) for part in (error <= 1.2816 * sd, inside, inside[right >= 1000])),
        100 * float(np.diagonal(inside).mean()),
        float("nan") if known else 100 * float((sums <= 1.96 * sums_sd).mean()),
        100 * float(table.imputed.mean()),
        table.disagreement,
    ]


def estimated(world: World, country: Land, counted: Counted, chance: np.random.Generator) -> Table:
    """Return the table that is estimated in a world."""
    owners = country.owners * (1 + chance.normal(0, world.homes_error, country.owners.size))
    return commuting(
        counted,
        Known(owners, (world.homes_error * country.owners) ** 2),
        Known.exactly(country.table.sum(axis=0)[:-1]) if world.destinations else None,
        assumed=Assumed(DISPERSION, world.declared),
        distance=country.distance if world.near else None,
        smooth=world.smooth,
    )


def _baselines(country: Land, counted: Counted) -> tuple[Values, Values]:
    raw = counted.cells * (country.owners.sum() / counted.cells.sum())
    homes = counted.cells.sum(axis=1) if counted.totals is None else counted.totals
    # A zone without a count has no weight of its own: that of the country.
    weights = np.where(
        homes > 0, country.owners / np.where(homes > 0, homes, 1.0), raw.sum() / counted.cells.sum()
    )
    return raw, np.concatenate([counted.cells[:, :-1] * weights, raw[:, -1:]], axis=1)


def _wmape(found: Values, right: Values, part: NDArray[np.bool_]) -> float:
    return 100 * float(np.abs(found - right)[part].sum() / right[part].sum())


_COLUMNS = (
    *("scenario", "WMAPE", "other zones", "national", "other zones", "zone of presence", "other zones"),
    *("80 %", "95 %", "95 % ≥ 1,000", "95 % stay", "95 % sums by day", "imputed", "disagreement"),
)


def markdown(scores: Sequence[Score]) -> str:
    """Return the scores as a table."""
    return "\n".join(
        [
            "## Commuting",
            "",
            "43 districts: census of 2011. 589 municipalities: made up within the census, a twentieth of the",
            "replications. Phone owners; coverage sd .22 by operator and zone. National, zone of presence: WMAPE of",
            "noisy counts with one weight, or with that of the day zone. Other zones: not those who stay. Percent.",
            "",
            f"| {' | '.join(_COLUMNS)} |",
            f"|{'---|' * len(_COLUMNS)}",
            *(_row(score) for score in scores),
            "",
        ]
    )


def _row(score: Score) -> str:
    errors = (score.wmape, score.apart, score.national, score.national_apart, score.by_presence)
    covered = (score.coverage_80, score.coverage_95, score.coverage_95_large, score.coverage_95_stay)
    parts = [
        score.scenario,
        *(f"{value:.2f}" for value in (*errors, score.by_presence_apart)),
        *(_told(value, 1) for value in (*covered, score.coverage_95_arriving, score.imputed)),
        _told(score.disagreement, 2),
    ]
    return f"| {' | '.join(parts)} |"


def _told(value: float, digits: int) -> str:
    return "–" if np.isnan(value) else f"{value:.{digits}f}"
