"""Residents end to end: the estimator on what the hub holds, and beside it on counts that nothing has spoilt.

Three kinds of counts of the same country at the same scale and with the same noise:

- *end to end*: what the nodes measured of events, and the hub holds;
- *counted*: the true subscriptions at the homes of their holders, with fresh noise in every draw: what is lost
  between it and the first are dirt, missed homes and missed nights;
- *drawn*: Poisson counts of the true populations, both dates independent, as in the acceptance table. At a small
  scale it is the chance of these draws that counts; in the simulated country people stay, and so do their phones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hub.config import Agreement
from hub.estimation.question import Answer, counted
from hub.estimation.residents import Period, Residents, residents
from tests.statistical.chain.people import Times, subscriptions_at_home
from tests.statistical.scenarios import MARKET, SCENARIOS, Country, Scenario, belgium
from tests.statistical.score_residents import Score, score

Values = NDArray[np.float64]
#: Rows of the table: scenarios of the same name.
ROWS = (
    "three operators",
    "two operators",
    "two smaller operators",
    "third missing, total unknown",
    "second missing, total unknown",
    "first missing, total unknown",
)


@dataclass(frozen=True)
class Counts:
    """Counts of every operator at both dates, float64 of shape (operators, zones), and the variance of the noise."""

    then: Values
    later: Values
    variance: Values

    def periods(self, present: Sequence[bool]) -> tuple[Period, Period]:
        """Return what the estimator is given if some operators answer at the second date."""
        everybody = np.ones(len(present), dtype=bool)
        return Period(self.then, self.variance, everybody), Period(
            self.later, self.variance, np.array(present)
        )


@dataclass(frozen=True)
class Row:
    """One scenario, by kind of counts."""

    end_to_end: Score
    counted: Score
    drawn: Score


@dataclass(frozen=True)
class Published:
    """How far the hub's own table of the second date is from the truth, in percent; suppressed zones are left out."""

    mape: float
    wmape: float
    bias: float
    coverage_80: float
    coverage_95: float
    published: float


def of_table(table: pa.Table, truth: Values) -> Published:
    """Score the published rows of zones, in the order of the truth."""
    estimate, lower_80, upper_80, lower_95, upper_95 = (
        np.array(table[name].to_pylist(), dtype=np.float64)
        for name in ("estimate", "lower_80", "upper_80", "lower_95", "upper_95")
    )
    told = ~np.isnan(estimate)
    error, right = (estimate - truth)[told] / truth[told], truth[told]
    return Published(
        mape=100 * float(np.abs(error).mean()),
        wmape=100 * float(np.abs(error) @ right / right.sum()),
        bias=100 * float(error.mean()),
        coverage_80=100 * float(((lower_80 <= truth) & (truth <= upper_80))[told].mean()),
        coverage_95=100 * float(((lower_95 <= truth) & (truth <= upper_95))[told].mean()),
        published=100 * float(told.mean()),
    )


def of_hub(own: Agreement, then: Sequence[Answer], later: Sequence[Answer]) -> Counts:
    """Return what the hub holds; the operators are in the order of their names at both dates."""
    assert [answer.operator for answer in then] == [answer.operator for answer in later] == sorted(MARKET_OF)
    found = [[counted(own, answer) for answer in answers] for answers in (then, later)]
    before, after = (np.stack([one.zones[:, 0] for one in date]) for date in found)
    return Counts(before, after, np.array([float(one.zone_variance[0]) for one in found[0]]))


#: National shares by operator.
MARKET_OF = dict(zip(("mno1", "mno2", "mno3"), MARKET, strict=True))


def country_of(times: Times) -> Country:
    """Return the registers of both dates, at the scale of the simulation."""
    first = times.worlds[0].country
    then, now = (
        np.bincount(world.persons.home, minlength=len(first.zone_codes)).astype(np.float64)
        for world in times.worlds
    )
    if not (then.all() and now.all()):
        raise ValueError("at this scale a municipality has no inhabitant; take a larger one")
    return Country(then, now, belgium().owners, first.district_index)


def evaluate(times: Times, measured: Counts, sigma: float, draws: int, seed: int) -> list[Row]:
    """Score every scenario with the three kinds of counts.

    Parameters
    ----------
    times
        The country.
    measured
        What the hub holds.
    sigma
        Of the noise that is drawn for the other two kinds.
    draws, seed
        How often, and its randomness.
    """
    country, chance = country_of(times), np.random.default_rng([seed, 77])
    exact = np.stack([subscriptions_at_home(world) for world in times.worlds])
    expected = _expected(times, country)
    kinds = [
        [measured],
        [_noisy(exact, sigma, chance) for _draw in range(draws)],
        [_noisy(chance.poisson(expected).astype(np.float64), sigma, chance) for _draw in range(draws)],
    ]
    return [
        Row(*(score(scenario, country, [_once(scenario, country, one) for one in kind]) for kind in kinds))
        for scenario in SCENARIOS
        if scenario.name in ROWS
    ]


