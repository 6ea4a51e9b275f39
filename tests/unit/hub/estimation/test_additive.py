"""The last two steps of a release: no negative numbers, and whole numbers that add up exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.estimation.additive import whole
from hub.estimation.chance import chance_of
from hub.estimation.combine import membership_of
from hub.estimation.estimated import Estimated, summed
from hub.estimation.published import Column, Figures, normal_interval
from quorate.contract.zoning import ZONE, Zone, Zoning
from tests.support_hub import MAY, exact_vector, question, small_agreement, small_zoning, terms_in

LEVELS = (ZONE, "district", "province")
Values = NDArray[np.float64]


def figures_of(zoning: Zoning, level: str, by_zone: Values, destinations: bool = False) -> Figures:
    members = zoning.members(level)
    inside = membership_of(list(members.values()), len(zoning.zones))
    estimate = summed(inside, by_zone)
    columns = [Column("now")] * estimate.shape[1]
    if destinations:
        estimate = estimate @ inside.T
        columns = [Column("now", code, destination=True) for code in members]
    error = np.ones_like(estimate)
    return Figures(
        level=level,
        areas=list(members),
        columns=columns,
        estimate=estimate,
        std_error=error,
        interval=normal_interval(estimate, error),
        size=estimate,
        gamma=error,
        noise_share=error,
        imputed=np.zeros(estimate.shape, dtype=bool),
        flag=np.full(estimate.shape, "F"),
    )


def rounded(
    by_zone: Values, zoning: Zoning | None = None, *, destinations: bool = False, additive: bool = True
) -> dict[str, Values]:
    zoning = zoning or small_zoning()
    figures = [figures_of(zoning, level, by_zone, destinations) for level in LEVELS if level in zoning.levels]
    found = whole(Estimated(figures, "", {}, additive=additive), zoning, np.random.default_rng(1))
    return {one.level: one.estimate for one in found}


NUMBERS = st.lists(st.floats(-50, 5_000), min_size=10, max_size=10)


@settings(max_examples=60, deadline=None)
@given(NUMBERS)
def test_areas_are_exactly_the_sums_of_their_zones_whole_and_not_negative(numbers: list[float]) -> None:
    by_zone = np.array(numbers).reshape(5, 2)
    found = rounded(by_zone)
    zones = found[ZONE]
    assert (zones >= 0).all()
    assert (zones == np.rint(zones)).all()
    assert found["district"].tolist() == [
        (zones[0] + zones[1]).tolist(),
        zones[2].tolist(),
        (zones[3] + zones[4]).tolist(),
    ]
    assert found["province"].tolist() == [(zones[0] + zones[1]).tolist(), (zones[3] + zones[4]).tolist()]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 5_000), min_size=10, max_size=10))
def test_where_nothing_is_negative_every_area_is_the_whole_number_below_or_above(
    numbers: list[float],
) -> None:
    by_zone = np.array(numbers).reshape(5, 2)
    found = rounded(by_zone)
    assert (np.abs(found[ZONE] - by_zone) < 1).all()
    assert (np.abs(found["district"][0] - by_zone[:2].sum(axis=0)) < 1).all()


def test_what_a_negative_zone_lacked_is_taken_from_its_neighbours() -> None:
    found = rounded(np.array([[30.0], [-10.0], [5.0], [2.0], [3.0]]))
    assert found[ZONE].ravel().tolist() == [20, 0, 5, 2, 3]
    assert found["district"].ravel().tolist() == [20, 5, 5]


def test_cells_that_cannot_be_told_stay_so_and_the_others_add_up() -> None:
    found = rounded(np.array([[30.2], [np.nan], [5.0], [2.0], [3.0]]))
    assert np.isnan(found[ZONE][1, 0])
    assert found["district"].ravel().tolist()[1:] == [5, 5]


def test_a_table_of_flows_keeps_its_margins_and_districts_are_its_sums() -> None:
    table = np.random.default_rng(2).uniform(0, 20, (5, 5))
    table[0, 1] = -3.0
    found = rounded(table, destinations=True)
    zones = found[ZONE]
    assert (zones >= 0).all()
    assert (np.abs(zones.sum(axis=1) - table.sum(axis=1)) < 1).all()
    assert (np.abs(zones.sum(axis=0) - table.sum(axis=0)) < 1).all()
    assert found["district"][0, 2] == zones[:2, 3:].sum()


def test_levels_that_cross_are_sums_of_the_rounded_zones() -> None:
    zones = [
        Zone(code="A", parents={"district": "D", "province": "P"}),
        Zone(code="B", parents={"district": "D", "province": "Q"}),
        Zone(code="C", parents={"district": "E", "province": "Q"}),
    ]
    zoning = small_zoning(zones=tuple(zones))
    found = rounded(np.array([[1.4], [2.4], [3.4]]), zoning)
    a, b, c = found[ZONE].ravel()
    assert found["district"].ravel().tolist() == [a + b, c]
    assert found["province"].ravel().tolist() == [a, b + c]


def test_what_does_not_add_up_is_rounded_by_itself() -> None:
    found = rounded(np.array([[30.6], [-0.2], [5.5], [2.4], [3.4]]), additive=False)
    assert found[ZONE].ravel().tolist() == [31, 0, 6, 2, 3]
    assert found["district"].ravel().tolist() == [30, 6, 6]


def test_a_country_of_one_zone_is_itself() -> None:
    zoning = small_zoning(levels=(ZONE,), zones=(Zone(code="A", parents={}),))
    assert rounded(np.array([[7.6]]), zoning)[ZONE][0, 0] in {7, 8}


@pytest.mark.parametrize("operators", [1, 3])
def test_the_same_answers_are_rounded_in_the_same_way_whatever_their_order(operators: int) -> None:
    own = small_agreement()
    terms = terms_in(own, "residents", *MAY)
    asked = question(own, terms, [exact_vector(own, terms, 1000 + place) for place in range(operators)])
    turned = type(asked)(own, asked.answers[::-1], asked.earlier)
    assert chance_of(asked).random() == chance_of(turned).random()
