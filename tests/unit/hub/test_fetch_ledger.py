"""An operator's node gets back what it has published of its own ledger, and of nobody else's."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from hub.bell import Bell
from hub.callers import caller
from hub.chain import links_of
from hub.federation import Federation
from hub.store import Store
from privacy.ledger.entry import head_after
from quorate.contract import statements
from quorate.contract.identity import OPERATOR, Identity
from quorate.contract.signing import countersigned, from_json, signed, to_json, verified
from quorate.contract.statements import HEAD_TYPE, MOST_ENTRIES, Head, fitting
from quorate.v1 import federation_pb2 as fed
from tests.keys import HUB, key_for
from tests.support_hub import NETWORK, small_agreement
from tests.unit.hub.test_ledgers import WHOLE, head_of

OWN = small_agreement()


def publish(store: Store, first: int, last: int) -> None:
    """Have "east" publish some of its entries under a signed head, as the hub keeps it."""
    head = head_of(WHOLE, last)
    statement = countersigned(signed(HEAD_TYPE, head.to_bytes(), key_for("east")), key_for(HUB))
    store.publish(head, links_of(WHOLE[first:last]), to_json(statement))


def fetch(store: Store, operator: str, after: int = 0, most: int = 0) -> fed.FetchLedgerResponse:
    """Ask the hub as a node of an operator would."""
    federation = Federation(OWN, store, Bell(), cast("Any", None), lease_seconds=60)

    async def ask() -> fed.FetchLedgerResponse:
        caller.set(Identity(NETWORK, OPERATOR, operator))
        request = fed.FetchLedgerRequest(after=after, most=most)
        return await federation.FetchLedger(request, cast("Any", None))

    return asyncio.run(ask())


def stated(answer: fed.FetchLedgerResponse) -> Head:
    keys = {"east": OWN.charter.keys.operators["east"], "the hub": OWN.charter.keys.hub}
    return Head.from_bytes(verified(answer.head, HEAD_TYPE, keys, "the head"), "the head")


def test_a_node_gets_what_it_has_published_under_both_signatures(store: Store) -> None:
    publish(store, 0, 5)
    answer = fetch(store, "east", after=2)
    assert list(answer.entries) == WHOLE[2:5]
    assert stated(answer) == head_of(WHOLE, 5)
    kept = store.published_head("east", 5)
    assert kept is not None
    assert answer.head == from_json(kept, "the head")


def test_pages_follow_each_other_and_have_a_head_where_one_was_published(store: Store) -> None:
    publish(store, 0, 3)
    publish(store, 3, 8)
    pages = [fetch(store, "east", after, most=3) for after in (0, 3, 6)]
    assert [entry for page in pages for entry in page.entries] == WHOLE
    assert [page.HasField("head") for page in pages] == [True, False, True]
    assert [stated(page).sequence for page in (pages[0], pages[2])] == [3, 8]


def test_after_the_end_there_is_nothing(store: Store) -> None:
    assert fetch(store, "east") == fed.FetchLedgerResponse()
    publish(store, 0, 3)
    for after in (3, 4, 2**53, 2**64 - 1):
        assert fetch(store, "east", after) == fed.FetchLedgerResponse()


def test_the_ledger_of_another_operator_is_as_unknown_as_none(store: Store) -> None:
    publish(store, 0, 5)
    for operator in ("west", "north", "nobody"):
        assert fetch(store, operator) == fed.FetchLedgerResponse()


def test_a_copy_that_begins_after_what_was_pruned_is_told_from_there(store: Store) -> None:
    publish(store, 4, 6)
    assert list(fetch(store, "east").entries) == WHOLE[4:6]


def test_a_page_has_so_many_entries_and_bytes_that_it_fits_into_a_message(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, 0, 8)
    assert len(fetch(store, "east", most=2**32 - 1).entries) == 8 <= MOST_ENTRIES
    for room, fits in ((len(WHOLE[0]) - 1, 1), (sum(map(len, WHOLE[:3])), 3), (sum(map(len, WHOLE)), 8)):
        monkeypatch.setattr(statements, "MOST_BYTES", room)
        assert len(fetch(store, "east").entries) == fits


def test_as_many_entries_as_fit_are_sent_and_one_at_least() -> None:
    most = statements.MOST_BYTES
    assert [fitting(lengths) for lengths in ([1], [most, 1], [most + 1, 1], [most - 1, 1, 1])] == [1, 1, 1, 2]


def test_what_is_given_back_is_one_chain_up_to_its_head(store: Store) -> None:
    publish(store, 0, 8)
    answer = fetch(store, "east", after=3)
    assert [link.head for link in links_of(list(answer.entries))][-1] == stated(answer).head
    assert head_after(answer.entries[-1]) == stated(answer).head
