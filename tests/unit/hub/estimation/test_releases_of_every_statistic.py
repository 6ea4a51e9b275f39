"""Every statistic of which the hub makes estimates: from the operators' vectors to a table and its quality."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from hub.config import Agreement, Register
from hub.estimation.question import Answer, Earlier, Question
from hub.estimation.table import SCHEMA, estimate
from hub.knowledge import Knowledge, Operators, Subscriptions, Visitors
from privacy.errors import UsageProblem
from privacy.levels import noised_levels
from privacy.statistics import (
    ANCHORS_BY_DAY,
    COMMUTING,
    FLOWS,
    RESIDENTS,
    UNION_SKETCH,
    VISITORS,
)
from privacy.terms import Level, Terms
from quorate.contract.order import keyset_for
from quorate.contract.payload import encode
from quorate.contract.zoning import NATION
from tests.support_hub import (
    DAY,
    MAY,
    OPERATORS,
    calibration,
    nothing_earlier,
    order_for,
    small_agreement,
    small_product,
    terms_in,
)

NIGHT: dict[str, Any] = {"night_hours": [0, 1, 2, 3, 4, 5]}
OWNERS = np.array([80_000.0, 50_000, 110_000, 60_000, 10_000])
SHARES = {"east": 0.40, "north": 0.35, "west": 0.25}
COUNTRIES = {"DE": [262], "FR": [208], "NL": [204]}
BINS = 4096
PRODUCTS = (
    small_product("anchors", ANCHORS_BY_DAY, 5_000_000, 1, parameters=NIGHT),
    small_product("residents", RESIDENTS, 5_000_000, 31, parameters=NIGHT | {"min_nights": 5}),
    small_product(
        "commuting",
        COMMUTING,
        10_000_000,
        31,
        parameters=NIGHT
        | {"min_nights": 5, "day_hours": [9, 10, 11], "weekdays": [1, 2, 3, 4, 5], "min_days": 3},
    ),
    small_product("flows", FLOWS, 10_000_000, 1, parameters={"min_stay_minutes": 0, "limit": 5}),
    small_product("visitors", VISITORS, 5_000_000, 1, parameters=NIGHT | {"countries": COUNTRIES}),
    small_product(
        "overlap",
        UNION_SKETCH,
        500_000_000,
        31,
        parameters={"bins": BINS, "by_zone": False},
        levels=(Level(name=NATION, share_permille=1000),),
    ),
    small_product(
        "overlap-by-zone",
        UNION_SKETCH,
        50_000_000,
        31,
        parameters={"bins": 64, "by_zone": True, "limit": 2},
    ),
)


def agreement(**knowledge: Any) -> Agreement:
    own = small_agreement(products=PRODUCTS, calibration=calibration(share_sd=50))
    return replace(own, register=Register(OWNERS / 0.8, OWNERS), knowledge=Knowledge(**knowledge))


def answers(
    own: Agreement,
    product: str,
    days: tuple[date, date],
    exact: dict[str, NDArray[np.int64]],
) -> list[Answer]:
    """Return the operators' answers: their exact tables with the noise of the terms."""
    terms: Terms = terms_in(own, product, *days)
    parts = list(keyset_for(own.charter, own.zoning, terms).parts())
    found = []
    for operator, table in exact.items():
        flat = table.ravel()
        values, _samplers = noised_levels([flat[place] for _name, place, _shape in parts], terms)
        found.append(Answer(order_for(own, operator, terms), encode(values)))
    return found


def released(own: Agreement, given: list[Answer], earlier: Earlier = nothing_earlier) -> pa.Table:
    table = estimate(Question(own, given, earlier))
    assert table.schema.names == SCHEMA.names
    assert [table.schema.field(name).type for name in SCHEMA.names] == [
        SCHEMA.field(name).type for name in SCHEMA.names
    ]
    return table


def report_of(table: pa.Table) -> dict[str, Any]:
    return dict(json.loads(table.schema.metadata[b"quality"]))


# --- commuting --------------------------------------------------------------------------------------------

#: Of those who live in a zone, the part that is in each zone by day; the last has no day zone.
GOING = np.array(
    [
        [0.60, 0.20, 0.10, 0.05, 0.00, 0.05],
        [0.30, 0.55, 0.05, 0.05, 0.00, 0.05],
        [0.05, 0.05, 0.80, 0.05, 0.00, 0.05],
        [0.05, 0.05, 0.15, 0.70, 0.00, 0.05],
        [0.10, 0.10, 0.10, 0.10, 0.55, 0.05],
    ]
)


