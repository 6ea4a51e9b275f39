"""The statistics that this node can run, each with what it reads, its vector and the digest of its code."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

import privacy.levels
import privacy.noise
import privacy.sampler.exact
import privacy.sampler.measurement
import privacy.sampler.stream
import privacy.sampler.table
import privacy.sensitivity
import privacy.sketch
import privacy.statistics
import privacy.truncation
import quorate.contract.calendar
import quorate.contract.columns
import quorate.contract.keyset
import quorate.contract.zoning
from node import engine, tables
from node.engines import duckdb as embedded
from node.presence import build
from node.sources import events, reasons, rejected, sequence
from node.statistics import (
    activity,
    anchors,
    anchors_by_day,
    asking,
    commuting,
    counting,
    flows,
    gyration,
    levels,
    parameters,
    presence_by_day,
    presence_by_hour,
    quality_indicators,
    residents,
    stay_durations,
    travelled_distances,
    union_sketch,
    visitors,
    weighted_presence,
)
from node.statistics.asking import Asked, Files, Inputs
from node.statistics.compiled import passing
from node.statistics.parameters import Parameters, validated
from privacy.errors import PrivacyProblem
from privacy.terms import Terms
from quorate.contract.calendar import days_between
from quorate.contract.columns import LAYOUTS
from quorate.contract.keyset import keyset_of

__all__ = [
    "STATISTICS",
    "Entry",
    "Files",
    "Inputs",
    "algorithms",
    "exact_vector",
    "parameters_of",
    "presence_code",
]

#: What every statistic runs through besides its own file; all of it enters the algorithm's digest.
_SHARED: tuple[ModuleType, ...] = (
    engine,
    embedded,
    tables,
    events,
    reasons,
    sequence,
    sys.modules[__name__],
    anchors,
    asking,
    counting,
    levels,
    parameters,
    privacy.levels,
    privacy.noise,
    privacy.sampler.exact,
    privacy.sampler.measurement,
    privacy.sampler.stream,
    privacy.sampler.table,
    privacy.sensitivity,
    privacy.statistics,
    privacy.truncation,
    quorate.contract.calendar,
    quorate.contract.columns,
    quorate.contract.keyset,
    quorate.contract.zoning,
)
#: Package of the compiled passes of statistics, and where their sources are.
_PASSES = "node.statistics.compiled"
_COMPILED = Path(str(passing.__file__)).parent
Vector = NDArray[np.int64]


@dataclass(frozen=True)
class Entry:
    """One statistic.

    Attributes
    ----------
    module
        Its definition: `Parameters`, `GOLDEN`, and `at_zones` or `at_level`.
    visits, positions, weights, persons, rejected
        Which of these it reads besides presence; with persons, the key of the period too.
    others
        Modules of other statistics that it calls.
    compiled
        Name of the module in `node.statistics.compiled` with a pass that gives the same counts; empty without one.
    """

    module: ModuleType
    visits: bool = False
    positions: bool = False
    weights: bool = False
    persons: bool = False
    rejected: bool = False
    others: tuple[ModuleType, ...] = ()
    compiled: str = ""

    def vectors(self, asked: Asked[Any], additive: bool) -> Sequence[Vector]:
        """Return the exact counts of each level, in the order of the keyset.

        The expressions are the definition; the compiled pass is taken if there is one and it may read the files.
        """
        by_pass = self.compiled and asked.inputs.files is not None
        found = passing.vectors(self.compiled, asked, additive) if by_pass else None
        return self._by_expressions(asked, additive) if found is None else found

    def _by_expressions(self, asked: Asked[Any], additive: bool) -> Sequence[Vector]:
        if additive:
            return levels.by_level(self.module.at_zones(asked), asked.inputs.zoning, asked.keyset)
        return [self.module.at_level(asked, level.name) for level in asked.keyset.levels]


#: Every statistic that this node can run.
STATISTICS: Mapping[str, Entry] = MappingProxyType(
    {
        privacy.statistics.PRESENCE_BY_HOUR: Entry(presence_by_hour, compiled="presence_by_hour"),
        privacy.statistics.PRESENCE_BY_DAY: Entry(presence_by_day, compiled="presence_by_day"),
        privacy.statistics.ANCHORS_BY_DAY: Entry(anchors_by_day, compiled="anchors_by_day"),
        privacy.statistics.WEIGHTED_PRESENCE: Entry(
            weighted_presence, weights=True, others=(presence_by_hour,), compiled="weighted_presence"
        ),
        privacy.statistics.RESIDENTS: Entry(residents),
        privacy.statistics.COMMUTING: Entry(commuting, others=(residents,)),
        privacy.statistics.FLOWS: Entry(flows, visits=True, compiled="flows"),
        privacy.statistics.VISITORS: Entry(visitors),
        privacy.statistics.STAY_DURATIONS: Entry(stay_durations, visits=True, compiled="stay_durations"),
        privacy.statistics.TRAVELLED_DISTANCES: Entry(
            travelled_distances,
            visits=True,
            positions=True,
            others=(flows,),
            compiled="travelled_distances",
        ),
        privacy.statistics.GYRATION: Entry(gyration, positions=True, compiled="gyration"),
        privacy.statistics.ACTIVITY: Entry(activity, compiled="activity"),
        privacy.statistics.UNION_SKETCH: Entry(union_sketch, persons=True, others=(privacy.sketch,)),
        privacy.statistics.QUALITY_INDICATORS: Entry(
            quality_indicators, visits=True, rejected=True, others=(presence_by_day, flows, rejected)
        ),
    }
)


def parameters_of(product: str, statistic: str, parameters: Mapping[str, JsonValue]) -> Parameters:
    """Return the parameters of a product (UsageProblem if the node cannot run it with them)."""
    model: type[Parameters] = STATISTICS[statistic].module.Parameters
    return validated(model, product, parameters)


def exact_vector(terms: Terms, inputs: Inputs) -> Vector:
    """Return the exact counts in the order of the keyset, int64 of shape (cells,). Only for the worker.

    Raises
    ------
    UsageProblem
        If the parameters are wrong, or the order lacks weights or the zoning positions.
    PrivacyProblem
        If the tables or files are not those of the days of the terms.
    """
    entry, days = STATISTICS[terms.statistic], days_between(terms.first_day, terms.last_day)
    parameters = parameters_of(terms.product, terms.statistic, terms.parameters)
    for what, given in (("tables", inputs), ("files", inputs.files)):
        if given is None:
            continue
        read = [given.presence, *([given.visits] if entry.visits else [])]
        if any(len(tables) != len(days) for tables in read):
            raise PrivacyProblem(f"{terms.statistic} did not get the {what} of its {len(days)} day(s)")
    if entry.persons and len(inputs.persons) != len(days):
        raise PrivacyProblem(f"{terms.statistic} did not get the persons of its {len(days)} day(s)")
    if entry.rejected and len(inputs.rejected) != len(days):
        raise PrivacyProblem(
            f"{terms.statistic} did not get the rejected subscribers of its {len(days)} day(s)"
        )
    keyset = keyset_of(
        terms.statistic,
        terms.parameters,
        inputs.zoning,
        [level.name for level in terms.levels],
        first_day=terms.first_day,
        time_zone=inputs.time_zone,
    )
    additive = LAYOUTS[terms.statistic].additive
    return np.concatenate(entry.vectors(Asked(parameters, days, keyset, inputs), additive))


def algorithms() -> dict[str, str]:
    """Return the digest of the code of every statistic: its own file and all that it runs through."""
    return {
        name: _digest((entry.module, *entry.others, *_SHARED)) for name, entry in sorted(STATISTICS.items())
    }


def presence_code() -> str:
    """Return the digest of the code that presence and visits are built with."""
    return _digest((events, reasons, rejected, sequence, engine, embedded, tables, quorate.contract.calendar))


def _digest(modules: Sequence[ModuleType]) -> str:
    """Return the digest of modules, of everything that builds presence, and of the passes of statistics."""
    state = hashlib.sha256(b"quorate.algorithm.v2")
    sources = [(module.__name__, Path(str(module.__file__))) for module in modules]
    # Compiled code is read as text: who only wants its digest need not load it.
    for package, directory in (("node.presence", Path(str(build.__file__)).parent), (_PASSES, _COMPILED)):
        sources += [(f"{package}.{path.stem}", path) for path in sorted(directory.glob("*.py"))]
    for name, path in sources:
        for part in (name.encode(), path.read_bytes()):
            state.update(len(part).to_bytes(8, "big"))
            state.update(part)
    return state.hexdigest()
