"""Estimates as a table: one row per area and column, with uncertainty, status, provenance and privacy cost."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hub.estimation.additive import whole
from hub.estimation.chance import chance_of
from hub.estimation.estimators import ESTIMATORS
from hub.estimation.published import Figures
from hub.estimation.quality import report, revised
from hub.estimation.question import Question
from hub.estimation.status import reliability, statuses
from quorate.contract.zoning import NATION

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
SCHEMA = pa.schema(
    [
        ("ref_area", pa.string()),
        ("counterpart_area", pa.string()),
        ("time_period", pa.string()),
        ("estimate", pa.float64()),
        ("std_error", pa.float64()),
        ("lower_80", pa.float64()),
        ("upper_80", pa.float64()),
        ("lower_95", pa.float64()),
        ("upper_95", pa.float64()),
        ("gamma", pa.float64()),
        ("noise_share", pa.float64()),
        ("adjustment", pa.float64()),
        ("obs_status", pa.string()),
        ("conf_status", pa.string()),
        ("operators", pa.int64()),
        ("rho", pa.int64()),
    ]
)
#: Key of the quality report in the metadata of the table.
QUALITY = b"quality"


def estimate(question: Question, corrected: pa.Table | None = None) -> pa.Table:
    """Return the estimates of a release, at every level that the charter publishes.

    The table's metadata hold the quality report of the release, as JSON.

    Parameters
    ----------
    question
        The release.
    corrected
        Estimates of the release that this one corrects, if it does.
    """
    found = ESTIMATORS[question.terms.statistic](question)
    figures = whole(found, question.own.zoning, chance_of(question))
    levels = {*question.own.charter.publication.levels, NATION}
    # What does not add up, and was measured at other levels than are published, is shown as it was measured.
    shown = [one for one in figures if one.level in levels] or figures
    cost = question.terms.charge()
    provenance = found.operators or len(question.answers), max(cost.by_day, cost.by_period)
    table = pa.concat_tables([_rows(one, provenance) for one in shown])
    told = {**report(question, replace(found, figures=shown)), "revision of": revised(corrected, table)}
    return table.replace_schema_metadata({QUALITY: json.dumps(told, ensure_ascii=False).encode()})


def _rows(figures: Figures, provenance: tuple[int, int]) -> pa.Table:
    """Return the rows of one level: area by area, column by column."""
    operators, rho = provenance
    areas, columns = len(figures.areas), figures.columns
    status = statuses(figures).ravel()
    shown, ends, size = status != "Q", figures.interval, status.size
    error = figures.std_error.ravel()
    # The last step of all: no published number of persons is below zero.
    persons = {"estimate": _numbers(np.maximum(figures.estimate, 0.0), 1, shown)}
    for name, values, outward in (
        ("lower_80", ends.lower_80, np.floor),
        ("upper_80", ends.upper_80, np.ceil),
        ("lower_95", ends.lower_95, np.floor),
        ("upper_95", ends.upper_95, np.ceil),
    ):
        persons[name] = pa.array(_outward(np.maximum(values, 0.0).ravel(), error, outward), mask=~shown)
    found = {
        "ref_area": np.repeat(np.array(figures.areas, dtype=object), len(columns)),
        "counterpart_area": [column.counterpart for column in columns] * areas,
        "time_period": [column.time_period for column in columns] * areas,
        **persons,
        "std_error": pa.array(_coarse(error), mask=~np.isfinite(error)),
        "gamma": _numbers(figures.gamma, 1, np.ones(size, dtype=bool)),
        "noise_share": _numbers(figures.noise_share, 1, np.ones(size, dtype=bool)),
        "adjustment": np.full(size, round(figures.adjustment, 4)),
        "obs_status": status.astype(object),
        "conf_status": figures.flag.ravel().astype(object),
        "operators": np.full(size, operators),
        "rho": np.full(size, rho),
    }
    return pa.table({name: pa.array(found[name], SCHEMA.field(name).type) for name in SCHEMA.names})


def _step(error: Values) -> Values:
    """Return the place of the second digit of standard errors: finer, they would tell what operators counted."""
    usable = np.isfinite(error) & (error > 0)
    place = np.floor(np.log10(np.where(usable, error, 1.0))) - 1
    return np.asarray(np.where(usable, 10.0**place, 0.1))


def _coarse(error: Values) -> Values:
    """Return standard errors with two digits, rounded up."""
    step = _step(error)
    known = np.where(np.isfinite(error), error, 0.0)
    return np.asarray(np.round(np.ceil(np.round(known / step, 6)) * step, 6))


def _outward(ends: Values, error: Values, outward: np.ufunc) -> Values:
    """Return ends of intervals as coarse as the standard error, moved outward."""
    step = _step(error)
    told = np.nan_to_num(ends, posinf=0.0, neginf=0.0)
    return np.asarray(np.round(outward(np.round(told / step, 6)) * step, 6))


def _numbers(values: Values, digits: int, shown: Mask) -> pa.Array:
    """Return rounded numbers, null where they are not shown."""
    rounded = np.round(np.where(shown, values.ravel(), 0.0), digits)
    return pa.array(rounded, mask=~shown)


def obs_status(value: float, std_error: float, size: float) -> str:
    """Return E, U or Q of one cell; see `hub.estimation.status.reliability`."""
    return str(reliability(np.array(value), np.array(std_error), np.array(size)))
