"""The day that can be counted by hand: the node and the plain-Python definitions make the golden vectors of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from node.statistics.golden import DAY, PERIOD_KEY, POSITIONS, PRESENCE, VISITS, ZONING, Golden
from node.statistics.registry import STATISTICS, Inputs
from tests.reference.days import Present, Visit
from tests.reference.statistics import STATISTICS as DEFINITIONS
from tests.reference.statistics import Case
from tests.support_engines import Load
from tests.support_node import BRUSSELS, instant
from tests.unit.node.statistics.cases import (
    columns_of,
    levels_of,
    of_persons,
    of_rejected,
    terms_for,
    vectors,
)

ROWS = tuple(
    Present(row.subscriber, row.origin, row.zone, sum(2**hour for hour in row.hours), row.events, 0, 0)
    for row in PRESENCE
)
STAYS = tuple(
    Visit(
        stay.subscriber,
        stay.origin,
        sum(other.subscriber == stay.subscriber for other in VISITS[:place]),
        stay.zone,
        instant(DAY, stay.begin * 60),
        instant(DAY, stay.end * 60),
        1,
    )
    for place, stay in enumerate(VISITS)
)
GOLDEN: dict[str, Golden] = {name: entry.module.GOLDEN for name, entry in STATISTICS.items()}


@pytest.mark.parametrize("statistic", sorted(STATISTICS))
def test_the_node_makes_the_golden_vector(duckdb: Load, statistic: str) -> None:
    golden = GOLDEN[statistic]
    x, y = zip(*POSITIONS, strict=True)
    given = Inputs(
        presence=[duckdb("presence", columns_of(ROWS, Present._fields))],
        visits=[duckdb("visits", columns_of(STAYS, Visit._fields))],
        zoning=ZONING,
        time_zone=BRUSSELS,
        key=7,
        sampling_key=8,
        positions=pa.table({"zone": range(3), "x_m": x, "y_m": y}),
        weights=None if golden.weights is None else np.array(golden.weights, dtype=np.int64),
        persons=[duckdb("persons", of_persons(golden.persons))],
        rejected=[duckdb("rejected", of_rejected(golden.rejected))],
        period_key=PERIOD_KEY,
    )
    found = vectors(given, terms_for(statistic, golden.parameters, [DAY], ZONING))
    assert {level: table.tolist() for level, table in found.items()} == golden.vector


@pytest.mark.parametrize("statistic", sorted(STATISTICS))
def test_the_definition_makes_the_golden_vector(statistic: str) -> None:
    golden = GOLDEN[statistic]
    case = Case(
        zones=tuple({"zone": zone.code, **zone.parents} for zone in ZONING.zones),
        dates=(DAY,),
        time_zone=BRUSSELS,
        presence=(ROWS,),
        visits=(STAYS,),
        parameters=golden.parameters,
        key=7,
        sampling_key=8,
        positions=POSITIONS,
        weights=golden.weights or (),
        persons=(golden.persons,),
        rejected=(golden.rejected,),
        period_key=PERIOD_KEY,
    )
    levels = levels_of(statistic, golden.parameters, ZONING)
    assert {level: DEFINITIONS[statistic](case, level) for level in levels} == golden.vector
