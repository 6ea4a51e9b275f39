"""Leases: one node at a time works at an order, and who is silent is replaced, on SQLite and on PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from threading import Thread

import pytest

from hub.errors import Conflict, LeaseLost, NotFound
from hub.leases import Leased
from hub.life import COMMITTED, LEASED, OFFERED, REFUSED
from hub.store import Store
from tests.support_hub import Kept, node_of, put_under
from tests.unit.hub.test_store import EAST, WEST, contribution, orders, release, tasks

LONG = 3600.0


@pytest.fixture
def store(kept: Kept) -> Iterator[Store]:
    with closing(kept.store()) as opened:
        assert opened.open_release(release("r"), orders())
        yield opened


def leased(store: Store, node: int = 0, seconds: float = LONG, operator: str = "east") -> Leased:
    found = store.acquire(operator, node, seconds)
    assert found is not None
    return found


def state(store: Store) -> str:
    return tasks(store)["east"][0]


def test_an_order_that_one_node_works_at_is_not_handed_to_another(store: Store) -> None:
    assert leased(store).order_digest == EAST
    assert store.acquire("east", 1, LONG) is None
    assert state(store) == LEASED
    assert leased(store, operator="west").order_digest == WEST, "another operator's order is its own"


def test_a_node_that_asks_again_gets_its_order_with_a_new_token(store: Store) -> None:
    """As after a restart: what it held before counts no more."""
    before, after = leased(store), leased(store)
    assert (before.payload, before.order_digest) == (after.payload, after.order_digest)
    assert before.token != after.token
    with pytest.raises(LeaseLost, match="not leased under this token"):
        put_under(store, "east", EAST, before.token, 0, b"abc")
    assert put_under(store, "east", EAST, after.token, 0, b"abc") == 3


def test_an_order_whose_node_is_silent_is_taken_over(store: Store) -> None:
    slow = leased(store, seconds=0)
    assert state(store) == OFFERED, "nobody has said lately that it works"
    quick = leased(store, node=1)
    assert quick.payload == slow.payload
    for call in (
        lambda: store.renew("east", EAST, slow.token, "computing", LONG),
        lambda: put_under(store, "east", EAST, slow.token, 0, b"the data"),
        lambda: store.accept(node_of("east"), slow.token, contribution()),
        lambda: store.refuse(node_of("east"), EAST, slow.token, "POLICY", b"{}"),
    ):
        with pytest.raises(LeaseLost) as caught:
            call()
        assert "acquire a task again" in caught.value.todo
    assert store.accept(node_of("east"), quick.token, contribution()) == b"receipt of the data"
    assert store.accept(node_of("east"), slow.token, contribution()) == b"receipt of the data", (
        "a retry gets its receipt"
    )


def test_who_was_slow_and_not_replaced_may_go_on(store: Store) -> None:
    slow = leased(store, seconds=0)
    assert put_under(store, "east", EAST, slow.token, 0, b"the data") == 8
    store.renew("east", EAST, slow.token, "uploading", LONG)
    assert store.acquire("east", 1, LONG) is None, "the lease is in force again"
    store.accept(node_of("east"), slow.token, contribution())
    assert state(store) == COMMITTED


def test_a_lease_that_is_renewed_is_not_lost_to_time(store: Store) -> None:
    token = leased(store, seconds=0.2).token
    for _again in range(3):
        time.sleep(0.1)
        store.renew("east", EAST, token, "computing", 0.2)
        assert store.acquire("east", 1, LONG) is None
    time.sleep(0.25)
    assert leased(store, node=1).token != token


def test_a_node_that_works_at_an_order_may_ask_for_another(store: Store) -> None:
    store.open_release(release("second", revision=1), orders("3" * 64, "4" * 64))
    first = leased(store)
    second = store.acquire("east", 0, LONG, [first.order_digest])
    assert second is not None
    assert second.order_digest != first.order_digest
    assert store.acquire("east", 0, LONG, [first.order_digest, second.order_digest]) is None
    store.renew("east", first.order_digest, first.token, "computing", LONG)
    store.renew("east", second.order_digest, second.token, "computing", LONG)


def test_an_answered_order_has_no_lease_to_renew(store: Store) -> None:
    token = leased(store).token
    store.refuse(node_of("east"), EAST, token, "POLICY", b"{}")
    with pytest.raises(Conflict, match="refused already"):
        store.renew("east", EAST, token, "computing", LONG)
    assert state(store) == REFUSED
    with pytest.raises(NotFound):
        store.renew("west", EAST, token, "computing", LONG)


@pytest.mark.parametrize("token", [b"", b"x", bytes(16), bytes(1000)])
def test_a_token_that_nobody_was_given_opens_nothing(store: Store, token: bytes) -> None:
    with pytest.raises(LeaseLost):
        put_under(store, "east", EAST, token, 0, b"abc")
    leased(store)
    with pytest.raises(LeaseLost):
        put_under(store, "east", EAST, token, 0, b"abc")


def test_of_nodes_that_ask_hubs_at_once_one_gets_the_order(kept: Kept, store: Store) -> None:
    found: list[Leased | None] = []

    def ask(node: int) -> None:
        with closing(kept.store()) as hub:
            found.append(hub.acquire("east", node, LONG))

    threads = [Thread(target=ask, args=(node,)) for node in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    (one,) = [lease for lease in found if lease is not None]
    store.renew("east", EAST, one.token, "computing", LONG)
