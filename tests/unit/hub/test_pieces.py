"""Several pieces at once: what is held is told from what is new, and all of them are kept or none is."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Conflict, HubRefusal, Malformed
from hub.pieces import Put, missing
from hub.store import Store
from tests.support_hub import Kept, token_for
from tests.unit.hub.test_store import EAST, orders, release


def cut(data: bytes, sizes: list[int]) -> list[Put]:
    """Return pieces of so many bytes each, in order."""
    pieces, offset = [], 0
    for size in sizes:
        part = data[offset : offset + size]
        pieces.append(Put(offset, part, hashlib.sha256(part).hexdigest()))
        offset += size
    return pieces


def known_of(pieces: list[Put]) -> tuple[int, dict[int, tuple[int, str]]]:
    """Return what the hub says of pieces that it holds."""
    return sum(len(p.data) for p in pieces), {p.offset: (len(p.data), p.sha256) for p in pieces}


@pytest.fixture
def store(kept: Kept) -> Iterator[Store]:
    with closing(kept.store()) as opened:
        assert opened.open_release(release("r"), orders())
        yield opened


def put(store: Store, pieces: list[Put]) -> int:
    return store.put_pieces("east", EAST, token_for(store, "east", EAST), pieces)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.data())
def test_whatever_is_held_and_wherever_a_call_begins_the_rest_is_missing(
    sizes: list[int], data: st.DataObject
) -> None:
    pieces = cut(bytes(range(100)), sizes)
    held = data.draw(st.integers(0, len(pieces)))
    first = data.draw(st.integers(0, held))
    found = missing(pieces[first:], *known_of(pieces[:held]))
    assert found == pieces[max(first, held) :]


@given(st.lists(st.integers(1, 9), min_size=2, max_size=8), st.data())
def test_a_gap_is_refused_wherever_it_is(sizes: list[int], data: st.DataObject) -> None:
    pieces = cut(bytes(range(100)), sizes)
    gap = data.draw(st.integers(0, len(pieces) - 2))
    with pytest.raises(Malformed, match="must start at"):
        missing(pieces[:gap] + pieces[gap + 1 :], 0, {})


def test_a_place_within_what_is_held_is_no_place_of_a_piece() -> None:
    with pytest.raises(Malformed, match="must start at 4"):
        missing([Put(2, b"cd", "x")], 4, {0: (4, "y")})


def test_one_piece_twice_in_a_call_is_one_piece_and_with_other_bytes_a_conflict() -> None:
    (piece,) = cut(b"abc", [3])
    assert missing([piece, piece], 0, {}) == [piece]
    with pytest.raises(Conflict):
        missing([piece, Put(0, b"abd", "another")], 0, {})


def test_several_pieces_are_held_at_once_and_again_change_nothing(store: Store) -> None:
    pieces = cut(b"abcdefgh", [3, 3, 2])
    assert put(store, pieces[:2]) == 6
    assert put(store, pieces) == 8
    assert put(store, pieces[1:]) == 8
    assert store.held("east", EAST).data == b"abcdefgh"


@pytest.mark.parametrize("wrong", [Put(0, b"xyz", "x" * 64), Put(7, b"z", "z" * 64)], ids=["conflict", "gap"])
def test_of_pieces_with_a_wrong_one_none_is_kept(store: Store, wrong: Put) -> None:
    pieces = cut(b"abcdefgh", [3, 3, 2])
    assert put(store, pieces[:1]) == 3
    with pytest.raises(HubRefusal):
        put(store, [pieces[1], wrong])
    assert store.held("east", EAST).data == b"abc"


LONG = random.Random(1).randbytes(1024)


def put_in_runs(store: Store, token: bytes, most: int) -> None:
    """Put everything, so many pieces at a time; where another call left a gap, from the beginning again."""
    pieces, held = cut(LONG, [64] * 16), 0
    while held < len(LONG):
        try:
            held = store.put_pieces("east", EAST, token, pieces[held // 64 :][:most])
        except Malformed:
            held = 0


def test_hubs_that_cut_the_same_pieces_differently_hold_them_once(kept: Kept, store: Store) -> None:
    token, runs = token_for(store, "east", EAST), (3, 5, 8, 1)
    with ExitStack() as stack:
        hubs = [stack.enter_context(closing(kept.store())) for _ in runs]
        pool = stack.enter_context(ThreadPoolExecutor(len(runs)))
        list(pool.map(put_in_runs, hubs, [token] * len(runs), runs))
    assert store.held("east", EAST).data == LONG


def test_files_that_were_exchanged_are_found_out_and_everything_is_sent_again(
    kept: Kept, store: Store
) -> None:
    token = token_for(store, "east", EAST)
    put_in_runs(store, token, 8)
    first, second = sorted((kept.objects / "pieces" / EAST).iterdir())
    was = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(was)
    with pytest.raises(HubRefusal, match="was lost"):
        store.held("east", EAST)
    put_in_runs(store, token, 8)
    assert store.held("east", EAST).data == LONG


def test_pieces_that_an_earlier_version_kept_are_sent_again(kept: Kept, store: Store) -> None:
    put(store, cut(LONG, [64] * 16)[:8])
    for column in ("file", "at"):
        kept.execute(f"ALTER TABLE piece DROP COLUMN {column}")
    kept.execute("DROP TABLE period_key")  # came after
    kept.execute("UPDATE alembic_version SET version_num = '0004'")
    with closing(kept.store()) as opened:
        assert opened.held("east", EAST).data == b""
        put_in_runs(opened, token_for(opened, "east", EAST), 8)
        assert opened.held("east", EAST).data == LONG


def test_what_is_given_up_while_the_next_piece_is_kept_is_asked_for_and_not_taken_as_held(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = cut(b"abcdefgh", [3, 3, 2])
    put(store, pieces[:2])
    keep = store._objects.put_pieces

    def kept_while_another_is_lost(upload: str, name: str, parts: list[bytes]) -> None:
        keep(upload, name, parts)
        store._give_up_from(EAST, 3)

    with monkeypatch.context() as context:
        context.setattr(store._objects, "put_pieces", kept_while_another_is_lost)
        with pytest.raises(Malformed, match="must start at 3"):
            put(store, pieces[1:])
    assert store.held("east", EAST).data == b"abc"
    assert put(store, pieces[1:]) == 8
    assert store.held("east", EAST).data == b"abcdefgh"
