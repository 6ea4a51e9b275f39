"""Releases in two rounds: anchors first, then every operator is asked with weights of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from hub.config import Agreement, Register
from hub.errors import NotFound
from hub.estimation.presence import in_fixed_point
from hub.failures import Failures
from hub.life import COLLECTING, ESTIMATED, FAILED, INQUORATE, OFFERED, PLANNED
from hub.opening import open_release
from hub.releases import advance, go_on
from hub.store import Store
from privacy.errors import UsageProblem
from privacy.levels import noised_levels
from quorate.contract.canonical import digest
from quorate.contract.order import TaskOrder, keyset_for
from quorate.contract.payload import encode
from quorate.contract.rounds import first_round_of
from tests.support_hub import (
    DAY,
    OPERATORS,
    PHONE_OWNERS,
    POPULATION,
    PRODUCTS,
    Kept,
    accept,
    entry_for,
    judged,
    next_order,
    publication,
    put_chunk,
    refuse,
    small_agreement,
    small_charter,
)

ANCHORS, WEIGHTED = PRODUCTS[2:]
FIRST, SECOND = "anchors-2026-05-04-2026-05-04-r0", "weighted-2026-05-04-2026-05-04-r0"
#: A thousand times the small register.
PERSONS, OWNERS = ([1000 * count for count in counts] for counts in (POPULATION, PHONE_OWNERS))
#: What part of the phone owners are subscribers of each operator.
SHARES = {"east": 0.4, "north": 0.35, "west": 0.25}


def agreement(*products: object, least: int = 2) -> Agreement:
    own = small_agreement(
        products=products or (ANCHORS, WEIGHTED), publication=publication(min_operators=least)
    )
    return replace(own, register=Register(np.array(PERSONS, float), np.array(OWNERS, float)))


OWN = agreement()


def open_weighted(store: Store, own: Agreement = OWN, revision: int = 0) -> str:
    return open_release(own, store, "weighted", (DAY, DAY), revision)


def order_of(store: Store, operator: str) -> TaskOrder:
    payload = next_order(store, operator)
    assert payload is not None, f"{operator} has no order"
    return TaskOrder.from_bytes(payload, "the order")


def counts_of(order: TaskOrder) -> NDArray[np.int64]:
    """Return what an operator counts whose subscribers all stay at home."""
    share = SHARES[order.operator]
    anchored = np.rint(np.array(OWNERS) * share).astype(np.int64)
    if order.weights is None:
        return np.append(anchored, 7)
    present = np.repeat((anchored * np.array(order.weights[:5]))[:, None], 24, axis=1)
    return np.append(present.ravel(), np.zeros(24, np.int64))


def answer(own: Agreement, store: Store, operator: str) -> None:
    """Answer the next order of an operator with noise."""
    order = order_of(store, operator)
    exact, terms = counts_of(order), order.terms
    keyset = keyset_for(own.charter, own.zoning, terms)
    data = encode(noised_levels([exact[place] for _name, place, _shape in keyset.parts()], terms)[0])
    name = digest(order.to_bytes())
    put_chunk(store, operator, name, 0, data)
    accept(store, operator, judged(own, order.to_bytes(), data, entry_for(terms, data).to_bytes()))


def first_round(store: Store, operators: Sequence[str] = OPERATORS, own: Agreement = OWN) -> None:
    open_weighted(store, own)
    for operator in OPERATORS:
        if operator in operators:
            answer(own, store, operator)
        else:
            refuse(store, operator)
    advance(own, store)


def estimates(store: Store, release_id: str) -> pa.Table:
    data = store.estimates(release_id)
    assert data is not None
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()


def state_of(store: Store, release_id: str) -> str:
    return store.view(release_id).state


# --- the charter ------------------------------------------------------------------------------------------


def test_a_weighted_product_comes_after_the_anchors_of_the_same_night() -> None:
    assert first_round_of(OWN.charter, WEIGHTED) == ANCHORS
    assert first_round_of(OWN.charter, ANCHORS) is None


@pytest.mark.parametrize(
    "products",
    [
        (WEIGHTED,),
        (WEIGHTED, ANCHORS.model_copy(update={"parameters": {"night_hours": [1, 2]}})),
        (WEIGHTED, ANCHORS, ANCHORS.model_copy(update={"product_id": "again"})),
    ],
    ids=["none", "another night", "two"],
)
def test_a_charter_whose_weighted_product_has_no_single_first_round_is_refused(
    products: tuple[object, ...],
) -> None:
    with pytest.raises(UsageProblem, match=r"weighted.*anchors-by-day") as caught:
        first_round_of(small_charter(products=products), WEIGHTED)
    assert "would never begin" in str(caught.value.means)


# --- from one round to the next ---------------------------------------------------------------------------


def test_a_weighted_release_opens_the_anchors_and_waits_for_them(store: Store) -> None:
    assert open_weighted(store) == SECOND
    assert (state_of(store, FIRST), state_of(store, SECOND)) == (COLLECTING, PLANNED)
    assert [order_of(store, operator).terms.product for operator in OPERATORS] == ["anchors"] * 3
    assert store.view(SECOND).tasks == ()
    assert go_on(OWN, store) == [], "the first round has not ended"
    assert open_weighted(store) == SECOND, "asking again opens nothing"
    assert len(store.releases()) == 2


def test_after_the_first_round_every_operator_is_asked_with_weights_of_its_own(store: Store) -> None:
    first_round(store)
    assert state_of(store, SECOND) == PLANNED
    assert go_on(OWN, store) == [SECOND]
    assert go_on(OWN, store) == [], "once"
    assert state_of(store, SECOND) == COLLECTING
    orders = {operator: order_of(store, operator) for operator in OPERATORS}
    assert {order.terms.product for order in orders.values()} == {"weighted"}
    for operator, order in orders.items():
        assert order.weights is not None
        # Each of its subscribers stands for 1/share phone owners, and for those without a phone who move like them; σ
        # of the anchors is 10 beside 25,000 and more.
        part = OWN.charter.calibration.others_moving_permille / 1000
        wanted = (np.array(OWNERS) + part * (np.array(PERSONS) - OWNERS)) / OWNERS / SHARES[operator]
        assert order.weight_one is not None
        factors = np.array(order.weights[:5]) / order.weight_one
        assert factors == pytest.approx(wanted, rel=0.002)
        # The largest weight is nearly the agreed one: so the noise in persons is little.
        assert 10_000 / 2**0.5 - 5 < max(order.weights) <= 10_000
        assert order.weights[5] == 0, "who has no anchor stands for no zone"
    assert len({order.terms.weights for order in orders.values()}) == 3


def test_estimates_are_of_all_persons_and_their_intervals_hold_them(store: Store) -> None:
    first_round(store, own=agreement(least=1))
    go_on(OWN, store)
    for operator in OPERATORS:
        answer(OWN, store, operator)
    assert advance(OWN, store) == [SECOND]
    table = estimates(store, SECOND)
    zones = np.array(table["estimate"].to_pylist()[: 5 * 24], dtype=float).reshape(5, 24)
    assert zones.mean(axis=1) == pytest.approx(PERSONS, rel=0.02)
    rows = table.to_pylist()[: 5 * 24]
    held = [
        row["lower_95"] <= PERSONS[place // 24] <= row["upper_95"]
        for place, row in enumerate(rows)
        if row["lower_95"] is not None
    ]
    assert len(held) == 120
    assert np.mean(held) > 0.85


def test_an_operator_without_a_first_answer_is_not_asked_for_a_second(store: Store) -> None:
    first_round(store, ("east", "west"))
    go_on(OWN, store)
    assert store.view(SECOND).tasks == (("east", OFFERED, ""), ("west", OFFERED, ""))
    assert next_order(store, "north") is None


def test_a_refusal_after_the_weights_leaves_an_estimate_of_the_others(store: Store) -> None:
    first_round(store)
    go_on(OWN, store)
    for operator in ("east", "north"):
        answer(OWN, store, operator)
    refuse(store, "west")
    assert advance(OWN, store) == [SECOND]
    table = estimates(store, SECOND)
    assert set(table["operators"].to_pylist()) == {2}
    zones = np.array(table["estimate"].to_pylist()[: 4 * 24], dtype=float).reshape(4, 24)
    assert zones.mean(axis=1) == pytest.approx(PERSONS[:4], rel=0.03), "not the two operators' share of it"


def test_an_inquorate_first_round_ends_the_second(store: Store) -> None:
    first_round(store, ("east",))
    assert state_of(store, FIRST) == INQUORATE
    assert go_on(OWN, store) == [SECOND]
    assert state_of(store, SECOND) == INQUORATE
    assert store.planned() == []


def test_an_anchors_release_that_is_there_already_is_not_measured_again(store: Store) -> None:
    open_release(OWN, store, "anchors", (DAY, DAY), 0)
    for operator in OPERATORS:
        answer(OWN, store, operator)
    advance(OWN, store)
    open_weighted(store)
    assert go_on(OWN, store) == [SECOND]
    assert len(store.releases()) == 2
    assert order_of(store, "east").terms.product == "weighted"


def test_a_revision_begins_with_a_revision_of_the_anchors(store: Store) -> None:
    first_round(store)
    go_on(OWN, store)
    for operator in OPERATORS:
        answer(OWN, store, operator)
    advance(OWN, store)
    assert open_weighted(store, revision=1) == SECOND.replace("r0", "r1")
    assert order_of(store, "east").terms.revision == 1
    assert order_of(store, "east").terms.product == "anchors"


def test_two_hubs_offer_a_second_round_once(kept: Kept) -> None:
    with closing(kept.store()) as one, closing(kept.store()) as other:
        first_round(one)
        assert [go_on(OWN, hub) for hub in (one, other)] == [[SECOND], []]
        assert len(one.view(SECOND).tasks) == 3
        (asked,) = [other.asked(SECOND)]
        assert other.offer(asked.release_id, [], 1.0) is False, "it was planned when the other looked"


def test_weights_are_made_of_answers_in_time_only(store: Store, kept: Kept) -> None:
    open_weighted(store)
    late = order_of(store, "west")
    for operator in ("east", "north"):
        answer(OWN, store, operator)
    kept.execute("UPDATE release SET deadline = 0")
    kept.execute("UPDATE task SET lease_until = 0")
    assert advance(OWN, store) == [FIRST]
    data = encode(counts_of(late))
    put_chunk(store, "west", digest(late.to_bytes()), 0, data)
    accept(
        store,
        "west",
        judged(OWN, late.to_bytes(), data, entry_for(late.terms, data).to_bytes()),
    )
    go_on(OWN, store)
    assert [operator for operator, _state, _refusal in store.view(SECOND).tasks] == ["east", "north"]


# --- an operator's calibration factors ---------------------------------------------------------------------


def test_an_operator_gets_its_own_weights_back_and_nobody_elses(store: Store) -> None:
    first_round(store)
    go_on(OWN, store)
    found = {
        operator: TaskOrder.from_bytes(store.weighted_order(operator, SECOND), "the order")
        for operator in OPERATORS
    }
    assert {operator: order.operator for operator, order in found.items()} == {
        name: name for name in OPERATORS
    }
    for operator, order in found.items():
        assert order == order_of(store, operator)


@pytest.mark.parametrize(
    "release", [FIRST, "weighted-2026-05-05-2026-05-05-r0"], ids=["unweighted", "unknown"]
)
def test_weights_of_a_release_without_any_are_not_found(store: Store, release: str) -> None:
    first_round(store)
    with pytest.raises(NotFound, match="no weights were made for operator east"):
        store.weighted_order("east", release)


def test_another_day_is_another_pair_of_releases(store: Store) -> None:
    open_weighted(store)
    open_release(OWN, store, "weighted", (DAY + timedelta(days=1),) * 2, 0)
    assert len(store.planned()) == 2
    assert state_of(store, SECOND) == PLANNED
    assert ESTIMATED not in {release.state for release in store.releases()}


# --- releases that cannot be ended, and revisions that would tell ------------------------------------------


def test_a_release_of_which_no_estimates_can_be_made_fails_in_the_end_and_so_does_its_second_round(
    store: Store, kept: Kept
) -> None:
    open_weighted(store)
    for operator in OPERATORS:
        answer(OWN, store, operator)
    kept.execute("UPDATE contribution SET result_sha256 = :lost", lost="0" * 64)
    failures = Failures()
    assert advance(OWN, store, failures) == []
    assert state_of(store, FIRST) == COLLECTING, "it is tried again"
    kept.execute("UPDATE release SET deadline = 0")
    failures.over(FIRST)
    assert advance(OWN, store, failures) == [FIRST]
    assert state_of(store, FIRST) == FAILED
    assert store.estimates(FIRST) is None
    assert go_on(OWN, store) == [SECOND]
    assert state_of(store, SECOND) == FAILED


def test_a_planned_release_whose_product_is_gone_fails_in_the_end(store: Store, kept: Kept) -> None:
    open_weighted(store)
    without = agreement(ANCHORS)
    failures = Failures()
    assert go_on(without, store, failures) == []
    assert state_of(store, SECOND) == PLANNED
    kept.execute("UPDATE release SET deadline = 0")
    assert go_on(without, store, failures) == [SECOND]
    assert state_of(store, SECOND) == FAILED


def test_a_revision_that_differs_by_one_operator_is_withheld(store: Store) -> None:
    def anchors(revision: int, answering: Sequence[str]) -> str:
        release = open_release(OWN, store, "anchors", (DAY, DAY), revision)
        for operator in OPERATORS:
            if operator in answering:
                answer(OWN, store, operator)
            else:
                refuse(store, operator)
        advance(OWN, store)
        return state_of(store, release)

    assert anchors(0, OPERATORS) == ESTIMATED
    assert anchors(1, ("east", "north")) == INQUORATE, "the difference would be west's own figures"
    assert anchors(2, OPERATORS) == ESTIMATED, "the one before was not published"
    assert anchors(3, ("east", "north")) == INQUORATE, "nor does one in between help"
    assert anchors(4, OPERATORS) == ESTIMATED


def test_too_few_operators_that_stand_for_somebody_end_the_second_round(store: Store) -> None:
    own = agreement(least=3)
    open_weighted(store, own)
    for operator in ("east", "north"):
        answer(own, store, operator)
    order = order_of(store, "west")
    data = encode(np.zeros(6, dtype=np.int64))
    put_chunk(store, "west", digest(order.to_bytes()), 0, data)
    accept(store, "west", judged(own, order.to_bytes(), data, entry_for(order.terms, data).to_bytes()))
    assert advance(own, store) == [FIRST]
    assert go_on(own, store) == [SECOND]
    assert state_of(store, SECOND) == INQUORATE


@pytest.mark.parametrize(
    ("factors", "largest", "parts"),
    [
        ([2.5, 2.0], 10_000, 4000),  # a thousand times √2⁴
        ([2.6, 2.0], 10_000, 2828),
        ([9.0, 2.0], 10_000, 1000),
        ([10.0, 2.0], 10_000, 1000),
        ([0.5, 0.2], 2**20, 2**20),
        ([0.0, 0.0], 10_000, 1000),
    ],
)
def test_weights_are_in_so_fine_parts_that_the_largest_one_is_nearly_the_agreed_one(
    factors: list[float], largest: int, parts: int
) -> None:
    found = in_fixed_point(np.array(factors), largest, 1000)
    assert found.one == parts
    assert max(found.value) <= largest
    assert np.array(found.value[:-1]) == pytest.approx(np.array(factors) * parts, abs=0.5)
    assert found.value[-1] == 0
