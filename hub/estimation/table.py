"""Estimates as a table: one row per area and column, with uncertainty, status, provenance and privacy cost."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from hub.estimation.estimators import ESTIMATORS
from hub.estimation.published import Column, Figures
from hub.estimation.quality import report, revised
from hub.estimation.question import Question

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
    cost = question.terms.charge()
    provenance = len(question.answers), max(cost.by_day, cost.by_period)
    rows = [row for figures in found.figures for row in _rows(figures, provenance)]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    told = {**report(question, found), "revision of": revised(corrected, table)}
    return table.replace_schema_metadata({QUALITY: json.dumps(told, ensure_ascii=False).encode()})


def _rows(figures: Figures, provenance: tuple[int, int]) -> Iterator[dict[str, object]]:
    for area, code in enumerate(figures.areas):
        for place, column in enumerate(figures.columns):
            yield {"ref_area": code, **_row(figures, column, (area, place), provenance)}


def _row(
    figures: Figures, column: Column, cell: tuple[int, int], provenance: tuple[int, int]
) -> dict[str, object]:
    operators, rho = provenance
    value, error = float(figures.estimate[cell]), float(figures.std_error[cell])
    status = obs_status(value, error, float(figures.size[cell]))
    if status != "Q":
        status = _instead(figures, cell) or status
    shown, ends = status != "Q", figures.interval
    return {
        "counterpart_area": column.counterpart,
        "time_period": column.time_period,
        # The last step of all: no published number of persons is below zero.
        **{
            name: round(max(float(values[cell]), 0.0), 1) if shown else None
            for name, values in (
                ("estimate", figures.estimate),
                ("lower_80", ends.lower_80),
                ("upper_80", ends.upper_80),
                ("lower_95", ends.lower_95),
                ("upper_95", ends.upper_95),
            )
        },
        "std_error": round(error, 2) if np.isfinite(error) else None,
        "gamma": round(float(figures.gamma[cell]), 1),
        "noise_share": round(float(figures.noise_share[cell]), 1),
        "adjustment": round(figures.adjustment, 4),
        "obs_status": status,
        "conf_status": str(figures.flag[cell]),
        "operators": operators,
        "rho": rho,
    }


def _instead(figures: Figures, cell: tuple[int, int]) -> str:
    """Return what is said instead of E and U: I where nothing was measured, G where there is no register."""
    if figures.experimental is not None and figures.experimental[cell]:
        return "G"
    return "I" if figures.imputed[cell] else ""


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
    base = min(value, size)
    if base <= 0 or std_error > CV_UNRELIABLE * base:
        return "Q"
    return "E" if std_error <= CV_NORMAL * base else "U"
