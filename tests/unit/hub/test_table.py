"""The table of estimates: columns, order, labels, statuses at their exact bounds, and cost."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from hub.config import Agreement, Register
from hub.estimation.table import estimate, obs_status
from privacy.terms import Terms
from tests.support_hub import (
    DAY,
    LONG_DAY,
    MAY,
    OPERATORS,
    SHORT_DAY,
    calibration,
    exact_vector,
    noised_vector,
    publication,
    question,
    small_agreement,
    terms_in,
)

OWN = small_agreement()
SURE = small_agreement(calibration=calibration(0, 0, 0))
ZONES, DISTRICTS = ["A1", "A2", "B1", "C1", "C2"], ["A", "B", "C"]


def vectors(own: Agreement, terms: Terms, operators: int = 3) -> list[NDArray[np.int64]]:
    return [noised_vector(own, terms) for _ in range(operators)]


def table_of(own: Agreement, product: str, first: date, last: date | None = None) -> pa.Table:
    terms = terms_in(own, product, first, last)
    return estimate(question(own, terms, vectors(own, terms)))


# --- shape and order --------------------------------------------------------------------------------------


def test_columns_are_those_of_the_contract_with_their_types() -> None:
    assert [(field.name, str(field.type)) for field in table_of(OWN, "presence", DAY).schema] == [
        ("ref_area", "string"),
        ("counterpart_area", "string"),
        ("time_period", "string"),
        ("estimate", "double"),
        ("std_error", "double"),
        ("lower_80", "double"),
        ("upper_80", "double"),
        ("lower_95", "double"),
        ("upper_95", "double"),
        ("gamma", "double"),
        ("noise_share", "double"),
        ("adjustment", "double"),
        ("obs_status", "string"),
        ("conf_status", "string"),
        ("operators", "int64"),
        ("rho", "int64"),
    ]


def test_rows_come_by_level_of_the_charter_then_area_then_hour() -> None:
    table = table_of(OWN, "presence", DAY)
    hours = [f"2026-05-04T{hour:02d}:00:00+02:00" for hour in range(24)]
    expected = [(area, hour) for area in ZONES + DISTRICTS for hour in hours]
    columns = table["ref_area"].to_pylist(), table["time_period"].to_pylist()
    assert list(zip(*columns, strict=True)) == expected


def test_levels_are_published_in_the_charters_order_and_areas_without_a_parent_are_skipped() -> None:
    own = small_agreement(publication=publication(levels=("province", "zone")))
    assert table_of(own, "residents", *MAY)["ref_area"].to_pylist() == ["P", "Q", *ZONES]


def test_a_day_of_25_hours_has_two_o_clock_twice() -> None:
    labels = table_of(OWN, "presence", LONG_DAY)["time_period"].to_pylist()[:25]
    assert labels[:4] == [
        "2026-10-25T00:00:00+02:00",
        "2026-10-25T01:00:00+02:00",
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
    ]
    assert labels[-1] == "2026-10-25T23:00:00+01:00"
    assert len(set(labels)) == 25


def test_a_day_of_23_hours_has_no_two_o_clock() -> None:
    table = table_of(OWN, "presence", SHORT_DAY)
    labels = table["time_period"].to_pylist()[:23]
    assert labels[1:3] == ["2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"]
    assert labels[-1] == "2026-03-29T23:00:00+02:00"
    assert table.num_rows == 8 * 23


@pytest.mark.parametrize(
    ("days", "label"),
    [
        (MAY, "2026-05-01T00:00:00+02:00/P31D"),
        ((date(2026, 10, 19), date(2026, 10, 25)), "2026-10-19T00:00:00+02:00/P7D"),
        ((date(2026, 2, 1), date(2026, 2, 28)), "2026-02-01T00:00:00+01:00/P28D"),
        ((DAY, DAY), "2026-05-04T00:00:00+02:00/P1D"),
    ],
)
def test_a_period_is_labelled_by_start_and_length(days: tuple[date, date], label: str) -> None:
    table = table_of(OWN, "residents", *days)
    assert table["time_period"].to_pylist() == [label] * 8


# --- values -----------------------------------------------------------------------------------------------


def test_values_are_the_register_where_the_counts_follow_it() -> None:
    # 1000 subscribers for each owner in every zone: each zone is exactly its population.
    terms = terms_in(SURE, "residents", *MAY)
    table = estimate(question(SURE, terms, [exact_vector(SURE, terms)] * 3))
    assert table["estimate"].to_pylist() == [1000, 600, 1400, 800, 200, 1600, 1400, 1000]
    # σ: ρ = .005 asks for √100 = 10, and the double nearest .005 for one hundredth more. Noise of zone A1:
    # (3100/9.3·10⁶)²·3·10.01²·(1 − 2p + 5p²) with p = 8/31.
    p = 8 / 31
    error = 3100 / 9.3e6 * 10.01 * math.sqrt(3 * (1 - 2 * p + 5 * p**2))
    # Two digits, rounded up.
    assert table["std_error"].to_pylist()[0] == math.ceil(error * 1e4) / 1e4
    assert set(table["obs_status"].to_pylist()) == {"E"}


def test_published_values_are_rounded_and_districts_are_the_sum_of_their_zones() -> None:
    table = table_of(OWN, "presence", DAY)
    values = np.array(table["estimate"].to_pylist()).reshape(8, 24)
    assert np.array_equal(values, values.round(1))
    for district, zones in ((5, [0, 1]), (6, [2]), (7, [3, 4])):
        assert np.abs(values[zones].sum(axis=0) - values[district]).max() <= 0.05 * (len(zones) + 1) + 1e-9
    assert np.abs(values[:5].sum(axis=0) - 4000).max() <= 0.05 * 5 + 1e-9
    errors = np.array(table["std_error"].to_pylist())
    assert np.array_equal(errors, errors.round(2))


def test_a_missing_operator_widens_every_interval() -> None:
    terms = terms_in(OWN, "presence", DAY)
    three, two, one = (estimate(question(OWN, terms, [exact_vector(OWN, terms)] * n)) for n in (3, 2, 1))
    widths = [np.array(t["upper_95"]) - np.array(t["lower_95"]) for t in (three, two, one)]
    assert (widths[0] < widths[1]).all()
    assert (widths[1] < widths[2]).all()
    assert three["estimate"].to_pylist() == two["estimate"].to_pylist() == one["estimate"].to_pylist()


# --- status -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "std_error", "status"),
    [
        (100.0, 0.0, "E"),
        (10.0, 1.0, "E"),  # exactly 10 %
        (10.0, math.nextafter(1.0, 2), "U"),
        (8.0, 2.0, "U"),  # exactly 25 %
        (8.0, math.nextafter(2.0, 3), "Q"),
        (1e-9, 1e-10, "E"),
        (1e9, 2.5e8, "U"),
        (1e9, 2.6e8, "Q"),
        (0.0, 0.0, "Q"),
        (0.0, 1.0, "Q"),
        (-10.0, 0.1, "Q"),
        (10.0, math.inf, "Q"),
        (0.0, math.inf, "Q"),
    ],
)
def test_the_status_is_set_by_the_error_relative_to_the_smaller_of_estimate_and_register(
    value: float, std_error: float, status: str
) -> None:
    assert obs_status(value, std_error, size=value) == status
    assert obs_status(value, std_error, size=1e12) == status, "a large register does not help"
    assert obs_status(1e12, std_error, size=value) == status, "noise that points upward does not help"


_BASES = {"E": 1000.0, "U": 400.0, "Q": 300.0}  # with a standard error of 100: 10 %, 25 %, 33 %


@pytest.mark.parametrize("by_estimate", _BASES)
@pytest.mark.parametrize("by_register", _BASES)
def test_the_worse_of_estimate_and_register_decides(by_estimate: str, by_register: str) -> None:
    worse = max(by_estimate, by_register, key="EUQ".index)
    assert obs_status(_BASES[by_estimate], 100.0, _BASES[by_register]) == worse


@pytest.mark.parametrize("size", [0.0, -1.0])
def test_an_area_without_registered_people_is_suppressed(size: float) -> None:
    assert obs_status(1e6, 0.0, size) == "Q"
    assert obs_status(1e6, 1e-9, size) == "Q"


@pytest.mark.parametrize(("subscribers", "status"), [(100_000, "E"), (200_000, "U"), (500_000, "Q")])
def test_a_small_zone_whose_noise_points_upward_is_held_against_its_register(
    subscribers: int, status: str
) -> None:
    # Everything is 9.9 % uncertain by its own estimate. Zone C2 has 200 persons, of whom 100 own a phone; it is
    # counted with once, twice and five times its owners, so its estimate is about 200, 290 and 540.
    own = small_agreement(calibration=calibration(0, 99, 0))
    terms = terms_in(own, "residents", *MAY)
    vector = exact_vector(own, terms)
    vector[4] = subscribers
    zones = estimate(question(own, terms, [vector] * 3)).to_pylist()[:5]
    ratio = 3100 / (3_000_000 + subscribers)
    persons = ratio * subscribers + 100
    assert zones[4]["std_error"] == math.ceil(0.099 * persons)
    assert obs_status(persons, 0.099 * persons, persons) == "E", "the estimate alone would publish it"
    assert (zones[4]["obs_status"], zones[4]["estimate"] is None) == (status, status == "Q")
    assert [zone["obs_status"] for zone in zones[:4]] == ["E"] * 4


def test_a_suppressed_cell_has_no_value_but_says_how_uncertain_it_is() -> None:
    own = small_agreement(calibration=calibration(0, 300, 0))  # everything is 30 % uncertain
    table = table_of(own, "presence", DAY)
    assert set(table["obs_status"].to_pylist()) == {"Q"}
    for column in ("estimate", "lower_95", "upper_95"):
        assert table[column].null_count == table.num_rows
    assert table["std_error"].null_count == 0
    assert table["std_error"].to_pylist()[0] == pytest.approx(300, rel=0.05)


@pytest.mark.parametrize(("model_cv", "status"), [(90, "E"), (110, "U"), (240, "U"), (260, "Q")])
def test_declared_uncertainty_decides_what_is_published(model_cv: int, status: str) -> None:
    own = small_agreement(calibration=calibration(0, model_cv, 0))
    assert set(table_of(own, "presence", DAY)["obs_status"].to_pylist()) == {status}


#: Nobody lives in the last zone.
UNINHABITED = replace(
    SURE, register=Register(np.array([1000.0, 600, 1400, 800, 0]), np.array([800.0, 500, 1100, 600, 0]))
)


def test_who_works_where_nobody_lives_is_published_while_they_are_there() -> None:
    own = UNINHABITED
    terms = terms_in(own, "presence", DAY)
    vector = exact_vector(own, terms).reshape(6, 24)
    vector[4, 9:17] += 300_000
    rows = [
        row
        for row in estimate(question(own, terms, [vector.ravel()] * 3)).to_pylist()
        if row["ref_area"] == "C2"
    ]
    assert [row["obs_status"] for row in rows] == ["Q"] * 9 + ["E"] * 8 + ["Q"] * 7
    assert all(row["estimate"] == pytest.approx(300, rel=0.1) for row in rows[9:17])


def test_an_hour_that_an_operator_lacks_stands_on_the_others_and_is_told() -> None:
    terms = terms_in(OWN, "presence", DAY)
    whole = exact_vector(OWN, terms)
    lacking = whole.reshape(6, 24).copy()
    lacking[:, 7] = 0
    table, all_there = (
        estimate(question(OWN, terms, given)) for given in ([whole, lacking.ravel(), whole], [whole] * 3)
    )
    assert table["estimate"].to_pylist() == all_there["estimate"].to_pylist()
    wider = np.array(table["std_error"]) > 1.02 * np.array(all_there["std_error"])
    assert wider.tolist() == ["T07:" in when for when in table["time_period"].to_pylist()]
    (told,) = json.loads(table.schema.metadata[b"quality"])["warnings"]
    assert "no signal above its noise in 1 of 24 hours: it is missing there" in told
    assert told.startswith(OPERATORS[1])


def test_a_zone_without_registered_people_is_suppressed_whatever_the_noise_says() -> None:
    own = UNINHABITED
    terms = terms_in(own, "residents", *MAY)
    vector = exact_vector(own, terms)
    vector[4] += 300_000  # a tenth of all: 300 persons
    row = estimate(question(own, terms, [vector] * 3)).to_pylist()[4]
    assert (row["ref_area"], row["obs_status"], row["estimate"]) == ("C2", "Q", None)


def test_of_an_hour_lost_in_its_noise_every_cell_is_suppressed_and_only_that_hour() -> None:
    terms = terms_in(SURE, "presence", DAY)
    vector = exact_vector(SURE, terms).reshape(6, 24)
    vector[:, 7] = 0
    rows = estimate(question(SURE, terms, [vector.ravel()] * 3)).to_pylist()
    for row in rows:
        lost = "T07:" in row["time_period"]
        assert row["obs_status"] == ("Q" if lost else "E")
        values = [row[name] for name in ("estimate", "std_error", "lower_95", "upper_95")]
        assert all(value is None for value in values) == lost
        assert (row["operators"], row["rho"]) == (3, 20_000_000)


# --- provenance -------------------------------------------------------------------------------------------


def test_rho_is_the_larger_of_the_cost_of_a_day_and_of_the_period() -> None:
    assert set(table_of(OWN, "presence", DAY)["rho"].to_pylist()) == {20_000_000}
    assert set(table_of(OWN, "residents", *MAY)["rho"].to_pylist()) == {10_000_000}
    assert set(table_of(OWN, "residents", DAY)["rho"].to_pylist()) == {5_000_000}


@pytest.mark.parametrize(("operators", "status"), [(1, "N"), (2, "F"), (3, "F")])
def test_one_operator_alone_is_not_called_free(operators: int, status: str) -> None:
    terms = terms_in(OWN, "residents", *MAY)
    table = estimate(question(OWN, terms, vectors(OWN, terms, operators)))
    assert set(table["operators"].to_pylist()) == {operators}
    assert set(table["conf_status"].to_pylist()) == {status}


def test_what_has_no_zone_is_in_no_estimate() -> None:
    terms = terms_in(SURE, "residents", *MAY)
    vector = exact_vector(SURE, terms)
    unanchored = vector.copy()
    unanchored[-1] += 10**9
    before, after = (estimate(question(SURE, terms, [counts] * 3)) for counts in (vector, unanchored))
    assert before.equals(after)
