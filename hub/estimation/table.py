"""Estimates as a table: one row per area and column, with uncertainty, status, provenance and privacy cost."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hub.estimation.additive import chance_of, whole
from hub.estimation.estimators import ESTIMATORS
from hub.estimation.published import Figures
from hub.estimation.quality import report, revised
from hub.estimation.question import Question
from quorate.contract.zoning import NATION

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Largest coefficient of variation of a normal estimate (E) and of an unreliable one (U); above it is
#: suppressed (Q). SDMX code list CL_OBS_STATUS.
CV_NORMAL, CV_UNRELIABLE = 0.10, 0.25

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
    shown = [one for one in figures if one.level in levels]
    cost = question.terms.charge()
    provenance = len(question.answers), max(cost.by_day, cost.by_period)
    table = pa.concat_tables([_rows(one, provenance) for one in shown])
    told = {**report(question, replace(found, figures=shown)), "revision of": revised(corrected, table)}
    return table.replace_schema_metadata({QUALITY: json.dumps(told, ensure_ascii=False).encode()})


def _rows(figures: Figures, provenance: tuple[int, int]) -> pa.Table:
    """Return the rows of one level: area by area, column by column."""
    operators, rho = provenance
    areas, columns = len(figures.areas), figures.columns
    status = _status(figures).ravel()
    shown, ends, size = status != "Q", figures.interval, status.size
    # The last step of all: no published number of persons is below zero.
    persons = {
        name: _numbers(np.maximum(values, 0.0), 1, shown)
        for name, values in (
            ("estimate", figures.estimate),
            ("lower_80", ends.lower_80),
            ("upper_80", ends.upper_80),
            ("lower_95", ends.lower_95),
            ("upper_95", ends.upper_95),
        )
    }
    found = {
        "ref_area": np.repeat(np.array(figures.areas, dtype=object), len(columns)),
        "counterpart_area": [column.counterpart for column in columns] * areas,
        "time_period": [column.time_period for column in columns] * areas,
        **persons,
        "std_error": _numbers(figures.std_error, 2, np.isfinite(figures.std_error).ravel()),
        "gamma": _numbers(figures.gamma, 1, np.ones(size, dtype=bool)),
        "noise_share": _numbers(figures.noise_share, 1, np.ones(size, dtype=bool)),
        "adjustment": np.full(size, round(figures.adjustment, 4)),
        "obs_status": status.astype(object),
        "conf_status": figures.flag.ravel().astype(object),
        "operators": np.full(size, operators),
        "rho": np.full(size, rho),
    }
    return pa.table({name: pa.array(found[name], SCHEMA.field(name).type) for name in SCHEMA.names})


def _numbers(values: Values, digits: int, shown: Mask) -> pa.Array:
    """Return rounded numbers, null where they are not shown."""
    rounded = np.round(np.where(shown, values.ravel(), 0.0), digits)
    return pa.array(rounded, mask=~shown)


def _status(figures: Figures) -> NDArray[np.str_]:
    """Return CL_OBS_STATUS of every cell: by reliability, but I where nothing was measured and G without register."""
    reliable = _reliability(figures.estimate, figures.std_error, figures.size)
    experimental = (
        np.zeros(reliable.shape, dtype=bool) if figures.experimental is None else figures.experimental
    )
    instead = np.where(experimental, "G", np.where(figures.imputed, "I", reliable))
    return np.where(reliable == "Q", "Q", instead)


def _reliability(value: Values, std_error: Values, size: Values) -> NDArray[np.str_]:
    base = np.minimum(np.nan_to_num(value, nan=0.0), size)
    lost = ~(base > 0) | ~(std_error <= CV_UNRELIABLE * base)
    return np.where(lost, "Q", np.where(std_error <= CV_NORMAL * base, "E", "U"))


def obs_status(value: float, std_error: float, size: float) -> str:
    """Return E, U or Q by the coefficient of variation.

    The standard error is held against the estimate and against the registered population, and the worse of
    the two decides. The estimate alone would publish just those small areas whose noise points upward.

    Parameters
    ----------
    value, std_error
        The estimate and its standard error.
    size
        Registered persons of the area: public, and without noise.
    """
    return str(_reliability(np.array(value), np.array(std_error), np.array(size)))
