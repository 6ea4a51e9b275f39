"""What a statistic refuses: parameters out of bounds, tables, positions and weights that are not there."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from node.presence.hold import Hold
from node.statistics.registry import STATISTICS, exact_vector, parameters_of
from privacy.errors import PrivacyProblem, QuorateError, UsageProblem
from tests.reference.days import Present
from tests.support_engines import Load
from tests.unit.node.statistics.cases import ZONES, World, columns_of, inputs, terms_for

DAY = date(2026, 10, 20)
NIGHT = {"night_hours": [0, 1]}
EMPTY = World(
    (DAY,), (frozenset(),), Hold(60), 1, 2, ((0, 0),) * ZONES, (1,) * (ZONES + 1), ({},), (frozenset(),)
)
#: Parameters of each statistic that are right.
RIGHT: dict[str, dict[str, Any]] = {
    "presence-by-hour": {},
    "presence-by-day": {"min_hours": 0, "limit": 5},
    "anchors-by-day": NIGHT,
    "weighted-presence": NIGHT | {"weight_maximum": 3, "silent_level": "district"},
    "residents": NIGHT | {"min_nights": 1},
    "commuting": NIGHT | {"min_nights": 1, "day_hours": [9], "weekdays": [1], "min_days": 1},
    "flows": {"min_stay_minutes": 0, "limit": 5},
    "visitors": NIGHT | {"countries": {"DE": [262]}},
    "stay-durations": NIGHT | {"edges": [0, 5]},
    "travelled-distances": NIGHT | {"min_stay_minutes": 0, "edges": [0, 5]},
    "gyration": NIGHT | {"edges": [0, 5]},
    "activity": NIGHT | {"edges": [0, 5]},
    "union-sketch": {"bins": 3, "by_zone": True, "limit": 5},
    "quality-indicators": {"min_hours": 0, "zones_limit": 5, "min_stay_minutes": 0, "flows_limit": 5},
}
#: Parameters that may be left out.
#: Parameters that may be missing; the limit of a sketch has a test of its own.
OPTIONAL = {"silent_level"}
#: Values that each parameter does not take.
WRONG: dict[str, list[Any]] = {
    "night_hours": [[], [24], [-1], ["1"], [0.5], "1", 3, [*range(24), 0]],
    "day_hours": [[], [24]],
    "min_nights": [0, 32, "1", 1.5, True],
    "min_days": [0, 32],
    "weekdays": [[], [0], [8], [*range(1, 8), 1]],
    "min_hours": [-1, 25, "0"],
    "limit": [0, 2**20 + 1, "1", 1.5],
    "zones_limit": [0, 2**20 + 1, "1"],
    "flows_limit": [0, 2**20 + 1, 1.5],
    "min_stay_minutes": [-1, 1441, "30"],
    "weight_maximum": [0, 2**20 + 1, 1.5],
    "edges": [[], [1], [0, 0], [0, 2, 1], [0, "1"], [0, 10**8 + 1]],
    "silent_level": ["", "District", 3, ["zone"]],
    "bins": [1, 2**26 + 1, "3", 3.0, True],
    "by_zone": [1, "true"],
    "countries": [{}, {"DE": []}, {"de": [262]}, {"DE": [2]}, {"DE": [262], "FR": [262]}, []],
}


def test_the_parameters_that_are_right_are_taken() -> None:
    for statistic, parameters in RIGHT.items():
        assert set(parameters_of("product", statistic, parameters).model_dump()) == set(parameters)


@pytest.mark.parametrize(
    ("statistic", "name", "value"),
    [
        (statistic, name, value)
        for statistic, parameters in sorted(RIGHT.items())
        for name in parameters
        for value in WRONG[name]
    ],
)
def test_a_parameter_out_of_bounds_is_refused_by_its_name(statistic: str, name: str, value: Any) -> None:
    with pytest.raises(UsageProblem, match=f"the parameters of product are wrong: '{name}"):
        parameters_of("product", statistic, RIGHT[statistic] | {name: value})


@pytest.mark.parametrize("statistic", sorted(RIGHT))
def test_a_parameter_too_few_or_too_many_is_refused(statistic: str) -> None:
    with pytest.raises(UsageProblem, match="'more': Extra inputs are not permitted"):
        parameters_of("product", statistic, RIGHT[statistic] | {"more": 1})
    optional = OPTIONAL | ({"limit"} if statistic == "union-sketch" else set())
    for name in RIGHT[statistic].keys() - optional:
        fewer = {key: value for key, value in RIGHT[statistic].items() if key != name}
        with pytest.raises(UsageProblem, match=f"'{name}': Field required"):
            parameters_of("product", statistic, fewer)


def test_a_sketch_by_zone_needs_its_limit_and_no_other_has_one() -> None:
    for wrong in ({"bins": 3, "by_zone": True}, {"bins": 3, "by_zone": False, "limit": 5}):
        with pytest.raises(UsageProblem, match="a sketch by zone has a limit, and no other has"):
            parameters_of("product", "union-sketch", wrong)


@pytest.mark.parametrize("statistic", sorted(STATISTICS))
def test_a_day_without_anybody_is_all_zeros(duckdb: Load, statistic: str) -> None:
    found = exact_vector(terms_for(statistic, RIGHT[statistic], [DAY]), inputs(duckdb, EMPTY))
    assert found.dtype == np.int64
    assert not found.any()


def refusal(duckdb: Load, statistic: str, **changes: Any) -> QuorateError:
    given = replace(inputs(duckdb, EMPTY), **changes)
    with pytest.raises(QuorateError) as caught:
        exact_vector(terms_for(statistic, RIGHT[statistic], [DAY]), given)
    return caught.value


@pytest.mark.parametrize(
    "statistic", ["flows", "stay-durations", "travelled-distances", "quality-indicators"]
)
def test_visits_that_are_not_there_are_not_taken_for_none(duckdb: Load, statistic: str) -> None:
    found = refusal(duckdb, statistic, visits=())
    assert isinstance(found, PrivacyProblem)
    assert found.what == f"{statistic} did not get the tables of its 1 day(s)"
    assert refusal(duckdb, statistic, presence=()).what == found.what


def test_rejected_subscribers_that_are_not_there_are_not_taken_for_none(duckdb: Load) -> None:
    found = refusal(duckdb, "quality-indicators", rejected=())
    assert isinstance(found, PrivacyProblem)
    assert found.what == "quality-indicators did not get the rejected subscribers of its 1 day(s)"


def positions(**changes: list[int]) -> pa.Table:
    columns = {"zone": list(range(ZONES)), "x_m": [0] * ZONES, "y_m": [0] * ZONES} | changes
    return pa.table({name: pa.array(values, pa.int64()) for name, values in columns.items()})


@pytest.mark.parametrize("statistic", ["travelled-distances", "gyration"])
def test_distances_need_the_position_of_every_zone_within_the_plane(duckdb: Load, statistic: str) -> None:
    unknown = "the positions of the zones are not known"
    assert refusal(duckdb, statistic, positions=None).what == unknown
    assert refusal(duckdb, statistic, positions=positions().slice(1)).what == unknown
    assert refusal(duckdb, statistic, positions=positions(zone=[0, 0, 1, 2, 3])).what == unknown
    far = positions(x_m=[0, 0, 0, 0, -(10**7) - 1])
    assert refusal(duckdb, statistic, positions=far).what == (
        "a zone is farther than 10000 km from the middle of the plane"
    )


@pytest.mark.parametrize(
    "weights",
    [None, np.ones(ZONES, np.int64), np.ones(ZONES + 1, np.int32), np.ones((ZONES + 1, 1), np.int64)],
)
def test_weighted_presence_needs_a_whole_weight_for_each_zone_and_the_unanchored(
    duckdb: Load, weights: Any
) -> None:
    assert refusal(duckdb, "weighted-presence", weights=weights).what == (
        "weighted presence needs 6 whole weights: one for each zone, one for the unanchored"
    )


@pytest.mark.parametrize("weight", [-1, 4, 2**62])
def test_a_weight_beyond_the_declared_maximum_is_refused(duckdb: Load, weight: int) -> None:
    weights = np.array([0, 1, 2, 3, 3, weight], np.int64)
    assert refusal(duckdb, "weighted-presence", weights=weights).what == "a weight is not between 0 and 3"


@pytest.mark.parametrize(
    ("statistic", "zone"),
    [
        ("presence-by-hour", ZONES),
        *itertools.product(("presence-by-hour", "anchors-by-day", "residents", "activity"), (-1, 2**22 - 2)),
    ],
)
def test_a_zone_that_the_zoning_does_not_have_fills_no_cell(duckdb: Load, statistic: str, zone: int) -> None:
    rows = duckdb("damaged", columns_of([Present(1, 0, zone, 1, 1, 0, 0)], Present._fields))
    assert isinstance(refusal(duckdb, statistic, presence=[rows]), PrivacyProblem)
