"""The hub's copies of the operators' ledgers: a chain only grows, and a fork or a rollback shows."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.chain import Link, links_of, unknown
from hub.errors import Conflict, HubRefusal, Malformed, NotFound
from hub.ledgers import Charged
from hub.opening import open_release
from hub.store import Store
from privacy.ledger.entry import GENESIS, head_after
from quorate.contract.canonical import digest
from quorate.contract.statements import Head
from tests.support_hub import DAY, Kept, entry_for, next_order, small_agreement, terms_in

OWN = small_agreement()


def chain(length: int, data: bytes = b"noised", previous: str = GENESIS, first: int = 1) -> list[bytes]:
    """Return entries that follow each other; `data` makes them differ from those of another ledger."""
    found: list[bytes] = []
    for number in range(length):
        terms = terms_in(OWN, "presence", DAY + timedelta(days=number))
        entry = entry_for(terms, data, sequence=first + number, previous=previous)
        found.append(entry.to_bytes())
        previous = head_after(found[-1])
    return found


WHOLE, FORK = chain(8), chain(8, b"others")


def head_of(entries: list[bytes], sequence: int, operator: str = "east") -> Head:
    head = head_after(entries[sequence - 1]) if sequence else GENESIS
    return Head(network="small", operator=operator, sequence=sequence, head=head)


def publish(store: Store, entries: list[bytes], first: int, last: int, statement: bytes = b"signed") -> bytes:
    return store.publish(head_of(entries, last), links_of(entries[first:last]), statement)


# --- without I/O ------------------------------------------------------------------------------------------


@given(known=st.integers(0, 8), first=st.integers(0, 8), last=st.integers(0, 8))
def test_what_continues_a_chain_is_what_lies_beyond_it(known: int, first: int, last: int) -> None:
    links = links_of(WHOLE[first : max(first, last)])
    heads = {number + 1: head_after(raw) for number, raw in enumerate(WHOLE[:known])}
    position = (known, heads.get(known, GENESIS))
    if links and known and links[0].sequence > known + 1:
        with pytest.raises(HubRefusal, match=f"the hub knows {known} entries"):
            unknown(links, position, heads)
        return
    new = unknown(links, position, heads)
    assert [link.sequence for link in new] == [n for n in range(first + 1, last + 1) if n > known]


@given(known=st.integers(1, 8), first=st.integers(0, 7), length=st.integers(1, 8))
def test_another_ledger_never_continues_a_chain(known: int, first: int, length: int) -> None:
    links = links_of(FORK[first : first + length])
    heads = {number + 1: head_after(raw) for number, raw in enumerate(WHOLE[:known])}
    with pytest.raises(HubRefusal):
        unknown(links, (known, heads[known]), heads)


def test_entries_are_one_chain_in_its_order() -> None:
    for entries in (WHOLE[1:3] + WHOLE[:1], [WHOLE[0], WHOLE[2]], [WHOLE[0], FORK[1]], [WHOLE[0]] * 2):
        with pytest.raises(Malformed, match="not one chain"):
            links_of(entries)


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff", b"[1]", WHOLE[0] + b" ", b" " + WHOLE[0]])
def test_what_is_no_entry_is_told(raw: bytes) -> None:
    with pytest.raises(Malformed, match="a ledger entry is"):
        links_of([raw])


def test_a_link_says_which_release_it_charges() -> None:
    (link,) = links_of(WHOLE[:1])
    release = terms_in(OWN, "presence", DAY).release_id()
    assert link == Link(1, head_after(WHOLE[0]), WHOLE[0], release, GENESIS)


# --- in the database --------------------------------------------------------------------------------------


def test_a_ledger_is_published_in_any_pieces_and_again(store: Store) -> None:
    assert store.ledger_head("east") == (0, GENESIS)
    assert publish(store, WHOLE, 0, 3, b"first") == b"first"
    assert publish(store, WHOLE, 0, 3, b"again") == b"first", "the first statement stays"
    publish(store, WHOLE, 2, 5)
    publish(store, WHOLE, 5, 8)
    publish(store, WHOLE, 4, 4)
    assert store.ledger_head("east") == (8, head_after(WHOLE[-1]))
    assert store.ledger_entries("east", 0, 100) == WHOLE
    assert store.ledger_entries("east", 6, 1) == WHOLE[6:7]
    assert store.published_head("east", 3) == b"first"
    assert store.published_head("east", 2) is None
    assert store.ledger_head("west") == (0, GENESIS)


def test_a_restored_ledger_that_was_used_shows_as_a_fork(store: Store) -> None:
    publish(store, WHOLE, 0, 5)
    restored = WHOLE[:3] + chain(2, b"others", head_after(WHOLE[2]), 4)
    for first in (0, 3, 4):
        with pytest.raises(Conflict, match="another entry was published as number"):
            publish(store, restored, first, 5)
    longer = WHOLE[:3] + chain(4, b"others", head_after(WHOLE[2]), 4)
    with pytest.raises(Conflict):
        publish(store, longer, 5, 7)
    assert store.ledger_entries("east", 0, 100) == WHOLE[:5]


def test_a_head_is_that_of_its_entry(store: Store) -> None:
    publish(store, WHOLE, 0, 3)
    wrong = head_of(FORK, 3)
    with pytest.raises(Conflict):
        store.publish(wrong, [], b"signed")
    with pytest.raises(HubRefusal, match="of an entry that was not published"):
        store.publish(head_of(WHOLE, 5), [], b"signed")
    with pytest.raises(HubRefusal, match="the hub knows 3 entries"):
        publish(store, WHOLE, 5, 7)
    assert store.published_head("east", 5) is None


def test_an_empty_ledger_has_a_head_too(store: Store) -> None:
    assert store.publish(head_of(WHOLE, 0), [], b"signed") == b"signed"
    assert store.ledger_head("east") == (0, GENESIS)


def test_the_first_that_is_ever_published_may_begin_after_what_was_pruned(store: Store) -> None:
    publish(store, WHOLE, 4, 6)
    assert store.ledger_head("east") == (6, head_after(WHOLE[5]))
    publish(store, WHOLE, 6, 8)
    with pytest.raises(Conflict):
        publish(store, FORK, 4, 6)


def test_nothing_is_accepted_before_its_charge_is_published(store: Store) -> None:
    open_release(OWN, store, "presence", (DAY, DAY), 0)
    east, west = (digest(next_order(store, operator) or b"") for operator in ("east", "west"))
    with pytest.raises(HubRefusal, match="the charge of this release was not published"):
        store.charged("east", east)
    publish(store, WHOLE, 0, 1)
    assert store.charged("east", east) == Charged(terms_in(OWN, "presence", DAY), WHOLE[0])
    with pytest.raises(HubRefusal, match="was not published"):
        store.charged("west", west)
    with pytest.raises(NotFound):
        store.charged("west", east)


def test_of_two_ledgers_that_are_published_at_once_one_is_kept(kept: Kept, store: Store) -> None:
    outcomes: list[object] = []

    def tell(entries: list[bytes]) -> None:
        with closing(kept.store()) as hub:
            try:
                outcomes.append(publish(hub, entries, 0, 8))
            except Conflict as conflict:
                outcomes.append(conflict)

    threads = [Thread(target=tell, args=(entries,)) for entries in (WHOLE, FORK) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(isinstance(outcome, Conflict) for outcome in outcomes) == [False] * 3 + [True] * 3
    assert store.ledger_entries("east", 0, 100) in (WHOLE, FORK)
