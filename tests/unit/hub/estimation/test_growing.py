"""Residents of releases after the register's date: from two releases to a table of what has grown."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from hub.config import Agreement, Register
from hub.estimation.counts import market_of, period_of
from hub.estimation.question import Answer, Question
from hub.estimation.table import estimate
from hub.knowledge import Knowledge, Population, RegisterDate
from privacy.noise import noise_of, variance
from privacy.terms import Terms
from quorate.contract.payload import encode
from tests.support_hub import MAY, nothing_earlier, order_for, small_agreement, small_zoning, terms_in

JULY = date(2026, 7, 1), date(2026, 7, 31)
DATED = RegisterDate(first_day=MAY[0], last_day=MAY[1], tau=0.02)
SHARES = (0.40, 0.35, 0.25)
PERSONS = np.array([100_000.0, 60_000, 140_000, 80_000, 20_000])
GROWTH = np.array([1.02, 0.99, 1.01, 1.05, 1.00])
Counts = NDArray[np.int64]


def agreement(**knowledge: Any) -> Agreement:
    """Return a network whose register is of May, with 80 phone owners among a hundred persons."""
    known = Knowledge(**({"register_date": DATED} | knowledge))
    return replace(small_agreement(), register=Register(PERSONS, 0.8 * PERSONS), knowledge=known)


def counts(persons: NDArray[np.float64], share: float) -> Counts:
    return np.append(np.rint(0.8 * persons * share), 500).astype(np.int64)


def answers(own: Agreement, days: tuple[date, date], persons: NDArray[np.float64]) -> list[Answer]:
    terms = terms_in(own, "residents", *days)
    return [
        Answer(order_for(own, operator, terms), encode(counts(persons, share)))
        for operator, share in zip(own.charter.operators, SHARES, strict=True)
    ]


def earlier(
    own: Agreement, given: Sequence[Answer]
) -> Callable[[str, tuple[date, date], int | None], Sequence[Answer]]:
    def found(product: str, days: tuple[date, date], revision: int | None) -> Sequence[Answer]:
        assert (product, revision) == ("residents", None)
        return given if days == MAY else []

    return found


def table_of(
    own: Agreement, now: Sequence[Answer] | None = None, before: Sequence[Answer] | None = None
) -> pa.Table:
    first = answers(own, MAY, PERSONS) if before is None else before
    second = answers(own, JULY, PERSONS * GROWTH) if now is None else now
    return estimate(Question(own, second, earlier(own, first)))


def report_of(table: pa.Table) -> dict[str, Any]:
    return dict(json.loads(table.schema.metadata[b"quality"]))


def test_zones_grow_as_their_counts_did_and_districts_are_sums_of_zones() -> None:
    table = table_of(agreement())
    values = np.array(table["estimate"].to_pylist())
    assert values[:5] == pytest.approx(PERSONS * GROWTH, rel=0.006)
    assert values[5:] == pytest.approx([values[:2].sum(), values[2], values[3:5].sum()], abs=1)
    assert set(table["obs_status"].to_pylist()) == {"E"}
    assert min(table["gamma"].to_pylist()) >= 0.7, "noise is small beside the growth"
    assert report_of(table)["method"].startswith("growth of counts since the register of 2026-05-01")


def test_intervals_are_those_of_growth_and_not_of_the_country_as_a_whole() -> None:
    row = table_of(agreement()).to_pylist()[0]
    assert row["lower_95"] < row["lower_80"] < row["estimate"] < row["upper_80"] < row["upper_95"]
    assert row["std_error"] < 0.02 * row["estimate"]


def test_a_known_national_total_is_met() -> None:
    known = (Population(day=JULY[0], persons=410_000),)
    table = table_of(agreement(population=known))
    zones = table["estimate"].to_pylist()[:5]
    assert sum(zones) == pytest.approx(410_000, abs=3)
    (adjustment,) = set(table["adjustment"].to_pylist())
    assert adjustment == pytest.approx(410_000 / (PERSONS * GROWTH).sum(), rel=0.002)


def test_the_release_at_the_registers_date_is_the_register_spread_by_counts() -> None:
    own = agreement()
    table = estimate(Question(own, answers(own, MAY, PERSONS), nothing_earlier))
    assert np.array(table["estimate"].to_pylist())[:5] == pytest.approx(PERSONS, rel=0.001)
    assert report_of(table)["method"].startswith("one ratio")


def test_without_a_release_at_the_registers_date_it_is_said_that_nothing_grows() -> None:
    table = table_of(agreement(), before=[])
    (warning,) = report_of(table)["warnings"]
    assert warning.startswith("no operator of this release was measured at the date of the register")


def test_an_operator_that_joined_is_named_and_not_in_the_sums() -> None:
    own = agreement()
    table = table_of(own, before=answers(own, MAY, PERSONS)[:2])
    report = report_of(table)
    assert report["diagnostics"]["operators in both periods"] == ["east", "north"]
    assert any(text.startswith("operator west answered only now") for text in report["warnings"])
    assert np.array(table["estimate"].to_pylist())[:5] == pytest.approx(PERSONS * GROWTH, rel=0.025)


def test_what_operators_count_has_the_noise_of_their_terms() -> None:
    own = agreement()
    terms: Terms = terms_in(own, "residents", *MAY)
    found = period_of(own, answers(own, MAY, PERSONS)[1:])
    assert found.present.tolist() == [False, True, True]
    assert found.noise[1] == pytest.approx(variance(noise_of(terms.mechanism, terms.levels[0].scale_milli)))
    assert found.counts[0].tolist() == [0] * 5


def test_market_shares_are_known_or_counted_with_the_usual_one_for_who_was_missing() -> None:
    own = agreement()
    found = market_of(own, period_of(own, answers(own, MAY, PERSONS)))
    assert found == pytest.approx(SHARES, abs=1e-4)
    missing = market_of(own, period_of(own, answers(own, MAY, PERSONS)[:2]))
    assert missing == pytest.approx([0.4 / 1.125, 0.35 / 1.125, 0.375 / 1.125], abs=1e-4)
    known = agreement(market={"east": 0.5, "north": 0.3, "west": 0.2})
    assert market_of(known, period_of(own, answers(own, MAY, PERSONS))).tolist() == [0.5, 0.3, 0.2]


def test_a_zone_where_one_operator_has_nearly_all_is_flagged() -> None:
    own = agreement()
    vectors = [counts(PERSONS, share) for share in SHARES]
    for place, share in enumerate((0.97, 0.02, 0.01)):
        vectors[place][4] = round(0.8 * PERSONS[4] * share)
    terms = terms_in(own, "residents", *MAY)
    given = [
        Answer(order_for(own, operator, terms), encode(vector))
        for operator, vector in zip(own.charter.operators, vectors, strict=True)
    ]
    table = estimate(Question(own, given, nothing_earlier))
    flags = dict(zip(table["ref_area"].to_pylist(), table["conf_status"].to_pylist(), strict=True))
    assert flags["C2"] == "O"
    assert flags["A1"] == "F"
    assert small_zoning().codes == ["A1", "A2", "B1", "C1", "C2"]


WEEK = date(2026, 7, 1), date(2026, 7, 7)


def test_periods_of_other_lengths_find_other_homes_and_are_not_compared() -> None:
    own = agreement()
    table = estimate(
        Question(own, answers(own, WEEK, 0.7 * PERSONS), earlier(own, answers(own, MAY, PERSONS)))
    )
    (warning,) = report_of(table)["warnings"]
    assert warning.startswith("7 days find other homes than the 31 days of the register's period")
    assert np.array(table["estimate"].to_pylist())[:5] == pytest.approx(PERSONS, rel=0.002)


def test_a_register_that_is_later_than_the_release_is_not_grown_from() -> None:
    own = agreement(register_date=RegisterDate(first_day=JULY[0], last_day=JULY[1]))
    table = estimate(Question(own, answers(own, MAY, PERSONS), nothing_earlier))
    assert "is not before that of the release" in report_of(table)["warnings"][0]


def test_growth_of_one_operator_alone_is_not_published_as_that_of_several() -> None:
    own = agreement()
    table = table_of(own, now=answers(own, JULY, PERSONS * GROWTH)[1:], before=answers(own, MAY, PERSONS)[:2])
    (warning,) = report_of(table)["warnings"]
    assert warning.startswith("1 operators were measured at both dates, and the charter asks for 2")


def test_figures_rest_on_the_operators_that_are_there_at_both_dates() -> None:
    own = agreement()
    table = table_of(own, before=answers(own, MAY, PERSONS)[:2])
    assert set(table["operators"].to_pylist()) == {2}


def test_homes_that_are_found_otherwise_than_before_are_told() -> None:
    own = agreement()
    fewer = [
        Answer(
            given.order, encode(np.append(np.rint(counts(PERSONS, share)[:5] * 0.9), 40_000).astype(np.int64))
        )
        for given, share in zip(answers(own, JULY, PERSONS), SHARES, strict=True)
    ]
    warnings = report_of(table_of(own, now=fewer))["warnings"]
    assert any("had no home at the date of the register" in text for text in warnings)


def test_a_national_total_far_from_the_counts_is_told() -> None:
    known = (Population(day=JULY[0], persons=500_000, sd=0),)
    warnings = report_of(table_of(agreement(population=known)))["warnings"]
    assert any("off what was counted" in text for text in warnings)


def test_without_the_registers_history_kappa_cannot_be_checked_and_that_is_said() -> None:
    own = agreement(register_date=RegisterDate(first_day=MAY[0], last_day=MAY[1]))
    assert any(text.startswith("kappa cannot be checked") for text in report_of(table_of(own))["warnings"])


@pytest.mark.parametrize(("there", "status"), [(20_000.0, "G"), (0.0, "Q")])
def test_a_zone_in_which_nobody_was_registered_has_who_is_new_there(there: float, status: str) -> None:
    nobody = PERSONS * [1, 1, 1, 1, 0]
    own = replace(agreement(), register=Register(nobody, 0.8 * nobody))
    after = nobody + there * np.array([0, 0, 0, 0, 1])
    table = table_of(own, answers(own, JULY, after), answers(own, MAY, nobody))
    row = table.to_pylist()[4]
    assert row["obs_status"] == status
    if there:
        assert row["estimate"] == pytest.approx(there, rel=0.02)
        assert row["lower_95"] <= there <= row["upper_95"]
    else:
        assert row["estimate"] is None
        assert 10 < row["std_error"] < 100, "noise alone"