def commuting_tables(shares: dict[str, float] = SHARES) -> dict[str, NDArray[np.int64]]:
    table = OWNERS[:, None] * GOING
    whole = np.vstack([table, np.zeros(6)])
    return {name: np.rint(whole * share).astype(np.int64) for name, share in shares.items()}


def persons_in(table: pa.Table) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["ref_area"], row["counterpart_area"]): row for row in table.to_pylist()}


def test_commuting_has_a_row_for_each_pair_of_areas_and_one_for_no_day_area() -> None:
    own = agreement()
    table = released(own, answers(own, "commuting", MAY, commuting_tables()))
    cells = persons_in(table)
    assert table.num_rows == 5 * 6 + 3 * 4
    truth = OWNERS[:, None] * GOING
    assert cells["A1", "A2"]["estimate"] == pytest.approx(truth[0, 1], rel=0.03)
    assert cells["A1", "_X"]["estimate"] == pytest.approx(truth[0, 5], rel=0.1)
    assert cells["A", "A"]["estimate"] == pytest.approx(truth[:2, :2].sum(), rel=0.02)
    held = [
        row["lower_95"] <= truth[["A1", "A2", "B1", "C1", "C2"].index(home), place] <= row["upper_95"]
        for home in ("A1", "A2", "B1", "C1", "C2")
        for place, goal in enumerate(("A1", "A2", "B1", "C1", "C2"))
        if (row := cells[home, goal])["lower_95"] is not None
    ]
    assert len(held) > 15
    assert np.mean(held) > 0.85


def test_larger_areas_are_the_sums_of_the_published_pairs_of_zones() -> None:
    own = agreement()
    table = released(own, answers(own, "commuting", MAY, commuting_tables()))
    cells = {pair: row["estimate"] for pair, row in persons_in(table).items()}
    assert None not in (cells["A1", "A1"], cells["A1", "A2"], cells["A2", "A1"], cells["A2", "A2"])
    assert cells["A", "A"] == sum(cells[home, goal] for home in ("A1", "A2") for goal in ("A1", "A2"))


def test_homes_counted_apart_by_the_same_operators_are_used() -> None:
    own = agreement()
    homes = {
        name: np.rint(np.append(OWNERS, 0) * share).astype(np.int64)[:, None]
        for name, share in SHARES.items()
    }
    residents = answers(own, "residents", MAY, homes)
    asked: list[str] = []

    def earlier(product: str, _days: tuple[date, date], _revision: int | None) -> list[Answer]:
        asked.append(product)
        return residents if product == "residents" else []

    table = released(own, answers(own, "commuting", MAY, commuting_tables()), earlier)
    assert asked == ["residents"]
    assert persons_in(table)["B1", "B1"]["estimate"] == pytest.approx(88_000, rel=0.02)


def test_an_operator_that_is_missing_is_no_lack_of_commuters() -> None:
    own = agreement()
    two = {name: share for name, share in SHARES.items() if name != "west"}
    table = released(own, answers(own, "commuting", MAY, commuting_tables(two)))
    assert persons_in(table)["B1", "B1"]["estimate"] == pytest.approx(88_000, rel=0.03)
    assert set(table["operators"].to_pylist()) == {2}


# --- flows of a day ---------------------------------------------------------------------------------------


def flow_tables() -> dict[str, NDArray[np.int64]]:
    table = np.zeros((6, 6))
    table[:5, :5] = OWNERS[:, None] * 0.1 * (1 - np.eye(5))
    return {name: np.rint(table * share).astype(np.int64) for name, share in SHARES.items()}


def test_flows_are_weighted_by_the_anchors_of_the_same_day() -> None:
    own = agreement()
    night = {
        name: np.rint(np.append(OWNERS, 0) * share).astype(np.int64)[:, None]
        for name, share in SHARES.items()
    }
    anchors = answers(own, "anchors", (DAY, DAY), night)

    def earlier(product: str, _days: tuple[date, date], _revision: int | None) -> list[Answer]:
        return anchors if product == "anchors" else []

    table = released(own, answers(own, "flows", (DAY, DAY), flow_tables()), earlier)
    assert persons_in(table)["B1", "A1"]["estimate"] == pytest.approx(11_000, rel=0.06)
    assert report_of(table)["warnings"] == []


