"""The quality report of a release: who took part, what was assumed, and what the estimates are held against.

It goes with the estimates and is as public as they are, so of the operators it says only who answered.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hub.estimation.estimated import Estimated
from hub.estimation.published import Figures
from hub.estimation.question import Question

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
        "not measured": ["rejected rows and truncation: operators keep these counts, none has left a node"],
    }


def _level(figures: Figures) -> Json:
    """Return what the cells of a level are like; every number is of the published kind."""
    told = np.isfinite(figures.std_error)
    persons = figures.size > 0
    cv = figures.std_error[told & persons] / figures.size[told & persons]
    return {
        "level": figures.level,
        "cells": int(figures.estimate.size),
        "without estimate": int(np.count_nonzero(~told)),
        "imputed": int(np.count_nonzero(figures.imputed)),
        "median relative standard error": round(float(np.median(cv)), 4) if cv.size else None,
        "mean noise share": round(float(figures.noise_share.mean()), 1),
        "adjustment": round(figures.adjustment, 4),
        **_against_register(figures),
    }


def _against_register(figures: Figures) -> Json:
    """Return how far the estimates are from the register, where both count the same."""
    told = np.isfinite(figures.std_error) & (figures.size > 0)
    if not told.any():
        return {}
    apart = figures.estimate[told] / figures.size[told] - 1.0
    return {
        "mean absolute difference from the register": round(float(np.abs(apart).mean()), 4),
        "sum over the register": round(float(figures.estimate[told].sum() / figures.size[told].sum()), 4),
    }
