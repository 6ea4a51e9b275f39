"""What a node agrees to: an honest order, and none that differs from it in a single field."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from node.release.policy import Refusal, require_agreed
from node.statistics.registry import algorithms
from privacy.calculus import Budgets
from privacy.errors import UsageProblem
from privacy.sensitivity import Declaration
from privacy.terms import LevelTerms, Terms
from quorate.contract.order import TaskOrder
from quorate.v1 import federation_pb2 as pb
from tests.support_node import (
    FIRST_DAY,
    LAST_DAY,
    NAME,
    OTHER,
    POLICY_TOML,
    UNAVAILABLE,
    agreement,
    charter_of,
    config_text,
    order_of,
    zoning_of,
)

Path = tuple[str | int, ...]
OWN = agreement()
#: A whole period of each product, so that no day can be added to it.
PERIODS = {"presence": (LAST_DAY, LAST_DAY), "residents": (LAST_DAY - timedelta(days=6), LAST_DAY)}
#: The nonce is the hub's to choose; another revision is another release, charged in full.
FREE: tuple[Path, ...] = (("nonce",), ("terms", "revision"))


def honest(product: str, revision: int = 0) -> TaskOrder:
    return order_of(OWN, product, PERIODS[product], revision)


def refusal(order: TaskOrder, **changes: Any) -> Refusal:
    """Return why an order is refused; `changes` are of the agreement and of the installed code."""
    installed = changes.pop("installed", algorithms())
    with pytest.raises(Refusal) as caught:
        require_agreed(order, agreement(**changes), installed)
    assert caught.value.means == "the order is refused; nothing was computed, charged or sent"
    return caught.value


#: Fields of which an order has both or none.
TOGETHER = {("weights",), ("weight_one",)}


def leaves(value: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the path of everything in a document that is not a list or an object with something in it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inside = [leaf for key, below in items for leaf in leaves(below, (*at, key))]
    yield from inside or [at]


def others(value: Any) -> list[Any]:
    """Return other values of the same kind."""
    if isinstance(value, bool) or value is None:
        return ["0" * 64, [1], [1, 1, 1, 1], 1, 1000]
    if isinstance(value, int):
        return [value + 1, value - 1, value * 1000]
    if isinstance(value, dict):
        return [{"more": 1}]
    if len(value) == 64:
        return [value[::-1], "f" * 64]
    if value[:2] == "20":
        return [str(date.fromisoformat(value) + timedelta(days=days)) for days in (-400, -30, 30, 400)]
    return [value + "x", "presence-by-hour", "residents", "discrete-laplace"]


def mutants(order: TaskOrder, path: Path) -> list[TaskOrder]:
    """Return orders that differ at one place and are orders still."""
    found = []
    for value in others(at(json.loads(order.to_bytes()), path)):
        document = json.loads(order.to_bytes())
        at(document, path[:-1])[path[-1]] = value
        if path in TOGETHER:
            # One of them alone is no order.
            document |= {"weights": [1, 1, 1, 1], "weight_one": 1} | {path[-1]: value}
        if document == json.loads(order.to_bytes()):
            continue
        try:
            found.append(TaskOrder.from_bytes(json.dumps(document).encode(), "the order"))
        except UsageProblem:
            continue
    return found


def at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


PLACES = [
    (product, path)
    for product in PERIODS
    for path in leaves(json.loads(honest(product).to_bytes()))
    if path not in FREE
]


@pytest.mark.parametrize("product", sorted(PERIODS))
def test_an_honest_order_is_agreed_to_with_any_nonce_and_revision(product: str) -> None:
    for revision in (0, 1, 7):
        order = honest(product, revision).model_copy(update={"nonce": "ab" * 16})
        terms = require_agreed(TaskOrder.from_wire(order.to_bytes(), "the order"), OWN, algorithms())
        assert terms == order.terms


@pytest.mark.parametrize(
    ("product", "path"), PLACES, ids=[f"{product}-{'.'.join(map(str, path))}" for product, path in PLACES]
)
def test_an_order_that_differs_in_one_field_is_refused(product: str, path: Path) -> None:
    found = mutants(honest(product), path)
    assert found, "no other order can be written that differs here"
    for mutant in found:
        with pytest.raises(Refusal) as caught:
            require_agreed(mutant, OWN, algorithms())
        assert caught.value.reason == pb.REFUSAL_REASON_CHARTER_MISMATCH


def test_the_mutated_fields_are_all_fields_that_an_order_has() -> None:
    mutated = {part for _product, path in PLACES for part in path if isinstance(part, str)}
    models: tuple[type[BaseModel], ...] = (TaskOrder, Terms, Declaration, LevelTerms)
    assert {name for model in models for name in model.model_fields} - mutated == {"nonce", "revision"}


@pytest.mark.parametrize(
    "change",
    [
        lambda parameters: parameters.pop("min_nights"),
        lambda parameters: parameters.update(more=1),
        lambda parameters: parameters.update(min_nights="2"),
        lambda parameters: parameters.update(min_nights=None),
        lambda parameters: parameters["night_hours"].pop(),
        lambda parameters: parameters["night_hours"].append(6),
        lambda parameters: parameters["night_hours"].reverse(),
        # To Python these are equal to what the charter says; to a hash they are not.
        lambda parameters: parameters.update(night_hours=[False, True, 2, 3, 4, 5]),
        lambda parameters: parameters["night_hours"].__setitem__(0, False),
    ],
)
def test_an_order_with_other_parameters_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    order = honest("residents")
    parameters = deepcopy(order.terms.parameters)
    change(parameters)
    terms = order.terms.model_copy(update={"parameters": parameters})
    found = refusal(order.model_copy(update={"terms": terms}))
    assert found.reason == pb.REFUSAL_REASON_CHARTER_MISMATCH
    assert found.what == "the order's parameters is not the charter's"


@pytest.mark.parametrize(("first", "last"), [(-1, 0), (0, 1)])
def test_a_period_one_day_longer_than_the_charter_allows_is_refused(first: int, last: int) -> None:
    for product, (begin, end) in PERIODS.items():
        days = {"first_day": begin + timedelta(days=first), "last_day": end + timedelta(days=last)}
        order = honest(product)
        longer = order.model_copy(update={"terms": order.terms.model_copy(update=days)})
        assert refusal(longer).reason == pb.REFUSAL_REASON_CHARTER_MISMATCH


def test_a_shorter_period_is_another_order_and_agreed_to() -> None:
    begin, end = PERIODS["residents"]
    require_agreed(order_of(OWN, "residents", (begin + timedelta(days=1), end)), OWN, algorithms())


def test_a_level_more_or_less_is_refused() -> None:
    order = honest("presence")
    more = (*order.terms.levels, LevelTerms(name="district", share_permille=1, by_period=1, scale_milli=1))
    terms = order.terms.model_copy(update={"levels": more})
    assert (
        refusal(order.model_copy(update={"terms": terms})).what == "the order's levels is not the charter's"
    )


def test_a_smaller_noise_at_the_same_loss_is_refused_by_name() -> None:
    order = honest("presence")
    (level,) = order.terms.levels
    less = level.model_copy(update={"scale_milli": level.scale_milli - 10})
    terms = order.terms.model_copy(update={"levels": (less,)})
    found = refusal(order.model_copy(update={"terms": terms}))
    assert found.what == "the order's levels is not the charter's"


def test_noise_of_another_mechanism_is_refused_by_name() -> None:
    order = honest("presence")
    terms = order.terms.model_copy(update={"mechanism": "discrete-laplace"})
    found = refusal(order.model_copy(update={"terms": terms}))
    assert found.what == "the order's mechanism is not the charter's"


def test_the_order_of_another_operator_or_charter_is_refused_by_name() -> None:
    order = honest("presence")
    theirs = order.model_copy(update={"operator": OTHER})
    assert refusal(theirs).what == "the order is for another network or operator"
    newer = order.model_copy(update={"charter": charter_of(zoning_of(), version=4).digest()})
    assert refusal(newer).what == "the order is under another charter than the pinned one"


def test_code_that_the_charter_did_not_approve_is_refused() -> None:
    for product in PERIODS:
        installed = dict.fromkeys(algorithms(), "0" * 64)
        found = refusal(honest(product), installed=installed)
        assert found.reason == pb.REFUSAL_REASON_ALGORITHM_NOT_APPROVED
        assert refusal(honest(product), installed={}).reason == pb.REFUSAL_REASON_ALGORITHM_NOT_APPROVED


def test_code_is_not_approved_by_the_order_that_asks_for_it() -> None:
    order = honest("presence").model_copy(update={"algorithm": "0" * 64})
    installed = dict.fromkeys(algorithms(), "0" * 64)
    assert refusal(order, installed=installed).reason == pb.REFUSAL_REASON_CHARTER_MISMATCH


def test_a_product_that_the_policy_does_not_list_is_refused() -> None:
    policy = POLICY_TOML.replace('["residents", "presence"]', '["residents"]')
    found = refusal(honest("presence"), policy=policy)
    assert found.reason == pb.REFUSAL_REASON_POLICY
    require_agreed(honest("residents"), agreement(policy), algorithms())


@pytest.mark.parametrize(
    ("product", "first", "last"),
    [
        ("presence", UNAVAILABLE, UNAVAILABLE),
        ("presence", FIRST_DAY - timedelta(days=1), FIRST_DAY - timedelta(days=1)),
        ("presence", LAST_DAY + timedelta(days=1), LAST_DAY + timedelta(days=1)),
        ("residents", UNAVAILABLE - timedelta(days=2), UNAVAILABLE + timedelta(days=2)),
        ("residents", FIRST_DAY - timedelta(days=1), FIRST_DAY + timedelta(days=1)),
        ("residents", LAST_DAY, LAST_DAY + timedelta(days=1)),
    ],
)
def test_days_that_the_operator_does_not_offer_are_refused(product: str, first: date, last: date) -> None:
    found = refusal(order_of(OWN, product, (first, last)))
    assert found.reason == pb.REFUSAL_REASON_DATA_UNAVAILABLE


@pytest.mark.parametrize("product", sorted(PERIODS))
@pytest.mark.parametrize("day", [date(1, 1, 1), date(2025, 12, 31), date(2027, 1, 1), date(9999, 12, 31)])
def test_days_that_the_charter_does_not_cover_are_refused(product: str, day: date) -> None:
    order = honest(product)
    terms = order.terms.model_copy(update={"first_day": day, "last_day": day})
    found = refusal(order.model_copy(update={"terms": terms}))
    assert found.reason == pb.REFUSAL_REASON_CHARTER_MISMATCH


def test_a_period_without_a_day_is_refused() -> None:
    order = honest("residents")
    terms = order.terms.model_copy(update={"first_day": LAST_DAY, "last_day": LAST_DAY - timedelta(days=1)})
    found = refusal(order.model_copy(update={"terms": terms}))
    assert found.reason == pb.REFUSAL_REASON_CHARTER_MISMATCH


def test_the_first_reason_that_applies_is_told() -> None:
    """An order that is wrong in every respect gives its reasons one after the other."""
    nothing = POLICY_TOML.replace('["residents", "presence"]', "[]")
    nowhere = config_text((date(2020, 1, 1), date(2020, 1, 2)))
    order = honest("presence")
    wrong = order.model_copy(update={"operator": OTHER, "algorithm": "0" * 64})
    asked = {"policy": nothing, "config": nowhere, "installed": {}}
    assert refusal(wrong, **asked).what == "the order is for another network or operator"
    wrong = wrong.model_copy(update={"operator": NAME})
    assert refusal(wrong, **asked).what == "the order's algorithm is not the charter's"
    assert refusal(order, **asked).reason == pb.REFUSAL_REASON_ALGORITHM_NOT_APPROVED
    del asked["installed"]
    assert refusal(order, **asked).reason == pb.REFUSAL_REASON_POLICY
    del asked["policy"]
    assert refusal(order, **asked).reason == pb.REFUSAL_REASON_DATA_UNAVAILABLE
    require_agreed(order, OWN, algorithms())


def test_a_budget_is_not_the_policys_to_check() -> None:
    """Whether days have a budget left is decided by the ledger, inside the transaction that charges it."""
    spent = Budgets(day=1, month=1, first_day=FIRST_DAY, last_day=LAST_DAY)
    charter = agreement(budgets=spent)
    order = honest("presence").model_copy(update={"charter": charter.charter_digest})
    require_agreed(order, charter, algorithms())