def test_flows_without_anchors_have_one_weight_and_say_so() -> None:
    own = agreement(subscriptions=Subscriptions(per_person=1.25, sd=0.01))
    table = released(own, answers(own, "flows", (DAY, DAY), flow_tables()))
    (warning,) = report_of(table)["warnings"]
    assert "no release of anchors of this day" in warning
    assert persons_in(table)["B1", "A1"]["estimate"] == pytest.approx(11_000 / 1.25, rel=0.06)


def test_flows_whose_anchors_are_only_noise_have_one_weight_and_say_so() -> None:
    own = agreement(subscriptions=Subscriptions(per_person=1.25, sd=0.01))
    nobody = {name: np.zeros((OWNERS.size + 1, 1), dtype=np.int64) for name in SHARES}
    anchors = answers(own, "anchors", (DAY, DAY), nobody)

    def earlier(product: str, _days: tuple[date, date], _revision: int | None) -> list[Answer]:
        return anchors if product == "anchors" else []

    table = released(own, answers(own, "flows", (DAY, DAY), flow_tables()), earlier)
    (warning,) = report_of(table)["warnings"]
    assert "anchors of this day are within their noise in every zone" in warning
    assert persons_in(table)["B1", "A1"]["estimate"] == pytest.approx(11_000 / 1.25, rel=0.06)


def test_what_was_measured_of_larger_areas_and_is_not_used_is_told() -> None:
    both = (Level(name="zone", share_permille=600), Level(name="district", share_permille=400))
    products = tuple(
        product.model_copy(update={"levels": both}) if product.product_id == "flows" else product
        for product in PRODUCTS
    )
    own = agreement(subscriptions=Subscriptions(per_person=1.25, sd=0.01))
    own = replace(own, charter=own.charter.model_copy(update={"products": products}))
    terms = terms_in(own, "flows", DAY)
    zones, _districts = (shape for _name, _place, shape in keyset_for(own.charter, own.zoning, terms).parts())
    tables = {name: np.append(table.ravel(), np.zeros(16, np.int64)) for name, table in flow_tables().items()}
    assert zones == (6, 6)
    *_others, told = report_of(released(own, answers(own, "flows", (DAY, DAY), tables)))["warnings"]
    assert told.startswith("what was measured of district is charged and not used")


# --- visitors ---------------------------------------------------------------------------------------------

VISITING = np.array(
    [[4000, 2000, 900], [2000, 1000, 500], [6000, 3000, 1500], [2500, 1500, 600], [500, 300, 100]]
)


def visitor_tables() -> dict[str, NDArray[np.int64]]:
    table = np.vstack([np.hstack([VISITING, np.zeros((5, 1))]), np.zeros(4)])
    return {name: np.rint(table * share).astype(np.int64) for name, share in SHARES.items()}


def test_visitors_are_drawn_to_the_known_total_of_their_country() -> None:
    known = tuple(
        Visitors(country=code, first_day=DAY, last_day=DAY, persons=persons, sd=10)
        for code, persons in (("DE", 30_000), ("FR", 15_000))
    )
    own = agreement(visitors=known)
    table = released(own, answers(own, "visitors", (DAY, DAY), visitor_tables()))
    assert table.num_rows == (5 + 3) * 4
    cells = persons_in(table)
    zones = [cells[zone, "DE"]["estimate"] for zone in ("A1", "A2", "B1", "C1")]
    assert zones == pytest.approx((VISITING[:4, 0] * 2.0).tolist(), rel=0.08)
    assert cells["A", "DE"]["estimate"] == zones[0] + zones[1]
    report = report_of(table)
    assert report["diagnostics"]["countries with a known total"] == ["DE", "FR"]
    assert report["diagnostics"]["visitors for each roamer"][0] == pytest.approx(2.0, rel=0.02)
    assert "stratum of their own" in report["method"]


def test_without_any_total_visitors_are_roamers_and_the_report_says_so() -> None:
    own = agreement()
    table = released(own, answers(own, "visitors", (DAY, DAY), visitor_tables()))
    assert "roamers counted" in report_of(table)["method"]


# --- union ------------------------------------------------------------------------------------------------


def sketches(persons: int, twice: int, seed: int = 1) -> dict[str, NDArray[np.int64]]:
    """Return exact counts of bins: everybody at one operator, and some at the next one too."""
    chance = np.random.default_rng(seed)
    bins = chance.integers(0, BINS, (3, persons))
    counts = [np.bincount(mine, minlength=BINS) for mine in bins]
    for place in range(3):
        counts[(place + 1) % 3] += np.bincount(bins[place][:twice], minlength=BINS)
    return dict(zip(OPERATORS, [count.astype(np.int64)[None, :] for count in counts], strict=True))


