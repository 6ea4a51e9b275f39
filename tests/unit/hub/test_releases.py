"""Opening releases, and ending them when enough operators answered or the time is over."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import date, timedelta

import pyarrow as pa
import pytest

from hub.errors import HubRefusal
from hub.estimation.table import SCHEMA
from hub.life import COLLECTING, COMMITTED, ESTIMATED, INQUORATE, LATE, OFFERED, REFUSED
from hub.opening import open_release
from hub.releases import advance
from hub.store import Store
from privacy.errors import UsageProblem
from quorate.contract.canonical import digest
from quorate.contract.order import TaskOrder
from quorate.contract.payload import encode
from tests.support_hub import (
    ALGORITHM,
    DAY,
    MAY,
    OPERATORS,
    PRESENCE_RHO,
    Kept,
    accept,
    answer,
    entry_for,
    judged,
    next_order,
    noised_vector,
    publication,
    put_chunk,
    receipt_in,
    refuse,
    small_agreement,
    terms_in,
)

OWN = small_agreement()
ID = "presence-2026-05-04-2026-05-04-r0"


def open_day(store: Store, day: date = DAY, revision: int = 0) -> str:
    return open_release(OWN, store, "presence", (day, day), revision)


def order_of(store: Store, operator: str) -> TaskOrder:
    payload = next_order(store, operator)
    assert payload is not None
    order = TaskOrder.from_bytes(payload, "the order")
    assert order.to_bytes() == payload, "an order travels as canonical bytes"
    return order


def let_time_pass(kept: Kept) -> None:
    """Put every deadline into the past."""
    kept.execute("UPDATE release SET deadline = 0")


def estimates(store: Store, release_id: str) -> pa.Table:
    data = store.estimates(release_id)
    assert data is not None
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()


def states(store: Store, release_id: str) -> list[str]:
    return [state for _operator, state, _refusal in store.view(release_id).tasks]


# --- opening ----------------------------------------------------------------------------------------------


def test_a_release_has_one_order_for_each_operator_on_the_charters_terms(store: Store) -> None:
    assert open_day(store) == ID
    assert store.view(ID).tasks == tuple((operator, OFFERED, "") for operator in OPERATORS)
    found = [order_of(store, operator) for operator in OPERATORS]
    for operator, order in zip(OPERATORS, found, strict=True):
        assert (order.network, order.operator) == ("small", operator)
        assert order.charter == OWN.charter.digest()
        assert order.algorithm == ALGORITHM
        assert order.terms == terms_in(OWN, "presence", DAY)
        # 24/(2·.02) = 600 = 24.49²; on the grid of hundredths 24.5.
        assert [level.scale_milli for level in order.terms.levels] == [24_500]
        assert order.terms.by_period == PRESENCE_RHO
    assert len({order.nonce for order in found}) == 3


def test_opening_again_returns_the_same_release_with_the_same_orders(store: Store) -> None:
    open_day(store)
    before = [next_order(store, operator) for operator in OPERATORS]
    assert open_day(store) == ID
    assert [next_order(store, operator) for operator in OPERATORS] == before
    assert len(store.releases()) == 1


def test_opening_an_ended_release_again_does_not_measure_again(store: Store) -> None:
    open_day(store)
    for operator in OPERATORS:
        answer(OWN, store, operator)
    advance(OWN, store)
    before = store.estimates(ID)
    assert open_day(store) == ID
    assert store.view(ID).state == ESTIMATED
    assert store.estimates(ID) == before
    assert [next_order(store, operator) for operator in OPERATORS] == [None] * 3


def test_a_revision_corrects_the_one_before_it_and_names_it(store: Store) -> None:
    with pytest.raises(HubRefusal, match="there is no release presence-2026-05-04-2026-05-04-r0"):
        open_day(store, revision=1)
    assert store.releases() == []
    told = []
    for revision in (0, 1):
        release = open_day(store, revision=revision)
        for operator in OPERATORS:
            answer(OWN, store, operator)
        advance(OWN, store)
        told.append(estimates(store, release).schema.metadata)
    second = ID.replace("r0", "r1")
    assert [(found[b"release"], found[b"corrects"]) for found in told] == [
        (ID.encode(), b""),
        (second.encode(), ID.encode()),
    ]
    with pytest.raises(HubRefusal, match="there is no release presence-2026-05-04-2026-05-04-r2"):
        open_day(store, revision=3)


def test_another_revision_day_or_product_is_another_release(store: Store) -> None:
    names = {
        open_day(store),
        open_day(store, revision=1),
        open_day(store, DAY + timedelta(days=1)),
        open_release(OWN, store, "residents", MAY, 0),
        open_release(OWN, store, "residents", (DAY, DAY), 0),
    }
    assert names == {
        ID,
        "presence-2026-05-04-2026-05-04-r1",
        "presence-2026-05-05-2026-05-05-r0",
        "residents-2026-05-01-2026-05-31-r0",
        "residents-2026-05-04-2026-05-04-r0",
    }
    assert len(store.releases()) == 5


def test_the_hub_waits_as_long_as_the_charter_says(store: Store, kept: Kept) -> None:
    before = time.time()
    open_day(store)
    after = time.time()
    ((deadline,),) = kept.execute("SELECT deadline FROM release")
    assert before + 3600 <= deadline <= after + 3600


@pytest.mark.parametrize(
    "days",
    [
        (date(2025, 12, 31), date(2025, 12, 31)),
        (date(2027, 1, 1), date(2027, 1, 1)),
        (date.min, date.min),
        (date.max, date.max),
    ],
    ids=str,
)
@pytest.mark.parametrize("product", ["presence", "residents"])
def test_a_day_without_a_budget_is_refused(store: Store, product: str, days: tuple[date, date]) -> None:
    with pytest.raises(UsageProblem, match="no budget outside 2026-01-01 to 2026-12-31") as caught:
        open_release(OWN, store, product, days, 0)
    assert caught.value.means == "a day that the charter does not name has budget zero"
    assert caught.value.todo == "ask for days that it covers"
    assert store.releases() == []


@pytest.mark.parametrize(
    "days",
    [
        (date(2025, 12, 25), date(2026, 1, 5)),
        (date(2025, 12, 31), date(2026, 1, 1)),
        (date(2026, 12, 25), date(2027, 1, 1)),
        (date.max - timedelta(days=30), date.max),
        (date.min, date.min + timedelta(days=30)),
    ],
    ids=str,
)
def test_a_period_that_leaves_the_budgets_days_is_refused(store: Store, days: tuple[date, date]) -> None:
    with pytest.raises(UsageProblem, match="no budget outside"):
        open_release(OWN, store, "residents", days, 0)
    assert store.releases() == []


@pytest.mark.parametrize(
    ("product", "days", "what"),
    [
        ("flows", (DAY, DAY), "the charter has no product called flows"),
        ("presence", (DAY, DAY + timedelta(days=1)), "presence is released for up to 1 day"),
        ("residents", (MAY[0], MAY[1] + timedelta(days=1)), "residents is released for up to 31 day"),
        ("residents", (MAY[1], MAY[0]), "before it begins on"),
    ],
)
def test_what_the_charter_does_not_allow_is_refused(
    store: Store, product: str, days: tuple[date, date], what: str
) -> None:
    with pytest.raises(UsageProblem, match=what):
        open_release(OWN, store, product, days, 0)
    assert store.releases() == []


# --- ending -----------------------------------------------------------------------------------------------


def test_a_release_is_estimated_when_every_operator_answered(store: Store) -> None:
    open_day(store)
    assert advance(OWN, store) == []
    for operator in OPERATORS:
        assert store.view(ID).state == COLLECTING
        receipt = receipt_in(answer(OWN, store, operator))
        assert (receipt.network, receipt.operator) == ("small", operator)
    assert advance(OWN, store) == [ID]
    assert store.view(ID).state == ESTIMATED
    table = estimates(store, ID)
    assert table.schema == SCHEMA
    assert table.num_rows == (5 + 3) * 24, "zones and districts by hour"
    assert set(table["operators"].to_pylist()) == {3}
    assert set(table["rho"].to_pylist()) == {PRESENCE_RHO}
    assert set(table["obs_status"].to_pylist()) == {"E"}
    by_area = dict(zip(table["ref_area"].to_pylist(), table["estimate"].to_pylist(), strict=True))
    assert by_area["B1"] == pytest.approx(1400, rel=0.01), "persons, not subscribers"


def test_advancing_again_changes_nothing(store: Store) -> None:
    open_day(store)
    for operator in OPERATORS:
        answer(OWN, store, operator)
    advance(OWN, store)
    before = store.estimates(ID)
    assert advance(OWN, store) == []
    assert store.estimates(ID) == before


def test_one_refusal_leaves_an_estimate_of_the_two_others(store: Store) -> None:
    open_day(store)
    answer(OWN, store, "east")
    refuse(store, "north", "DATA_UNAVAILABLE")
    assert advance(OWN, store) == [], "the third may still come"
    answer(OWN, store, "west")
    assert advance(OWN, store) == [ID]
    assert store.view(ID).tasks == (
        ("east", COMMITTED, ""),
        ("north", REFUSED, "DATA_UNAVAILABLE"),
        ("west", COMMITTED, ""),
    )
    table = estimates(store, ID)
    assert set(table["operators"].to_pylist()) == {2}
    assert set(table["conf_status"].to_pylist()) == {"F"}
    total = sum(table["estimate"].to_pylist()[: 5 * 24])
    assert total == pytest.approx(24 * 4000, abs=0.05 * 5 * 24), "a missing operator is not zero"


def test_a_release_is_inquorate_as_soon_as_too_few_still_can(store: Store) -> None:
    open_day(store)
    refuse(store, "east")
    refuse(store, "north")
    assert advance(OWN, store) == [ID]
    assert (store.view(ID).state, store.estimates(ID)) == (INQUORATE, None)
    assert next_order(store, "west") is None, "nobody is asked in vain"
    assert states(store, ID) == [REFUSED, REFUSED, OFFERED]


def test_at_the_deadline_those_who_answered_are_estimated(store: Store, kept: Kept) -> None:
    open_day(store)
    answer(OWN, store, "east")
    answer(OWN, store, "west")
    assert advance(OWN, store) == []
    let_time_pass(kept)
    assert advance(OWN, store) == [ID]
    assert store.view(ID).state == ESTIMATED
    assert set(estimates(store, ID)["operators"].to_pylist()) == {2}
    assert states(store, ID) == [COMMITTED, OFFERED, COMMITTED]


def test_at_the_deadline_one_answer_of_two_needed_is_inquorate(store: Store, kept: Kept) -> None:
    open_day(store)
    answer(OWN, store, "east")
    let_time_pass(kept)
    assert advance(OWN, store) == [ID]
    assert (store.view(ID).state, store.estimates(ID)) == (INQUORATE, None)


def test_a_charter_that_needs_every_operator_ends_at_the_first_refusal(store: Store) -> None:
    own = small_agreement(publication=publication(min_operators=3))
    release_id = open_release(own, store, "presence", (DAY, DAY), 0)
    refuse(store, "west")
    assert advance(own, store) == [release_id]
    assert store.view(release_id).state == INQUORATE


def test_one_operator_alone_is_estimated_only_where_the_charter_lets_it_and_not_called_free(
    store: Store,
) -> None:
    own = small_agreement(publication=publication(min_operators=1))
    release_id = open_release(own, store, "presence", (DAY, DAY), 0)
    refuse(store, "east")
    refuse(store, "north")
    answer(own, store, "west")
    assert advance(own, store) == [release_id]
    table = estimates(store, release_id)
    assert set(table["operators"].to_pylist()) == {1}
    assert set(table["conf_status"].to_pylist()) == {"N"}


def test_releases_end_each_for_itself(store: Store) -> None:
    first, second, third = open_day(store), open_day(store, revision=1), open_day(store, revision=2)
    for operator in OPERATORS:
        answer(OWN, store, operator)
    asked = {digest(next_order(store, operator) or b"") for operator in OPERATORS}
    assert len(asked) == 3
    refuse(store, "east")
    refuse(store, "west")
    assert sorted(advance(OWN, store)) == sorted([first, second])
    assert [store.view(name).state for name in (first, second, third)] == [ESTIMATED, INQUORATE, COLLECTING]


@pytest.mark.parametrize("stuck", [0, 1, 2])
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE contribution SET result_sha256 = '00' WHERE order_digest = :order",
        "UPDATE task SET payload = :nothing WHERE order_digest = :order",
        "DELETE FROM contribution WHERE order_digest = :order",
    ],
    ids=["contribution", "order", "no contribution"],
)
def test_a_release_that_cannot_be_ended_does_not_keep_the_others(
    store: Store, kept: Kept, caplog: pytest.LogCaptureFixture, stuck: int, damage: str
) -> None:
    own = small_agreement(publication=publication(min_operators=1))
    releases = [open_release(own, store, "presence", (DAY, DAY), revision) for revision in range(3)]
    for _ in releases:
        refuse(store, "east")
        refuse(store, "north")
        answer(own, store, "west")
    query = "SELECT order_digest, payload FROM task WHERE release_id = :release AND operator = 'west'"
    ((order, payload),) = kept.execute(query, release=releases[stuck])
    query = "SELECT result_sha256, length, entry, receipt FROM contribution WHERE order_digest = :order"
    (saved,) = kept.execute(query, order=order)
    kept.execute(damage, order=order, **({"nothing": b"\0"} if ":nothing" in damage else {}))

    others = sorted(set(releases) - {releases[stuck]})
    assert sorted(advance(own, store)) == others
    expected = dict.fromkeys(others, ESTIMATED) | {releases[stuck]: COLLECTING}
    assert {view.release_id: view.state for view in store.releases()} == expected
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("quorate.hub", "ERROR", f"release {releases[stuck]} cannot be ended")
    ]
    assert caplog.records[0].exc_info, "the log says why"
    assert advance(own, store) == [], "it stays as it is"

    kept.execute(
        "UPDATE task SET payload = :payload WHERE order_digest = :order", payload=payload, order=order
    )
    kept.execute("DELETE FROM contribution WHERE order_digest = :order", order=order)
    kept.execute(
        "INSERT INTO contribution (order_digest, result_sha256, length, entry, receipt) "
        "VALUES (:order, :sha256, :length, :entry, :receipt)",
        order=order,
        **dict(zip(("sha256", "length", "entry", "receipt"), saved, strict=True)),
    )
    assert advance(own, store) == [releases[stuck]], "once it is repaired, it ends"
    assert set(estimates(store, releases[stuck])["operators"].to_pylist()) == {1}


@pytest.mark.parametrize("ended_by", ["deadline", "refusals"])
def test_an_answer_after_the_end_is_late_has_a_receipt_and_is_in_no_estimate(
    store: Store, kept: Kept, ended_by: str
) -> None:
    own = small_agreement(publication=publication(min_operators=2 if ended_by == "refusals" else 1))
    release_id = open_release(own, store, "presence", (DAY, DAY), 0)
    order = next_order(store, "west")
    assert order is not None
    if ended_by == "refusals":
        refuse(store, "east")
        refuse(store, "north")
    else:
        answer(own, store, "east")
        let_time_pass(kept)
    assert advance(own, store) == [release_id]
    before = store.view(release_id).state, store.estimates(release_id)

    name, terms = digest(order), TaskOrder.from_bytes(order, "the order").terms
    data = encode(noised_vector(own, terms))
    assert put_chunk(store, "west", name, 0, data) == len(data)
    contribution = judged(own, order, data, entry_for(terms, data).to_bytes())
    receipt = receipt_in(accept(store, "west", contribution))
    assert (receipt.operator, receipt.order) == ("west", name)
    assert receipt.result_sha256 == digest(data)

    assert states(store, release_id) == [
        COMMITTED if ended_by == "deadline" else REFUSED,
        OFFERED if ended_by == "deadline" else REFUSED,
        LATE,
    ]
    assert advance(own, store) == []
    assert (store.view(release_id).state, store.estimates(release_id)) == before
    if ended_by == "deadline":
        assert set(estimates(store, release_id)["operators"].to_pylist()) == {1}


def test_residents_of_a_month_are_estimated_with_the_larger_cost(store: Store) -> None:
    release_id = open_release(OWN, store, "residents", MAY, 0)
    for operator in OPERATORS:
        answer(OWN, store, operator)
    assert advance(OWN, store) == [release_id]
    table = estimates(store, release_id)
    assert table.num_rows == 5 + 3
    assert set(table["rho"].to_pylist()) == {10_000_000}, "one day can move a home: twice .005"


def test_a_restart_between_answers_and_estimates_loses_nothing(kept: Kept) -> None:
    with closing(kept.store()) as store:
        open_day(store)
        for operator in OPERATORS:
            answer(OWN, store, operator)
    with closing(kept.store()) as store:
        assert advance(OWN, store) == [ID]
        assert set(estimates(store, ID)["operators"].to_pylist()) == {3}
