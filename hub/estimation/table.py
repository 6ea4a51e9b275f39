"""Estimates as a table: one row per area and period, with uncertainty, status and privacy cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hub.config import Agreement
from hub.estimation.calibrate import Estimates, calibrate
from hub.estimation.combine import combine
from privacy.statistics import PRESENCE_BY_HOUR
from privacy.terms import Terms
from quorate.contract.calendar import hour_label, period_label
from quorate.contract.order import keyset_for

#: Largest coefficient of variation of a normal estimate (E) and of an unreliable one (U); above it is
#: suppressed (Q). SDMX code list CL_OBS_STATUS.
CV_NORMAL, CV_UNRELIABLE = 0.10, 0.25

SCHEMA = pa.schema(
    [
        ("ref_area", pa.string()),
        ("time_period", pa.string()),
        ("estimate", pa.float64()),
        ("std_error", pa.float64()),
        ("lower_95", pa.float64()),
        ("upper_95", pa.float64()),
        ("obs_status", pa.string()),
        ("conf_status", pa.string()),
        ("operators", pa.int64()),
        ("rho", pa.int64()),
    ]
)


def estimate(own: Agreement, terms: Terms, vectors: Sequence[NDArray[np.int64]]) -> pa.Table:
    """Return the estimates of a release, at every level that the charter publishes.

    Parameters
    ----------
    own
        Charter, zoning and register.
    terms
        What was released.
    vectors
        One noised int64 vector per operator that answered, in the order of the keyset.
    """
    keyset = keyset_for(own.charter, own.zoning, terms)
    combined = combine(vectors, keyset, own.zoning, terms)
    cost = terms.charge()
    times = _times(terms, keyset.hours, own.charter.time_zone)
    rows: list[dict[str, object]] = []
    for level in own.charter.publication.levels:
        areas = own.zoning.members(level)
        found = calibrate(
            combined, own.register, list(areas.values()), own.charter.calibration, len(own.charter.operators)
        )
        sizes = {code: float(own.register.population[zones].sum()) for code, zones in areas.items()}
        rows += _rows(sizes, times, found, (len(vectors), max(cost.by_day, cost.by_period)))
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _times(terms: Terms, hours: int, time_zone: str) -> list[str]:
    if terms.statistic == PRESENCE_BY_HOUR:
        return [hour_label(terms.first_day, hour, time_zone) for hour in range(hours)]
    return [period_label(terms.first_day, terms.last_day, time_zone)]


def _rows(
    sizes: dict[str, float], times: list[str], found: Estimates, provenance: tuple[int, int]
) -> Iterator[dict[str, object]]:
    operators, rho = provenance
    for area, (code, size) in enumerate(sizes.items()):
        for hour, label in enumerate(times):
            value, error = float(found.estimate[area, hour]), float(found.std_error[area, hour])
            status = obs_status(value, error, size)
            shown = status != "Q"
            yield {
                "ref_area": code,
                "time_period": label,
                "estimate": round(value, 1) if shown else None,
                "std_error": round(error, 2) if np.isfinite(error) else None,
                "lower_95": round(float(found.lower_95[area, hour]), 1) if shown else None,
                "upper_95": round(float(found.upper_95[area, hour]), 1) if shown else None,
                "obs_status": status,
                "conf_status": "F" if operators > 1 else "N",
                "operators": operators,
                "rho": rho,
            }


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