def test_a_union_is_one_row_of_the_country_with_the_factor_beside_it() -> None:
    own = agreement()
    table = released(own, answers(own, "overlap", MAY, sketches(20_000, 2_000)))
    (row,) = table.to_pylist()
    assert row["ref_area"] == "_T"
    assert row["lower_95"] < row["estimate"] < row["upper_95"]
    # The standard deviation is some 700.
    assert row["estimate"] == pytest.approx(60_000, rel=0.06)
    told = report_of(table)["diagnostics"]
    assert told["persons for each counted subscriber"] == pytest.approx(60 / 66, rel=0.06)
    assert told["told by"] == "sketch"
    assert told["persons at exactly 1, 2, … operators"][1] == pytest.approx(6_000, abs=3_600)


def test_a_survey_tells_of_third_operators_and_of_the_factor() -> None:
    own = agreement(
        operators=Operators(at_least=(120, 10, 1)), subscriptions=Subscriptions(per_person=1.1, sd=0.01)
    )
    table = released(own, answers(own, "overlap", MAY, sketches(20_000, 2_000)))
    report = report_of(table)
    assert report["diagnostics"]["told by"] != "sketch"
    assert report["assumptions"]["going on to a further operator"] == pytest.approx(10.5 / 121)


def test_one_operator_alone_is_its_own_union() -> None:
    own = agreement()
    given = answers(own, "overlap", MAY, sketches(20_000, 2_000))[:1]
    (row,) = released(own, given).to_pylist()
    assert row["conf_status"] == "N"
    assert row["estimate"] == pytest.approx(22_000, rel=0.03)


def test_a_sketch_by_zone_has_a_row_for_each_area_and_no_sum() -> None:
    own = agreement()
    chance = np.random.default_rng(3)
    exact = {
        name: np.vstack(
            [np.bincount(chance.integers(0, 64, int(size * 0.3)), minlength=64) for size in OWNERS]
        ).astype(np.int64)
        for name in OPERATORS
    }
    table = released(own, answers(own, "overlap-by-zone", MAY, exact))
    assert table["ref_area"].to_pylist() == ["A1", "A2", "B1", "C1", "C2"]
    assert table["estimate"].to_pylist()[0] == pytest.approx(0.9 * OWNERS[0], rel=0.15)


@pytest.mark.parametrize("product", ["commuting", "flows", "visitors"])
def test_nothing_but_noise_is_no_figure_and_no_error(product: str) -> None:
    own = agreement()
    days = MAY if product == "commuting" else (DAY, DAY)
    shape = {"commuting": (6, 6), "flows": (6, 6), "visitors": (6, 4)}[product]
    table = released(own, answers(own, product, days, {name: np.zeros(shape, np.int64) for name in SHARES}))
    assert set(table["obs_status"].to_pylist()) <= {"Q", "I"}


# --- phone owners by counts -------------------------------------------------------------------------------


def resident_tables(shares: dict[str, float] = SHARES, each: float = 1.1) -> dict[str, NDArray[np.int64]]:
    """Return counted homes: so many subscriptions of each owner, a tenth of them without a home."""
    table = np.append(0.9 * OWNERS, 0.1 * OWNERS.sum()) * each
    return {name: np.rint(table * share).astype(np.int64)[:, None] for name, share in shares.items()}


def test_phone_owners_are_the_registers_unless_they_are_to_be_counted() -> None:
    own = agreement()
    report = report_of(released(own, answers(own, "residents", MAY, resident_tables())))
    told = report["diagnostics"]
    assert (told["phone owners"], told["phone owners by"]) == (310_000, "register")
    assert told["part of the counted subscribers in no zone"] == pytest.approx(0.1, abs=0.003)


def test_counted_phone_owners_are_subscribers_over_subscriptions_of_a_person() -> None:
    own = agreement(phone_owners="counted", subscriptions=Subscriptions(per_person=1.1, sd=0.011))
    table = released(own, answers(own, "residents", MAY, resident_tables()))
    told = report_of(table)["diagnostics"]
    assert told["phone owners"] == pytest.approx(310_000, rel=0.002)
    assert told["their standard error"] == pytest.approx(3_100, rel=0.05)
    exact = agreement()
    register = released(exact, answers(exact, "residents", MAY, resident_tables()))
    assert table["std_error"].to_pylist()[0] > 1.02 * register["std_error"].to_pylist()[0]


