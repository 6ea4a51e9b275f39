"""Presence end to end: the published release of two rounds, and beside it other ways to estimate the same day.

- *anchored*: the estimates that an office gets of the weighted product, of three operators, and of each two after the
  third refused although its weights had gone out; and what the hub's estimator says of one operator's stored answer
  alone, which a hub does not publish;
- *anchored, silent as simulated*: the same answers with a charter that declares what the simulation does, that phones
  are silent wherever they are (`silent_sd` 0). The demo's charter reserves 3 % of what is assigned to silent
  phones, because nobody knows where they are; without the reserve the rest of the interval is put to the test;
- *zone of presence*: counts of presence by hour, each scaled by the residents of the zone in which it is over the
  zone's count by night. Phones are silent more often by night, so every hour is scaled to the national population
  once more; *unscaled* is without that;
- *one ratio*: what the hub estimates of presence by hour (`hub.estimation.by_ratio`);
- *register*: everybody stays at home.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hub.config import Agreement
from hub.estimation.question import Answer, Question, counted
from hub.estimation.table import estimate
from tests.two_rounds import NIGHT_HOURS, WEIGHTED

Values = NDArray[np.float64]
#: Hours of the day by which estimates are judged; the night is judged at one hour in which everybody is at home.
DAYTIME, NIGHT = slice(9, 17), 3


@dataclass(frozen=True)
class Score:
    """How far estimates are from the truth, in percent.

    Attributes
    ----------
    operators
        Who answered.
    way
        Of estimating.
    wmape_day, wmape_all, wmape_night
        Σ|estimate − truth| / Σ truth over daytime, all hours, and the hour of the night; published cells alone.
    bias_day
        (Σ estimate − Σ truth) / Σ truth by daytime.
    coverage
        Of the 80 and the 95 % interval by daytime, of both over all hours; not a number where there is none.
    width
        Median half width of the 95 % interval by daytime, in percent of the estimate.
    published
        Part of the cells of daytime that are published.
    by_hour
        WMAPE of every hour.
    coverage_by_hour
        Of the 95 % interval.
    """

    operators: str
    way: str
    wmape_day: float
    wmape_all: float
    wmape_night: float
    bias_day: float
    coverage: tuple[float, float, float, float]
    width: float
    published: float
    by_hour: tuple[float, ...]
    coverage_by_hour: tuple[float, ...]


def truth_of(path: Path, areas: Sequence[str]) -> Values:
    """Return persons of truth/presence.csv, float64 of shape (areas, hours)."""
    found: dict[str, list[float]] = {area: [] for area in areas}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["ref_area"] in found:
                found[row["ref_area"]].append(float(row["value"]))
    return np.array(list(found.values()))


@dataclass(frozen=True)
class Day:
    """What is known of the day.

    Attributes
    ----------
    truth
        Persons, float64 of shape (zones, hours).
    own
        What the hub works by.
    presence, anchors
        Contributions to presence by hour, and to the first round.
    weighted, tables
        Contributions to the weighted products, and what is published of them, by name of the product.
    """

    truth: Values
    own: Agreement
    presence: Sequence[Answer]
    anchors: Sequence[Answer]
    weighted: Mapping[str, Sequence[Answer]]
    tables: Mapping[str, pa.Table]


def of_table(operators: str, way: str, table: pa.Table, truth: Values) -> Score:
    """Score a published table of zones; a suppressed cell is neither right nor wrong."""
    values = {
        name: np.array(table[name].to_pylist(), dtype=np.float64).reshape(truth.shape)
        for name in ("estimate", "lower_80", "upper_80", "lower_95", "upper_95")
    }
    told = ~np.isnan(values["estimate"])
    inside = [
        np.where(told, (values[f"lower_{level}"] <= truth) & (truth <= values[f"upper_{level}"]), np.nan)
        for level in (80, 95)
    ]
    half = (values["upper_95"] - values["lower_95"]) / (2 * values["estimate"])
    return replace(
        _score(operators, way, values["estimate"], truth, inside),
        width=100 * float(np.nanmedian(half[:, DAYTIME])),
    )


def by_zone_of_presence(own: Agreement, answers: Sequence[Answer], *, scaled: bool) -> Values:
    """Return counts scaled by the residents of the zone in which they are, and to the nation if that is wanted."""
    counts = np.sum([counted(own, answer).zones for answer in answers], axis=0)
    residents = own.register.population
    night = counts[:, list(NIGHT_HOURS)].mean(axis=1)
    found = counts * (residents / night)[:, None]
    return np.asarray(found * (residents.sum() / found.sum(axis=0)) if scaled else found)


def by_one_ratio(own: Agreement, answers: Sequence[Answer]) -> pa.Table:
    """Return what the hub publishes of presence by hour if these operators answer."""
    return estimate(Question(own, answers, lambda _product, _days, _revision: ()))


def score_alone(day: Day, operator: str) -> list[Score]:
    """Score every way for one operator, as if the others had not answered."""
    answers = [one for one in day.weighted[WEIGHTED] if one.operator == operator]
    return _scores(day, [operator], _estimated(day, day.own, answers), answers)


def score_release(day: Day, operators: Sequence[str], product: str) -> list[Score]:
    """Score every way for the operators that answered a weighted product."""
    return _scores(day, operators, day.tables[product], day.weighted[product])


def score_register(day: Day) -> Score:
    """Score that everybody stays at home."""
    found = np.repeat(day.own.register.population[:, None], day.truth.shape[1], axis=1)
    nothing = np.full(day.truth.shape, np.nan)
    return _score("none", "register", found, day.truth, [nothing, nothing])


def _estimated(day: Day, own: Agreement, answers: Sequence[Answer]) -> pa.Table:
    """Return what the hub would publish of weighted answers."""
    return estimate(Question(own, answers, lambda _product, _days, _revision: day.anchors))


def _without_reserve(own: Agreement) -> Agreement:
    """Return what the hub works by, if the charter declared that phones are silent wherever they are."""
    calibration = own.charter.calibration.model_copy(update={"silent_sd_permille": 0})
    return replace(own, charter=own.charter.model_copy(update={"calibration": calibration}))


def _scores(day: Day, operators: Sequence[str], table: pa.Table, weighted: Sequence[Answer]) -> list[Score]:
    answers = [answer for answer in day.presence if answer.operator in operators]
    names = ", ".join(operators)
    nothing = np.full(day.truth.shape, np.nan)
    baseline = {
        way: by_zone_of_presence(day.own, answers, scaled=scaled)
        for way, scaled in (("zone of presence", True), ("zone of presence, unscaled", False))
    }
    return [
        of_table(names, "anchored", table, day.truth),
        of_table(
            names,
            "anchored, silent as simulated",
            _estimated(day, _without_reserve(day.own), weighted),
            day.truth,
        ),
        *(_score(names, way, found, day.truth, [nothing, nothing]) for way, found in baseline.items()),
        of_table(names, "one ratio", by_one_ratio(day.own, answers), day.truth),
    ]


def _score(operators: str, way: str, found: Values, truth: Values, inside: Sequence[Values]) -> Score:
    told = ~np.isnan(found)
    error, right = np.where(told, np.abs(found - truth), 0.0), np.where(told, truth, 0.0)
    signed = np.where(told, found - truth, 0.0)

    def wmape(hours: slice) -> float:
        return 100 * float(error[:, hours].sum() / right[:, hours].sum())

    def covered(values: Values) -> float:
        seen = ~np.isnan(values)
        return 100 * float(values[seen].mean()) if seen.any() else float("nan")

    return Score(
        operators=operators,
        way=way,
        wmape_day=wmape(DAYTIME),
        wmape_all=wmape(slice(None)),
        wmape_night=wmape(slice(NIGHT, NIGHT + 1)),
        bias_day=100 * float(signed[:, DAYTIME].sum() / right[:, DAYTIME].sum()),
        coverage=(
            covered(inside[0][:, DAYTIME]),
            covered(inside[1][:, DAYTIME]),
            covered(inside[0]),
            covered(inside[1]),
        ),
        width=float("nan"),
        published=100 * float(told[:, DAYTIME].mean()),
        by_hour=tuple(wmape(slice(hour, hour + 1)) for hour in range(truth.shape[1])),
        coverage_by_hour=tuple(covered(inside[1][:, hour]) for hour in range(truth.shape[1])),
    )


_COLUMNS = (
    *(
        "operators",
        "way",
        "WMAPE by day",
        "all hours",
        "at night",
        "bias by day",
        "times below zone of presence",
    ),
    *("80 % by day", "95 % by day", "80 % all", "95 % all", "± 95 %", "published"),
)


_NOTE = f"""\
A weekday of the second date; by day is from {DAYTIME.start} to {DAYTIME.stop} o'clock. Errors in percent of the
truth. Of three operators, and of each two, the anchored estimates are what an office gets: the third refused
after its weights had gone out. Those of one operator are the estimator's; no hub publishes them. *Silent as
simulated*: the same answers if the charter declared that phones are silent wherever they are. The demo's
charter reserves 3 % of what silent phones are assigned, and so the published intervals are wide. *Zone of
presence*: counts by hour, scaled by the residents of the zone in which they are over its count by night, and
every hour once more to the national population, because more phones are silent by night; *unscaled* without
that. *One ratio*: what the hub says of presence by hour. *Register*: everybody at home.
"""
#: Ways whose errors are shown hour by hour.
_SHOWN = ("anchored", "zone of presence", "register")


def markdown(scores: Sequence[Score]) -> str:
    """Return the scores as tables."""
    hours = len(scores[0].by_hour)
    return "\n".join(
        [
            "## Presence by hour",
            "",
            _NOTE,
            f"| {' | '.join(_COLUMNS)} |",
            f"|{'---|' * len(_COLUMNS)}",
            *(_row(score, scores) for score in scores),
            "",
            "WMAPE by hour, and coverage of the 95 % interval:",
            "",
            f"| operators | way | {' | '.join(str(hour) for hour in range(hours))} |",
            f"|---|---|{'---|' * hours}",
            *(_hours(one, one.by_hour, one.way, 2) for one in scores if one.way in _SHOWN),
            *(
                _hours(one, one.coverage_by_hour, f"{one.way}, 95 %", 0)
                for one in scores
                if one.way.startswith("anchored")
            ),
            "",
        ]
    )


def baseline_of(score: Score, scores: Sequence[Score]) -> Score | None:
    """Return the zone of presence of the same operators, None if there are no operators."""
    wanted = score.operators, "zone of presence"
    return next((one for one in scores if (one.operators, one.way) == wanted), None)


def _row(score: Score, scores: Sequence[Score]) -> str:
    beside = baseline_of(score, scores)
    ratio = "–" if beside is None else f"{beside.wmape_day / score.wmape_day:.1f}"
    covered = " | ".join(
        "–" if np.isnan(value) else f"{value:.1f}" for value in (*score.coverage, score.width)
    )
    return (
        f"| {score.operators} | {score.way} | {score.wmape_day:.2f} | {score.wmape_all:.2f} "
        f"| {score.wmape_night:.2f} | {score.bias_day:+.2f} | {ratio} | {covered} | {score.published:.1f} |"
    )


def _hours(score: Score, values: Sequence[float], what: str, digits: int) -> str:
    return f"| {score.operators} | {what} | {' | '.join(f'{value:.{digits}f}' for value in values)} |"
