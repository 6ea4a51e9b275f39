"""Quality indicators at the hub: sums with the interval of their noise, and parts in reports of other releases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hub.client.office import quality_of
from hub.client.quality import as_text
from hub.estimation.noise_reach import reach
from hub.estimation.question import Answer
from hub.estimation.table import estimate
from privacy.noise import gaussian, laplace
from privacy.statistics import QUALITY_INDICATORS
from privacy.terms import Level
from quorate.contract.payload import encode
from quorate.contract.zoning import NATION
from tests.support_hub import (
    DAY,
    MAY,
    OPERATORS,
    PRODUCTS,
    noised_vector,
    order_for,
    question,
    small_agreement,
    small_product,
    terms_in,
)

PARAMETERS: dict[str, Any] = {"min_hours": 1, "zones_limit": 8, "min_stay_minutes": 30, "flows_limit": 6}
INDICATORS = small_product(
    "indicators",
    QUALITY_INDICATORS,
    2_000_000,
    1,
    parameters=PARAMETERS,
    levels=(Level(name=NATION, share_permille=1000),),
)
OWN = small_agreement(products=(*PRODUCTS[:2], INDICATORS))
#: Subscribers, rejected, many zones, many flows; the sums are 100,000, 3,000, 500 and 2,000.
COUNTS = ((40_000, 1_500, 200, 900), (35_000, 1_000, 200, 700), (25_000, 500, 100, 400))
#: √(Δ²/(2ρ)) = √(4/0.004) = 31.62 on the grid of 0.01, or the next above.
SIGMA = terms_in(OWN, "indicators", DAY).levels[0].scale_milli / 1000


def answers(day: date = DAY, counts: Sequence[Sequence[int]] = COUNTS) -> list[Answer]:
    """Return contributions without noise, so that what is made of them can be worked out by hand."""
    terms = terms_in(OWN, "indicators", day)
    return [
        Answer(order_for(OWN, operator, terms), encode(np.array(found, np.int64)))
        for operator, found in zip(OPERATORS, counts, strict=False)
    ]


def released(counts: Sequence[Sequence[int]] = COUNTS) -> pa.Table:
    terms = terms_in(OWN, "indicators", DAY)
    return estimate(question(OWN, terms, [np.array(found, np.int64) for found in counts]))


def report_beside(given: dict[date, list[Answer]], days: tuple[date, date] = MAY, operators: int = 3) -> Any:
    """Return the report of residents, when indicators of some days have been estimated before."""
    terms = terms_in(OWN, "residents", *days)
    vectors = [noised_vector(OWN, terms) for _ in range(operators)]

    def earlier(product: str, asked: tuple[date, date], _revision: int | None) -> list[Answer]:
        first, last = asked
        return given.get(first, []) if product == "indicators" and first == last else []

    return quality_of(estimate(question(OWN, terms, vectors, earlier)))


def test_the_scale_of_the_noise_is_that_of_four_cells() -> None:
    assert pytest.approx(31.63, abs=0.011) == SIGMA


def test_every_indicator_is_a_row_of_the_country_with_the_sum_of_the_operators() -> None:
    rows = released().to_pylist()
    assert [(row["ref_area"], row["counterpart_area"]) for row in rows] == [
        ("_T", "subscribers"),
        ("_T", "rejected"),
        ("_T", "many-zones"),
        ("_T", "many-flows"),
    ]
    assert [row["estimate"] for row in rows] == [100_000, 3_000, 500, 2_000]
    assert {row["std_error"] for row in rows} == {math.ceil(SIGMA * 3**0.5)}, "two digits, rounded up"
    # σ√3 = 54.8: 1.96 of it are 107.4, and whole numbers beyond are needed for 95 %.
    assert rows[1]["upper_95"] - rows[1]["estimate"] in {107, 108}
    assert rows[1]["estimate"] - rows[1]["lower_80"] in {70, 71}
    assert {row["operators"] for row in rows} == {3}
    assert {row["noise_share"] for row in rows} == {1.0}


def test_what_one_operator_counts_alone_is_withheld() -> None:
    table = released(COUNTS[:1])
    assert table["estimate"].to_pylist() == [None] * 4
    assert table["std_error"].to_pylist() == [None] * 4
    assert table["upper_95"].to_pylist() == [None] * 4
    assert set(table["conf_status"].to_pylist()) == {"N"}
    report = quality_of(table)
    assert report["warnings"] == ["one operator answered alone: its counts are withheld"]
    assert "rejected rows" not in report


def test_a_count_that_one_operator_dominates_is_flagged() -> None:
    table = released(((90_000, 9_000, 9_000, 9_000), (8_000, 800, 800, 800)))
    assert set(table["conf_status"].to_pylist()) == {"O"}


def test_the_report_of_another_release_has_the_parts_of_the_same_operators() -> None:
    report = report_beside({DAY: answers()})
    # 3,000 of 100,000; √(3·σ²·(1 + .03²))/100,000 = .00054806.
    assert report["rejected rows"] == {
        "part of subscribers": 0.03,
        "standard error": round((3 * SIGMA**2 * (1 + 0.03**2)) ** 0.5 / 100_000, 5),
    }
    assert report["rejected rows"]["standard error"] == pytest.approx(0.00055)
    assert report["truncated"]["more than 8 zones"]["part of subscribers"] == 0.005
    assert report["truncated"]["more than 6 flows"]["part of subscribers"] == 0.02
    assert report["indicators"] == {"product": "indicators", "days": 1, "days of the release": 31}
    assert report["not measured"] == []
    assert "rejected rows:\n  part of subscribers: 0.03" in as_text(report)


def test_the_days_of_a_period_are_added_up_before_parts_are_taken() -> None:
    second = DAY + timedelta(days=1)
    half = [[Fraction(value, 2) for value in found] for found in COUNTS]
    other = [[int(found[0]), 5 * int(found[1]), int(found[2]), int(found[3])] for found in half]
    report = report_beside({DAY: answers(), second: answers(second, other)})
    # (3,000 + 7,500)/(100,000 + 50,000).
    assert report["rejected rows"]["part of subscribers"] == 0.07
    assert report["indicators"]["days"] == 2


def test_more_or_fewer_operators_than_answered_are_not_taken() -> None:
    """Else two reports would differ by what one operator counted."""
    for given, operators in ((answers(), 2), (answers(counts=COUNTS[:2]), 3)):
        report = report_beside({DAY: given}, operators=operators)
        (why,) = report["not measured"]
        assert why.startswith(
            "rejected rows and truncation: no indicators of these days by the same operators"
        )
        assert "rejected rows" not in report


def test_a_release_of_other_days_says_that_there_are_no_indicators() -> None:
    report = report_beside({date(2026, 6, 1): answers(date(2026, 6, 1))})
    assert "no indicators of these days" in report["not measured"][0]


def test_a_release_that_one_operator_answered_alone_says_that_they_are_withheld() -> None:
    report = report_beside({DAY: answers(counts=COUNTS[:1])}, operators=1)
    assert "withheld" in report["not measured"][0]
    assert "rejected rows" not in report


def test_a_charter_without_indicators_says_so() -> None:
    own = small_agreement()
    terms = terms_in(own, "residents", *MAY)
    report = quality_of(estimate(question(own, terms, [noised_vector(own, terms)] * 3)))
    assert report["not measured"] == [
        "rejected rows and truncation: the charter has no quality indicators; operators keep these counts"
    ]


def test_noise_alone_has_no_parts_and_a_negative_part_is_none() -> None:
    nobody = report_beside({DAY: answers(counts=[[80, 9, 0, 0]] * 3)})
    assert nobody["not measured"] == ["rejected rows and truncation: the indicators are within their noise"]
    few = report_beside({DAY: answers(counts=[[50_000, -7, 3, 3]] * 3)})
    assert few["rejected rows"]["part of subscribers"] == 0.0


def test_no_number_of_a_single_operator_is_in_a_report() -> None:
    text = as_text(report_beside({DAY: answers()}))
    assert not [found for found in (40_000, 35_000, 25_000, 1_500) if str(found) in text]


# --- how far noise reaches --------------------------------------------------------------------------------


def by_fractions(single: dict[int, Fraction], operators: int, level: Fraction) -> int:
    """Return the reach by convolving probabilities one by one."""
    whole = {0: Fraction(1)}
    for _ in range(operators):
        longer: dict[int, Fraction] = {}
        for here, chance in whole.items():
            for step, more in single.items():
                longer[here + step] = longer.get(here + step, Fraction(0)) + chance * more
        whole = longer
    far = 0
    while sum(chance for at, chance in whole.items() if abs(at) <= far) < level:
        far += 1
    return far


@pytest.mark.parametrize("operators", [1, 2, 3])
@pytest.mark.parametrize("level", [Fraction(4, 5), Fraction(19, 20)])
def test_the_reach_of_laplace_noise_is_that_of_exact_convolution(operators: int, level: Fraction) -> None:
    """With e^(−1/b) = 1/2 the probabilities are 1/3·2^−|x|; b = 1/ln 2 = 1.443 to the grid gives the same reach."""
    single = {x: Fraction(1, 3) * Fraction(1, 2) ** abs(x) for x in range(-30, 31)}
    assert reach(laplace(1443), operators, float(level)) == by_fractions(single, operators, level)


def test_the_reach_of_wide_gaussian_noise_is_that_of_the_normal_distribution() -> None:
    """1.959964·100·√3 = 339.48 and 1.281552·100·√3 = 221.97: of whole numbers the half beyond counts."""
    assert reach(gaussian(100_000), 3, 0.95) == 339
    assert reach(gaussian(100_000), 3, 0.80) == 222


def test_noise_that_is_hardly_ever_there_reaches_nowhere() -> None:
    assert reach(gaussian(100), 3, 0.95) == 0


def test_noise_beyond_all_bounds_is_as_good_as_normal() -> None:
    assert reach(gaussian(10**9), 4, 0.95) == pytest.approx(1.959964 * 2 * 10**6, rel=1e-6)