def _expected(times: Times, country: Country) -> Values:
    """Return expected subscriptions, of shape (dates, operators, zones)."""
    return np.stack(
        [
            people * country.owners * (1 + market.second) * market.shares.T
            for people, market in zip((country.then, country.now), times.markets, strict=True)
        ]
    )


def _noisy(counts: Values, sigma: float, chance: np.random.Generator) -> Counts:
    then, later = counts + np.rint(chance.normal(0, sigma, counts.shape))
    return Counts(then, later, np.full(counts.shape[1], sigma**2))


def _once(scenario: Scenario, country: Country, counts: Counts) -> Residents:
    assert scenario.present is not None
    return residents(
        country.then,
        *counts.periods(scenario.present),
        np.ones((country.then.size, 1)),
        scenario.assumed(),
        market=MARKET,
        total=float(country.now.sum()) if scenario.total_known else None,
    )


_COLUMNS = (
    "counts",
    "MAPE",
    "WMAPE",
    "bias",
    "80 %",
    "95 %",
    "national error",
    "inside",
    "warned",
    "imputed",
)


def markdown(times: Times, rows: Sequence[Row], measured: Counts, published: Published, draws: int) -> str:
    """Return the scores as tables."""
    country = country_of(times)
    plain = country.then / country.now - 1
    scaled = country.then * country.now.sum() / country.then.sum() / country.now - 1
    part = [
        100 * float(counts.sum() / subscriptions_at_home(world).sum())
        for counts, world in zip((measured.then, measured.later), times.worlds, strict=True)
    ]
    return "\n".join(
        [
            "## Residents",
            "",
            f"{country.then.size} municipalities, register of 2011 to 2015, {country.then.sum():,.0f} persons then, "
            f"{country.now.sum():,.0f} later.",
            f"The register carried forward has a MAPE of {_mean(plain):.2f} % and a WMAPE of "
            f"{_weighted(plain, country):.2f} %, scaled to the national total {_mean(scaled):.2f} and "
            f"{_weighted(scaled, country):.2f} %.",
            f"Nodes found the home of {part[0]:.1f} % of the subscriptions then, of {part[1]:.1f} % later. κ is "
            "declared as it is (.005). Counted and drawn: means",
            f"of {draws} draws; their national error is the largest. Errors in percent of the truth.",
            "",
            f"| scenario | {' | '.join(_COLUMNS)} |",
            f"|---|{'---|' * len(_COLUMNS)}",
            *(line for row in rows for line in _lines(row)),
            "",
            "What the hub publishes of the second date by itself (three operators; knowledge.toml says the date of "
            f"the register, τ and the national total): MAPE {published.mape:.2f}, WMAPE {published.wmape:.2f}, bias "
            f"{published.bias:+.2f}, 80 and 95 % interval {published.coverage_80:.1f} and "
            f"{published.coverage_95:.1f}; {published.published:.1f} % of the zones are published, the others "
            "suppressed.",
            "",
            "Loss: error end to end in parts of the error beside it.",
            "",
            "| scenario | MAPE, of counted | WMAPE, of counted | MAPE, of drawn | WMAPE, of drawn |",
            "|---|---|---|---|---|",
            *(_loss(row) for row in rows),
            "",
        ]
    )


def _mean(error: Values) -> float:
    return 100 * float(np.abs(error).mean())


def _weighted(error: Values, country: Country) -> float:
    return 100 * float(np.abs(error) @ country.now / country.now.sum())


def _lines(row: Row) -> list[str]:
    return [
        f"| {one.scenario} | {name} | {one.mape:.2f} | {one.wmape:.2f} | {one.bias:+.2f} | {one.coverage_80:.1f} "
        f"| {one.coverage_95:.1f} | {one.total_error:.2f} | {one.total_inside:.0f} | {one.warned:.0f} "
        f"| {one.imputed:.1f} |"
        for name, one in (("end to end", row.end_to_end), ("counted", row.counted), ("drawn", row.drawn))
    ]


def _loss(row: Row) -> str:
    measured = row.end_to_end
    ratios = [
        value
        for beside in (row.counted, row.drawn)
        for value in (measured.mape / beside.mape, measured.wmape / beside.wmape)
    ]
    return f"| {measured.scenario} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |"
