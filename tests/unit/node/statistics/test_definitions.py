"""Presence, visits and every statistic: DuckDB against plain Python, on worlds made by hypothesis."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.statistics.registry import STATISTICS
from tests.reference.statistics import STATISTICS as DEFINITIONS
from tests.support_engines import Load
from tests.unit.node.statistics.cases import (
    PARAMETERS,
    PERIOD,
    World,
    built,
    examples,
    inputs,
    reference,
    terms_for,
    vectors,
    worlds,
    written,
)


def test_every_statistic_of_the_node_has_a_definition_to_be_held_to() -> None:
    assert set(STATISTICS) == set(DEFINITIONS) == set(PARAMETERS)


@examples(40)
@given(world=worlds(most=30))
def test_presence_and_visits_are_those_of_plain_python(duckdb: Load, world: World) -> None:
    assert built(duckdb, world) == written(world)


@pytest.mark.parametrize("statistic", sorted(DEFINITIONS))
@examples(30)
@given(world=worlds(), data=st.data())
def test_a_statistic_is_that_of_plain_python_at_every_level(
    duckdb: Load, statistic: str, world: World, data: st.DataObject
) -> None:
    parameters = data.draw(PARAMETERS[statistic])
    if statistic not in PERIOD:
        world = world.first(1)
    found = vectors(inputs(duckdb, world), terms_for(statistic, parameters, world.dates))
    expected = reference(world, statistic, parameters)
    assert {level: table.tolist() for level, table in found.items()} == expected
