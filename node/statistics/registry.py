"""The statistics that this node can run, each with its parameters, its vector and the digest of its code."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import ModuleType

import numpy as np
from ibis.backends.duckdb import Backend
from numpy.typing import NDArray
from pydantic import ValidationError

import privacy.levels
import privacy.noise
import privacy.sampler.exact
import privacy.sampler.measurement
import privacy.sampler.stream
import privacy.sampler.table
import privacy.sensitivity
import privacy.statistics
import quorate.contract.calendar
import quorate.contract.keyset
import quorate.contract.zoning
from node import engine, tables
from node.presence import build
from node.sources import events
from node.statistics import levels, presence_by_hour, residents
from privacy.errors import UsageProblem
from privacy.terms import Terms
from quorate.contract.calendar import clock_hours, days_between, hours_of
from quorate.contract.canonical import first_problem

#: What every statistic runs through besides its own file; all of it enters the algorithm's digest.
_SHARED: tuple[ModuleType, ...] = (
    engine,
    tables,
    events,
    build,
    sys.modules[__name__],
    levels,
    privacy.levels,
    privacy.noise,
    privacy.sampler.exact,
    privacy.sampler.measurement,
    privacy.sampler.stream,
    privacy.sampler.table,
    privacy.sensitivity,
    privacy.statistics,
    quorate.contract.calendar,
    quorate.contract.keyset,
    quorate.contract.zoning,
)


@dataclass(frozen=True)
class Inputs:
    """What a statistic reads.

    Attributes
    ----------
    connection
        The engine.
    presence
        Files of presence, one per local day of the terms, in order.
    zones
        Number of zones.
    time_zone
        The charter's.
    key
        31-bit key of the tie-breaking hash.
    """

    connection: Backend
    presence: Sequence[Path]
    zones: int
    time_zone: str
    key: int


def _presence_by_hour(terms: Terms, inputs: Inputs) -> NDArray[np.int64]:
    table = engine.read_one(inputs.connection, inputs.presence[0])
    return presence_by_hour.vector(table, inputs.zones, hours_of(terms.first_day, inputs.time_zone))


def _residents(terms: Terms, inputs: Inputs) -> NDArray[np.int64]:
    parameters = _parameters(terms)
    days = [engine.read_one(inputs.connection, path) for path in inputs.presence]
    nights = [
        _night(day, parameters, inputs.time_zone) for day in days_between(terms.first_day, terms.last_day)
    ]
    return residents.vector(days, nights, parameters.min_nights, inputs.zones, inputs.key)


def _parameters(terms: Terms) -> residents.Parameters:
    try:
        return residents.Parameters.model_validate(terms.parameters)
    except ValidationError as error:
        raise UsageProblem(f"the parameters of {terms.product} are wrong: {first_problem(error)}") from error


def _night(day: date, parameters: residents.Parameters, time_zone: str) -> list[int]:
    return [hour for hour, clock in enumerate(clock_hours(day, time_zone)) if clock in parameters.night_hours]


_VECTORS: dict[str, tuple[ModuleType, Callable[[Terms, Inputs], NDArray[np.int64]]]] = {
    privacy.statistics.PRESENCE_BY_HOUR: (presence_by_hour, _presence_by_hour),
    privacy.statistics.RESIDENTS: (residents, _residents),
}


def exact_vector(terms: Terms, inputs: Inputs) -> NDArray[np.int64]:
    """Return the exact counts in the order of the keyset, int64 of shape (cells,). Only for the worker."""
    return _VECTORS[terms.statistic][1](terms, inputs)


def algorithms() -> dict[str, str]:
    """Return the digest of the code of every statistic: its own file and all that it runs through."""
    return {name: _digest((module, *_SHARED)) for name, (module, _vector) in sorted(_VECTORS.items())}


def presence_code() -> str:
    """Return the digest of the code that presence is built with."""
    return _digest((events, build, engine, tables, quorate.contract.calendar))


def _digest(modules: Sequence[ModuleType]) -> str:
    state = hashlib.sha256(b"quorate.algorithm.v1")
    for module in modules:
        source = Path(str(module.__file__)).read_bytes()
        for part in (module.__name__.encode(), source):
            state.update(len(part).to_bytes(8, "big"))
            state.update(part)
    return state.hexdigest()
