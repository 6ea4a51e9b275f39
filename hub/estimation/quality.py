"""The quality report of a release: who took part, what was assumed, and what the estimates are held against.

It goes with the estimates and is as public as they are, so of the operators it says only who answered.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from hub.estimation.estimated import Estimated
from hub.estimation.indicating import indicators_of
from hub.estimation.published import Figures
from hub.estimation.question import Question
from hub.estimation.status import statuses

Json = Mapping[str, object]


def report(question: Question, found: Estimated) -> Json:
    """Return the report of a release, ready for JSON.

    Parameters
    ----------
    question
        The release.
    found
        Its estimates.
    """
    own, terms = question.own, question.terms
    missing = sorted(set(own.charter.operators) - set(question.operators))
    return {
        "product": terms.product,
        "statistic": terms.statistic,
        "first_day": terms.first_day.isoformat(),
        "last_day": terms.last_day.isoformat(),
        "revision": terms.revision,
        "charter": own.charter_digest,
        "method": found.method,
        "operators": {"answered": question.operators, "missing": missing},
        "noise": [
            {"level": level.name, "mechanism": terms.mechanism, "scale": level.scale_milli / 1000}
            for level in terms.levels
        ],
        "rho": {"period": terms.charge().by_period, "day": terms.charge().by_day},
        "assumptions": dict(found.assumptions),
        "diagnostics": dict(found.diagnostics),
        "warnings": list(found.warnings),
        "levels": [_level(figures) for figures in found.figures],
        **indicators_of(question),
    }


def revised(corrected: pa.Table | None, table: pa.Table) -> Json | None:
    """Return how far estimates are from those that they correct; None if they correct none."""
    if corrected is None:
        return None
    metadata, before = corrected.schema.metadata or {}, _by_cell(corrected)
    # A charter may have changed what is published in between: cells are told by their names.
    apart = [abs(value / before[cell] - 1) for cell, value in _by_cell(table).items() if before.get(cell)]
    return {
        "release": metadata.get(b"release", b"").decode(),
        "cells in both": len(apart),
        "mean absolute difference": round(float(np.mean(apart)), 4) if apart else None,
        "largest difference": round(max(apart), 4) if apart else None,
    }


def _by_cell(table: pa.Table) -> dict[tuple[str | None, ...], float]:
    """Return the published estimates by area, counterpart and time."""
    names = [table[name].to_pylist() for name in ("ref_area", "counterpart_area", "time_period")]
    values = table["estimate"].to_pylist()
    return {
        cell: value for cell, value in zip(zip(*names, strict=True), values, strict=True) if value is not None
    }


def _level(figures: Figures) -> Json:
    """Return what the cells of a level are like; every number is of the published kind."""
    told = np.isfinite(figures.std_error)
    persons = figures.size > 0
    cv = figures.std_error[told & persons] / figures.size[told & persons]
    return {
        "level": figures.level,
        "cells": int(figures.estimate.size),
        "cells by status": _by_status(figures),
        "without any figure": int(np.count_nonzero(~told)),
        "imputed": int(np.count_nonzero(figures.imputed)),
        "negative before the last step": 0
        if figures.floored is None
        else int(np.count_nonzero(figures.floored)),
        "flagged for one operator": int(np.count_nonzero(figures.flag != "F")),
        "median relative standard error": round(float(np.median(cv)), 4) if cv.size else None,
        "mean noise share": round(float(figures.noise_share.mean()), 1),
        "adjustment": round(figures.adjustment, 4),
        **_against_register(figures),
    }


def _by_status(figures: Figures) -> Mapping[str, int]:
    """Return the number of cells by CL_OBS_STATUS; those that are Q are published without a value."""
    codes, counts = np.unique(statuses(figures), return_counts=True)
    return {str(code): int(count) for code, count in zip(codes, counts, strict=True)}


def _against_register(figures: Figures) -> Json:
    """Return how far the estimates are from the register, where both count the same."""
    told = np.isfinite(figures.std_error) & (figures.size > 0)
    if not told.any() or any(column.counterpart for column in figures.columns):
        return {}
    apart = figures.estimate[told] / figures.size[told] - 1.0
    return {
        "mean absolute difference from the register": round(float(np.abs(apart).mean()), 4),
        "sum over the register": round(float(figures.estimate[told].sum() / figures.size[told].sum()), 4),
    }
