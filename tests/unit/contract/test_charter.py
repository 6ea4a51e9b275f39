"""The charter: what it refuses, and the only terms that it gives to a product and a period."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from privacy.errors import UsageProblem
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS
from privacy.terms import Level
from quorate.contract.charter import Charter
from quorate.contract.keyset import Keyset, keyset_of
from quorate.contract.order import TaskOrder, keyset_for, terms_of
from tests.support_node import BRUSSELS, charter_of, zoning_of

PLAIN, SHORT, LONG = date(2026, 10, 20), date(2026, 3, 29), date(2026, 10, 25)
ZONING = zoning_of()
CHARTER = charter_of(ZONING)
Change = Callable[[dict[str, Any]], object]


def cells(statistic: str, day: date, *levels: str) -> Keyset:
    return keyset_of(statistic, {}, ZONING, levels or ("zone",), first_day=day, time_zone=BRUSSELS)


def two_levels(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "share_permille": 500} for name in names]


def sketch(*levels: str, **parameters: object) -> dict[str, Any]:
    """Return what makes a product a sketch, a national one unless something else is said."""
    names = levels or ("nation",)
    return {
        "statistic": "union-sketch",
        "levels": [{"name": name, "share_permille": 1000 // len(names)} for name in names],
        "parameters": {"bins": 1009, "by_zone": False} | parameters,
    }


def read(document: object) -> Charter:
    return Charter.from_bytes(json.dumps(document).encode(), "charter.json")


def test_a_charter_survives_its_own_bytes() -> None:
    assert Charter.from_bytes(CHARTER.to_bytes(), "charter.json") == CHARTER
    assert CHARTER.digest() == hashlib.sha256(CHARTER.to_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda c: c.update(time_zone="Europe/Bruxelles"),
            "Europe/Bruxelles is not in the time-zone database",
        ),
        (lambda c: c.update(time_zone="../etc/passwd"), "is not in the time-zone database"),
        (lambda c: c.update(operators=["alpha", "alpha"]), "an operator is named twice"),
        (lambda c: c.update(operators=[]), "operators"),
        (lambda c: c.update(operators=["Alpha", "beta"]), "operators.0"),
        (lambda c: c["products"].append(c["products"][0]), "a product is named twice"),
        (lambda c: c.update(products=[]), "products"),
        (
            lambda c: c["publication"].update(min_operators=3),
            "min_operators is more than there are operators",
        ),
        (lambda c: c["publication"].update(min_operators=0), "publication.min_operators"),
        (lambda c: c["publication"].update(collect_seconds=0), "publication.collect_seconds"),
        (lambda c: c["publication"].update(levels=[]), "publication.levels"),
        (lambda c: c["keys"]["operators"].pop("beta"), "keys.operators does not have exactly one key"),
        (lambda c: c["keys"]["exchange"].pop("beta"), "keys.exchange does not have exactly one key"),
        (
            lambda c: c["keys"]["exchange"].update(gamma="5" * 64),
            "keys.exchange does not have exactly one key",
        ),
        (lambda c: c["keys"].pop("exchange"), "keys.exchange"),
        (lambda c: c["keys"]["exchange"].update(beta=c["keys"]["exchange"]["alpha"]), "have the same key"),
        (lambda c: c["keys"]["operators"].update(beta=c["keys"]["hub"]), "have the same key"),
        (lambda c: c["keys"]["exchange"].update(beta="5" * 63), "keys.exchange.beta"),
        (lambda c: c["keys"]["exchange"].update(beta="E" * 64), "keys.exchange.beta"),
        (
            lambda c: c["keys"]["exchange"].update(beta="0" * 64),
            "nothing can be sealed to keys.exchange.beta",
        ),
        (lambda c: c.update(version=0), "version"),
        (lambda c: c.update(version="1"), "version"),
        (lambda c: c.update(version=True), "version"),
        (lambda c: c.update(network="Test Net"), "network"),
        (lambda c: c.update(zoning="0" * 63), "zoning"),
        (lambda c: c.update(zoning="0" * 64 + "\n"), "zoning"),
        (lambda c: c.update(sigma_grid_milli=0), "sigma_grid_milli"),
        (lambda c: c.update(more=1), "more"),
        (lambda c: c.pop("calibration"), "calibration"),
        (lambda c: c["presence"].update(max_hold_minutes=0), "presence.max_hold_minutes"),
        (lambda c: c["presence"].update(max_hold_minutes=1441), "presence.max_hold_minutes"),
        (lambda c: c["presence"].update(max_hold_minutes=1.5), "presence.max_hold_minutes"),
        (lambda c: c["presence"].update(max_hold_back_minutes=-1), "presence.max_hold_back_minutes"),
        (lambda c: c["presence"].pop("max_hold_back_minutes"), "presence.max_hold_back_minutes"),
        (lambda c: c["presence"].update(max_hold_back_minutes=121), "no further before it than after it"),
        (
            lambda c: c["calibration"].update(others_moving_permille=1001),
            "calibration.others_moving_permille",
        ),
        (lambda c: c["budgets"].update(day=0), "budgets.day"),
        (lambda c: c["budgets"].update(day=-1), "budgets.day"),
        (lambda c: c["budgets"].update(month=0.5), "budgets.month"),
        (lambda c: c["budgets"].update(month=10**12 + 1), "budgets.month"),
        (lambda c: c["products"][0].update(rho=0), "products.0.rho"),
        (lambda c: c["products"][0].update(rho=5e6), "products.0.rho"),
        (lambda c: c["products"][0].update(max_days=32), "products.0.max_days"),
        (lambda c: c["products"][0].update(max_days=0), "products.0.max_days"),
        (lambda c: c["products"][0].update(title=""), "products.0.title"),
        (lambda c: c["products"][0].update(levels=[]), "products.0.levels"),
        (lambda c: c["products"][0]["levels"][0].update(share_permille=1001), "products.0.levels.0"),
        (lambda c: c["products"][0]["levels"][0].update(share_permille=999), "do not add up to 1000"),
        (
            lambda c: c["products"][0].update(levels=[{"name": "zone", "share_permille": 500}] * 2),
            "a level is named twice",
        ),
        (
            lambda c: c["products"][0].update(levels=[{"name": "district", "share_permille": 1000}]),
            "the finest level, zone, is not among the levels that are measured",
        ),
        (
            lambda c: c["products"][0].update(levels=two_levels("district", "province")),
            "the finest level, zone, is not among the levels that are measured",
        ),
        (lambda c: c["products"][0].update(mechanism="gaussian"), "products.0.mechanism"),
        (lambda c: c["products"][0].update(mechanism=None), "products.0.mechanism"),
        (lambda c: c["products"][0].update(statistic="tides"), "there is no statistic called tides"),
        (lambda c: c["products"][0].update(sketch(bins=1)), "'bins'"),
        (lambda c: c["products"][0].update(sketch(bins=2**26 + 1)), "'bins'"),
        (lambda c: c["products"][0].update(sketch(bins="9")), "'bins'"),
        (lambda c: c["products"][0].update(sketch(bins=None)), "'bins'"),
        (lambda c: c["products"][0].update(sketch(by_zone=1)), "by_zone: Input should be a valid boolean"),
        (lambda c: c["products"][0].update(sketch(limit=3)), "a sketch that is not by zone has no limit"),
        (
            lambda c: c["products"][0].update(sketch("zone", by_zone=True)),
            "a sketch by zone needs the bound limit",
        ),
        (
            lambda c: c["products"][0].update(sketch("zone", by_zone=True, limit=0)),
            "limit: Input should be greater",
        ),
        (
            lambda c: c["products"][0].update(sketch("nation", "zone")),
            "union-sketch that is not by zone has the one level nation, and no other",
        ),
        (lambda c: c["products"][0].update(sketch("zone")), "has the one level nation, and no other"),
        (
            lambda c: c["products"][0].update(sketch("nation", by_zone=True, limit=3)),
            "the finest level, zone, is not among the levels that are measured",
        ),
        (
            lambda c: c["products"][1].update(
                statistic="weighted-presence", parameters={"weight_maximum": 9, "silent_level": 7}
            ),
            "'silent_level'",
        ),
        (lambda c: c["products"][0].update(statistic="contribution-bound"), "no node can run it yet"),
        (
            lambda c: c["products"][1].update(max_days=2),
            "presence-by-hour reads one day, so max_days must be 1",
        ),
        (lambda c: c["products"][1].update(parameters={"x": math.nan}), "not representable"),
        (lambda c: c["products"][1].update(parameters={"x": 2**53}), "safe integer"),
        (lambda c: c["products"][0].update(algorithm="none"), "products.0.algorithm"),
        (lambda c: c["products"][0].update(parameters=[1]), "products.0.parameters"),
        (lambda c: c["calibration"].update(model_cv_permille=1001), "calibration.model_cv_permille"),
    ],
)
def test_a_charter_that_is_not_one_is_refused_by_name(change: Change, says: str) -> None:
    document = json.loads(CHARTER.to_bytes())
    change(document)
    with pytest.raises(UsageProblem, match=r"charter\.json is not a valid charter") as caught:
        read(document)
    assert says in caught.value.what
    assert caught.value.todo


@pytest.mark.parametrize("product", [0, 1])
@pytest.mark.parametrize("mechanism", ["discrete-gaussian", "discrete-laplace"])
def test_both_products_can_be_measured_at_several_levels_with_either_noise(
    product: int, mechanism: str
) -> None:
    document = json.loads(CHARTER.to_bytes())
    document["products"][product].update(levels=two_levels("district", "zone"), mechanism=mechanism)
    charter = read(document)
    asked = charter.products[product]
    terms = terms_of(charter, ZONING, asked.product_id, (PLAIN, PLAIN), 0)
    assert [level.name for level in terms.levels] == ["district", "zone"]
    assert [level.by_period for level in terms.levels] == [asked.rho // 2] * 2
    assert (terms.mechanism, terms.by_period) == (mechanism, asked.rho)
    keyset = cells(asked.statistic, PLAIN, "district", "zone")
    assert terms.keyset == keyset.digest() == keyset_for(charter, ZONING, terms).digest()


def test_a_product_that_does_not_name_its_noise_is_the_one_that_names_the_gaussian() -> None:
    document = json.loads(CHARTER.to_bytes())
    assert [product.pop("mechanism") for product in document["products"]] == ["discrete-gaussian"] * 2
    assert read(document).digest() == CHARTER.digest()


def test_a_zoning_without_a_level_that_is_measured_or_published_is_refused_by_its_name() -> None:
    CHARTER.require_levels(ZONING)
    document = json.loads(CHARTER.to_bytes())
    document["products"][1].update(levels=two_levels("zone", "region"))
    with pytest.raises(UsageProblem, match="names the level region, which the zoning does not have"):
        read(document).require_levels(ZONING)
    document = json.loads(CHARTER.to_bytes())
    document["publication"].update(levels=["zone", "province"])
    with pytest.raises(UsageProblem, match="names the level province, which the zoning does not have"):
        read(document).require_levels(ZONING)


@pytest.mark.parametrize(
    ("product", "cells_", "squared"),
    [
        (sketch(), 1009, (1, 1)),
        (sketch("zone", by_zone=True, limit=3), 3 * 1009, (3, 6)),
        (sketch("zone", "district", by_zone=True, limit=3), 5 * 1009, (3, 6)),
    ],
)
def test_a_sketch_is_a_product_with_cells_and_bounds(
    product: dict[str, Any], cells_: int, squared: tuple[int, int]
) -> None:
    document = json.loads(CHARTER.to_bytes())
    document["products"][0].update(product)
    charter = read(document)
    charter.require_levels(ZONING)
    terms = terms_of(charter, ZONING, "residents", (LONG - timedelta(days=6), LONG), 0)
    keyset = keyset_for(charter, ZONING, terms)
    assert (keyset.size, keyset.digest()) == (cells_, terms.keyset)
    assert (terms.bounds.period_squared, terms.bounds.day_squared) == squared


def test_a_silent_level_must_be_one_of_the_zoning() -> None:
    document = json.loads(CHARTER.to_bytes())
    silent = {"weight_maximum": 9, "silent_level": "district"}
    document["products"][1].update(statistic="weighted-presence", parameters=silent)
    read(document).require_levels(ZONING)
    silent["silent_level"] = "region"
    with pytest.raises(UsageProblem, match="names the level region, which the zoning does not have"):
        read(document).require_levels(ZONING)


def test_a_charter_knows_its_products_and_names_them_to_who_asks_for_another() -> None:
    assert CHARTER.product("presence").statistic == PRESENCE_BY_HOUR
    with pytest.raises(UsageProblem, match="no product called flows") as caught:
        CHARTER.product("flows")
    assert caught.value.todo == "ask for one of: residents, presence"


def test_terms_are_the_charters_words_for_a_product_and_a_period() -> None:
    first, last = LONG - timedelta(days=6), LONG
    terms = terms_of(CHARTER, ZONING, "residents", (first, last), 2)
    assert (terms.product, terms.statistic, terms.revision) == ("residents", RESIDENTS, 2)
    assert terms.parameters == {"night_hours": [0, 1, 2, 3, 4, 5], "min_nights": 2}
    assert (terms.first_day, terms.last_day) == (first, last)
    assert terms.zoning == ZONING.digest()
    assert terms.keyset == cells(RESIDENTS, first).digest()
    assert (terms.by_period, terms.charter_version, terms.weights) == (5_000_000, 3, None)
    assert terms.mechanism == "discrete-gaussian"
    assert (terms.bounds.period_squared, terms.bounds.day_squared) == (1, 2)


@pytest.mark.parametrize(("day", "hours"), [(SHORT, 23), (PLAIN, 24), (LONG, 25)])
def test_the_bounds_of_presence_are_the_elapsed_hours_of_its_day(day: date, hours: int) -> None:
    terms = terms_of(CHARTER, ZONING, "presence", (day, day), 0)
    assert (terms.bounds.period_squared, terms.bounds.day_squared) == (hours, hours)
    keyset = cells(PRESENCE_BY_HOUR, day)
    assert keyset_for(CHARTER, ZONING, terms) == keyset
    assert (terms.keyset, keyset.hours) == (keyset.digest(), hours)


@pytest.mark.parametrize(("day", "hours"), [(SHORT, 23), (PLAIN, 24), (LONG, 25)])
def test_the_noise_is_the_least_on_the_grid_that_keeps_the_loss(day: date, hours: int) -> None:
    """σ² = Δ²/(2ρ) in exact thousandths, rounded up to the grid of 10; one step more is for rounding."""
    terms = terms_of(CHARTER, ZONING, "presence", (day, day), 0)
    least_squared = hours * 10**9 * 1000**2 // (2 * 10_000_000)
    least = math.isqrt(least_squared - 1) + 1
    on_grid = -(-least // 10) * 10
    (level,) = terms.levels
    assert (level.name, level.share_permille, level.by_period) == ("zone", 1000, 10_000_000)
    assert level.scale_milli in {on_grid, on_grid + 10}
    assert level.scale_milli**2 * 2 * 10_000_000 >= hours * 10**9 * 1000**2


@pytest.mark.parametrize(
    ("product", "length", "allowed"),
    [
        ("presence", 1, True),
        ("presence", 2, False),
        ("residents", 1, True),
        ("residents", 7, True),
        ("residents", 8, False),
        ("residents", 0, False),
        ("presence", 0, False),
        ("residents", -3, False),
    ],
)
def test_a_period_is_as_long_as_the_product_allows(product: str, length: int, allowed: bool) -> None:
    days = (PLAIN, PLAIN + timedelta(days=length - 1))
    if allowed:
        assert terms_of(CHARTER, ZONING, product, days, 0).last_day == days[1]
    else:
        with pytest.raises(UsageProblem, match=f"{product} is released for up to|before it begins") as caught:
            terms_of(CHARTER, ZONING, product, days, 0)
        assert str(days[1]) in caught.value.what


@pytest.mark.parametrize("day", [date(1, 1, 1), date(2025, 12, 31), date(2027, 1, 1), date(9999, 12, 31)])
def test_days_without_a_budget_have_no_terms(day: date) -> None:
    for product in ("presence", "residents"):
        with pytest.raises(UsageProblem, match="no budget outside 2026-01-01 to 2026-12-31"):
            terms_of(CHARTER, ZONING, product, (day, day), 0)


def test_terms_of_an_unknown_product_are_refused() -> None:
    with pytest.raises(UsageProblem, match="no product called flows"):
        terms_of(CHARTER, ZONING, "flows", (PLAIN, PLAIN), 0)


def test_equal_terms_are_one_release_and_any_other_term_is_another() -> None:
    def asked(
        product: str = "presence", day: date = PLAIN, revision: int = 0, charter: Charter = CHARTER
    ) -> str:
        return terms_of(charter, ZONING, product, (day, day), revision).release_id()

    def changed(**changes: object) -> Charter:
        products = [product.model_copy(update=changes) for product in CHARTER.products]
        return charter_of(ZONING, products=tuple(products))

    halves = (Level(name="zone", share_permille=500), Level(name="district", share_permille=500))
    others = [
        asked(charter=changed(mechanism="discrete-laplace")),
        asked(charter=changed(levels=halves)),
        asked(charter=changed(levels=halves[::-1])),
        asked(product="residents"),
        asked(day=LONG),
        asked(revision=1),
        asked(charter=charter_of(ZONING, version=4)),
        asked(charter=charter_of(ZONING, sigma_grid_milli=1000)),
    ]
    assert asked() == asked()
    assert len({asked(), *others}) == 1 + len(others)


def test_an_order_survives_its_own_bytes_and_keeps_its_release() -> None:
    order = TaskOrder(
        network="testnet",
        operator="alpha",
        nonce="0f" * 16,
        charter=CHARTER.digest(),
        algorithm="a" * 64,
        terms=terms_of(CHARTER, ZONING, "residents", (PLAIN, LONG), 0),
    )
    again = TaskOrder.from_bytes(order.to_bytes(), "the task order")
    assert again == order
    assert again.terms.release_id() == order.terms.release_id()


@pytest.mark.parametrize("nonce", ["", "0" * 31, "0" * 33, "G" * 32, "A" * 32, "0" * 32 + "\n"])
def test_a_nonce_is_128_bits_in_lower_case(nonce: str) -> None:
    order = {
        "network": "testnet",
        "operator": "alpha",
        "nonce": nonce,
        "charter": "0" * 64,
        "algorithm": "0" * 64,
        "terms": terms_of(CHARTER, ZONING, "presence", (PLAIN, PLAIN), 0).model_dump(mode="json"),
    }
    with pytest.raises(UsageProblem, match="nonce"):
        TaskOrder.from_bytes(json.dumps(order).encode(), "the task order")