def test_counted_phone_owners_do_not_go_with_an_operator_that_is_missing() -> None:
    own = agreement(
        phone_owners="counted",
        subscriptions=Subscriptions(per_person=1.1, sd=0.011),
        market={"east": 0.4, "north": 0.35, "west": 0.25},
    )
    two = {name: share for name, share in SHARES.items() if name != "west"}
    table = released(own, answers(own, "residents", MAY, resident_tables(two)))
    assert report_of(table)["diagnostics"]["phone owners"] == pytest.approx(310_000, rel=0.003)


def test_a_sketch_of_the_same_days_tells_the_factor_too() -> None:
    own = agreement(phone_owners="counted", subscriptions=Subscriptions(per_person=1.1, sd=0.02))
    sketch = answers(own, "overlap", MAY, sketches(20_000, 2_000))

    def earlier(product: str, _days: tuple[date, date], _revision: int | None) -> list[Answer]:
        return sketch if product == "overlap" else []

    report = report_of(released(own, answers(own, "residents", MAY, resident_tables()), earlier))
    assert report["diagnostics"]["phone owners by"] == "counts and survey and sketch"
    assert report["diagnostics"]["phone owners"] == pytest.approx(310_000, rel=0.04)


def test_counting_owners_without_a_factor_is_told_with_what_to_do() -> None:
    own = agreement(phone_owners="counted")
    with pytest.raises(UsageProblem, match="nothing says how many subscriptions") as caught:
        released(own, answers(own, "residents", MAY, resident_tables()))
    assert "[subscriptions]" in caught.value.todo


def test_with_two_operators_nobody_is_told_how_many_persons_are_at_both() -> None:
    own = agreement()
    report = report_of(released(own, answers(own, "overlap", MAY, sketches(20_000, 2_000))[:2]))
    assert report["diagnostics"] == {}
    assert any("withheld" in text for text in report["warnings"])


def test_a_region_within_its_noise_does_not_keep_a_union_by_zone() -> None:
    own = agreement()
    exact = {name: np.zeros((5, 64), np.int64) for name in OPERATORS}
    table = released(own, answers(own, "overlap-by-zone", MAY, exact))
    assert set(table["obs_status"].to_pylist()) == {"Q"}


def test_a_union_by_zone_is_shown_where_only_larger_areas_are_published() -> None:
    own = agreement()
    publication_ = own.charter.publication.model_copy(update={"levels": ("district",)})
    own = replace(own, charter=own.charter.model_copy(update={"publication": publication_}))
    exact = {name: np.full((5, 64), 50, np.int64) for name in OPERATORS}
    table = released(own, answers(own, "overlap-by-zone", MAY, exact))
    assert table.num_rows == 5


@pytest.mark.parametrize("value", [2**54, -(2**54)])
@pytest.mark.parametrize("product", ["residents", "flows", "visitors", "commuting", "overlap"])
def test_an_operator_that_sends_impossible_numbers_does_not_keep_a_release(product: str, value: int) -> None:
    own = agreement()
    tables = {
        "residents": (resident_tables(), MAY),
        "flows": (flow_tables(), (DAY, DAY)),
        "visitors": (visitor_tables(), (DAY, DAY)),
        "commuting": (commuting_tables(), MAY),
        "overlap": (sketches(20_000, 2_000), MAY),
    }
    exact, days = tables[product]
    given = answers(own, product, days, exact)
    first = given[0]
    cells = keyset_for(own.charter, own.zoning, first.order.terms).size
    wrong = np.zeros(cells, np.int64)
    wrong[1] = value
    released(own, [Answer(first.order, encode(wrong)), *given[1:]])


def test_every_published_estimate_is_within_its_intervals() -> None:
    own = agreement()
    for product, tables, days in (
        ("flows", flow_tables(), (DAY, DAY)),
        ("commuting", commuting_tables(), MAY),
        ("visitors", visitor_tables(), (DAY, DAY)),
    ):
        for row in released(own, answers(own, product, days, tables)[:1]).to_pylist():
            if row["estimate"] is not None:
                assert (
                    row["lower_95"]
                    <= row["lower_80"]
                    <= row["estimate"]
                    <= row["upper_80"]
                    <= row["upper_95"]
                )
