"""The hub's state: idempotent pieces, one contribution for each order, and everything kept over a restart."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from hub.database import Database, sqlite_at
from hub.errors import Conflict, HubRefusal, Malformed, NotFound
from hub.life import COLLECTING, COMMITTED, ESTIMATED, INQUORATE, LATE, LEASED, OFFERED, REFUSED
from hub.models import Contribution, Release
from hub.store import NewTask, Store
from hub.uploads import Given
from privacy.errors import UsageProblem
from tests.support_hub import Kept, accept, next_order, put_chunk, refuse_order

EAST, WEST = "1" * 64, "2" * 64
"""Digests of the orders to the operators east and west."""
DIGEST = hashlib.sha256(b"the data").hexdigest()


@pytest.fixture
def store(kept: Kept) -> Iterator[Store]:
    with closing(kept.store()) as opened:
        assert opened.open_release(release("r"), orders())
        yield opened


def release(release_id: str, revision: int = 0, deadline: float | None = None) -> Release:
    return Release(
        release_id=release_id,
        product="presence",
        first_day=date(2026, 5, 4),
        last_day=date(2026, 5, 4),
        revision=revision,
        state=COLLECTING,
        deadline=time.time() + 3600 if deadline is None else deadline,
    )


def orders(east: str = EAST, west: str = WEST) -> list[NewTask]:
    return [NewTask(east, "east", b"order east " + east[:1].encode()), NewTask(west, "west", b"order west")]


def contribution(order: str = EAST, data: bytes = b"the data") -> Given:
    row = Contribution(
        order_digest=order,
        result_sha256=hashlib.sha256(data).hexdigest(),
        length=len(data),
        entry=b"entry",
        receipt=b"receipt of " + data,
    )
    return Given(row, data)


def tasks(store: Store, release_id: str = "r") -> dict[str, tuple[str, str]]:
    return {operator: (state, refusal) for operator, state, refusal in store.view(release_id).tasks}


# --- releases and orders ----------------------------------------------------------------------------------


def test_a_release_is_opened_once(store: Store) -> None:
    assert not store.open_release(release("r"), orders("3" * 64, "4" * 64))
    assert next_order(store, "east") == b"order east 1", "the first orders stay"
    assert [view.release_id for view in store.releases()] == ["r"]
    assert tasks(store) == {"east": (LEASED, ""), "west": (OFFERED, "")}


def test_an_order_is_handed_out_again_until_it_is_answered(store: Store) -> None:
    assert next_order(store, "east") == next_order(store, "east") == b"order east 1"
    accept(store, "east", contribution())
    assert next_order(store, "east") is None
    assert next_order(store, "west") == b"order west"
    refuse_order(store, "west", WEST, "POLICY")
    assert next_order(store, "west") is None


def test_an_operator_is_handed_its_own_orders_alone(store: Store) -> None:
    assert next_order(store, "north") is None
    assert next_order(store, "west") == b"order west"


def test_orders_come_by_deadline_and_those_of_ended_releases_not_at_all(store: Store) -> None:
    store.open_release(release("sooner", revision=1, deadline=time.time() + 60), orders("3" * 64, "4" * 64))
    assert next_order(store, "east") == b"order east 3"
    store.end("sooner", INQUORATE, None, 0)
    assert next_order(store, "east") == b"order east 1"
    store.end("r", INQUORATE, None, 0)
    assert next_order(store, "east") is None


def test_a_release_that_nobody_asked_for_is_not_found(store: Store) -> None:
    for look in (store.view, store.estimates, lambda name: store.end(name, ESTIMATED, b"", 0)):
        with pytest.raises(NotFound, match="there is no release elsewhere") as caught:
            look("elsewhere")
        assert caught.value.todo == "request it first"
    assert store.contributions("elsewhere") == []


def test_collecting_tells_whose_time_is_over(store: Store) -> None:
    store.open_release(release("late", revision=1, deadline=time.time() - 1), orders("3" * 64, "4" * 64))
    store.open_release(release("ended", revision=2), orders("5" * 64, "6" * 64))
    store.end("ended", INQUORATE, None, 0)
    found = {view.release_id: overdue for view, overdue in store.collecting()}
    assert set(found) == {"r", "late"}
    assert -3600 <= found["r"] < -3500
    assert 1 <= found["late"] < 100


def test_releases_are_listed_oldest_first_with_every_answer(store: Store) -> None:
    store.open_release(release("older", revision=1, deadline=1.0), orders("3" * 64, "4" * 64))
    refuse_order(store, "west", WEST, "DATA_UNAVAILABLE")
    accept(store, "east", contribution())
    older, newer = store.releases()
    assert (older.release_id, older.product, older.state) == ("older", "presence", COLLECTING)
    assert newer.tasks == (("east", COMMITTED, ""), ("west", REFUSED, "DATA_UNAVAILABLE"))


# --- pieces -----------------------------------------------------------------------------------------------


def test_pieces_put_again_change_nothing(store: Store) -> None:
    assert put_chunk(store, "east", EAST, 0, b"abc") == 3
    assert put_chunk(store, "east", EAST, 3, b"defg") == 7
    assert put_chunk(store, "east", EAST, 0, b"abc") == 7
    assert put_chunk(store, "east", EAST, 3, b"defg") == 7
    assert store.held("east", EAST).data == b"abcdefg"
    assert store.held("east", EAST).payload == b"order east 1"


def test_pieces_are_counted_in_bytes_whatever_they_contain(store: Store) -> None:
    assert put_chunk(store, "east", EAST, 0, b"\x00\xff\x00") == 3
    assert put_chunk(store, "east", EAST, 3, bytes(5)) == 8
    assert store.held("east", EAST).data == b"\x00\xff\x00" + bytes(5)


@pytest.mark.parametrize("other", [b"abX", b"ab", b"abcd"])
def test_other_bytes_at_the_same_place_are_a_conflict(store: Store, other: bytes) -> None:
    put_chunk(store, "east", EAST, 0, b"abc")
    with pytest.raises(Conflict, match="other bytes were put at this place before"):
        put_chunk(store, "east", EAST, 0, other)
    assert store.held("east", EAST).data == b"abc"


@pytest.mark.parametrize("offset", [1, 2, 4, 10])
def test_a_piece_that_leaves_a_gap_or_overlaps_is_refused(store: Store, offset: int) -> None:
    put_chunk(store, "east", EAST, 0, b"abc")
    with pytest.raises(Malformed, match="the next piece must start at 3") as caught:
        put_chunk(store, "east", EAST, offset, b"zz")
    assert caught.value.todo == "send from there"
    assert store.held("east", EAST).data == b"abc"


def test_a_first_piece_starts_at_zero(store: Store) -> None:
    with pytest.raises(Malformed, match="must start at 0"):
        put_chunk(store, "east", EAST, 3, b"zz")


def test_pieces_of_one_order_are_not_those_of_another(store: Store) -> None:
    put_chunk(store, "east", EAST, 0, b"abc")
    assert put_chunk(store, "west", WEST, 0, b"other") == 5
    assert store.held("east", EAST).data == b"abc"


def test_pieces_put_again_after_the_contribution_was_accepted_are_held_against_it(store: Store) -> None:
    put_chunk(store, "east", EAST, 0, b"the data")
    accept(store, "east", contribution())
    assert put_chunk(store, "east", EAST, 0, b"the ") == 8
    assert put_chunk(store, "east", EAST, 4, b"data") == 8
    for offset, data in ((0, b"The "), (4, b"data and more"), (8, b"x"), (100, b"x")):
        with pytest.raises(Conflict, match="other bytes were accepted for this order"):
            put_chunk(store, "east", EAST, offset, data)
    assert store.contributions("r") == [(b"order east 1", b"the data")]


# --- contributions ----------------------------------------------------------------------------------------


def test_the_same_contribution_twice_gets_the_first_receipt(store: Store) -> None:
    assert store.accepted("east", EAST) is None
    assert accept(store, "east", contribution()) == b"receipt of the data"
    again = contribution()
    again.row.receipt = b"another receipt"
    assert accept(store, "east", again) == b"receipt of the data"
    assert store.accepted("east", EAST) == (DIGEST, b"receipt of the data")
    assert tasks(store)["east"] == (COMMITTED, "")


def test_a_contribution_with_another_digest_is_a_conflict(store: Store) -> None:
    accept(store, "east", contribution())
    with pytest.raises(Conflict, match="another contribution was accepted for this order"):
        accept(store, "east", contribution(data=b"other data"))
    assert store.contributions("r") == [(b"order east 1", b"the data")]


def test_pieces_are_given_up_once_the_contribution_is_accepted(store: Store, kept: Kept) -> None:
    put_chunk(store, "east", EAST, 0, b"the data")
    put_chunk(store, "west", WEST, 0, b"still here")
    accept(store, "east", contribution())
    assert kept.execute("SELECT order_digest FROM piece") == [(WEST,)]
    assert [path.name for path in (kept.objects / "pieces").iterdir()] == [WEST]


def test_contributions_come_by_operator_with_the_orders_that_asked_for_them(store: Store) -> None:
    accept(store, "west", contribution(WEST, b"of west"))
    accept(store, "east", contribution(EAST, b"of east"))
    assert store.contributions("r") == [(b"order east 1", b"of east"), (b"order west", b"of west")]


def test_a_refusal_is_noted_once(store: Store) -> None:
    refuse_order(store, "east", EAST, "BUDGET_EXHAUSTED")
    refuse_order(store, "east", EAST, "DECLINED")
    assert tasks(store)["east"] == (REFUSED, "BUDGET_EXHAUSTED")


def test_a_refusal_after_a_contribution_is_a_conflict(store: Store) -> None:
    accept(store, "east", contribution())
    with pytest.raises(Conflict, match="answered with a contribution before"):
        refuse_order(store, "east", EAST, "POLICY")
    assert tasks(store)["east"] == (COMMITTED, "")


@pytest.mark.parametrize("before", [b"", b"the "], ids=["nothing sent", "half sent"])
def test_a_contribution_after_a_refusal_is_refused(store: Store, before: bytes) -> None:
    if before:
        put_chunk(store, "east", EAST, 0, before)
    refuse_order(store, "east", EAST, "POLICY")
    for call in (
        lambda: put_chunk(store, "east", EAST, len(before), b"data"),
        lambda: accept(store, "east", contribution()),
    ):
        with pytest.raises(HubRefusal, match="this operator has refused the order") as caught:
            call()
        assert type(caught.value) is HubRefusal
        assert caught.value.todo == "ask for a revision of the release"
    assert tasks(store) == {"east": (REFUSED, "POLICY"), "west": (OFFERED, "")}
    assert store.accepted("east", EAST) is None
    assert store.contributions("r") == []
    assert store.held("east", EAST).data == before
    assert accept(store, "west", contribution(WEST)) == b"receipt of the data", "others still may"


@pytest.mark.parametrize("state", [ESTIMATED, INQUORATE])
def test_a_contribution_after_the_end_is_late_and_gets_its_receipt(store: Store, state: str) -> None:
    put_chunk(store, "east", EAST, 0, b"the ")
    store.end("r", state, b"estimates" if state == ESTIMATED else None, 0)
    assert put_chunk(store, "east", EAST, 4, b"data") == 8, "an upload that has begun is finished"
    assert accept(store, "east", contribution()) == b"receipt of the data"
    assert tasks(store) == {"east": (LATE, ""), "west": (OFFERED, "")}
    assert store.accepted("east", EAST) == (DIGEST, b"receipt of the data")
    assert (store.view("r").state, store.collecting()) == (state, [])
    assert store.estimates("r") == (b"estimates" if state == ESTIMATED else None)


def test_a_late_contribution_is_kept_like_any_other(store: Store) -> None:
    next_order(store, "east")
    store.end("r", INQUORATE, None, 0)
    accept(store, "east", contribution())
    assert accept(store, "east", contribution()) == b"receipt of the data", "the same again changes nothing"
    assert tasks(store)["east"] == (LATE, "")
    with pytest.raises(Conflict, match="another contribution was accepted"):
        accept(store, "east", contribution(data=b"other data"))
    with pytest.raises(Conflict, match="answered with a contribution before"):
        refuse_order(store, "east", EAST, "POLICY")
    assert put_chunk(store, "east", EAST, 0, b"the ") == 8
    with pytest.raises(Conflict, match="other bytes were accepted"):
        put_chunk(store, "east", EAST, 0, b"The ")


def test_a_contribution_before_the_end_is_not_late_afterwards(store: Store) -> None:
    accept(store, "east", contribution())
    store.end("r", ESTIMATED, b"estimates", 1)
    assert accept(store, "east", contribution()) == b"receipt of the data"
    assert tasks(store)["east"] == (COMMITTED, "")


@pytest.mark.parametrize(
    "call",
    [
        lambda store, order: put_chunk(store, "east", order, 0, b"x"),
        lambda store, order: store.held("east", order),
        lambda store, order: store.accepted("east", order),
        lambda store, order: accept(store, "east", contribution(order)),
        lambda store, order: refuse_order(store, "east", order, "POLICY"),
    ],
    ids=["put_chunk", "held", "accepted", "accept", "refuse"],
)
@pytest.mark.parametrize("order", [WEST, "9" * 64], ids=["of another operator", "of nobody"])
def test_somebody_elses_order_is_as_unknown_as_none(
    store: Store, call: Callable[[Store, str], object], order: str
) -> None:
    put_chunk(store, "west", WEST, 0, b"west's")
    with pytest.raises(NotFound, match="this operator has no such order"):
        call(store, order)
    assert {state for state, _refusal in tasks(store).values()} <= {OFFERED, LEASED}
    assert store.held("west", WEST).data == b"west's"


# --- ends -------------------------------------------------------------------------------------------------


def test_a_release_ends_once_and_stays_ended(store: Store) -> None:
    assert store.estimates("r") is None
    store.end("r", ESTIMATED, b"estimates", 0)
    store.end("r", INQUORATE, None, 0)
    store.end("r", ESTIMATED, b"other estimates", 0)
    assert store.view("r").state == ESTIMATED
    assert store.estimates("r") == b"estimates"
    assert store.collecting() == []


def test_a_release_does_not_end_past_an_answer_that_came_in_between(store: Store) -> None:
    accept(store, "east", contribution())
    assert not store.end("r", ESTIMATED, b"made of nothing", 0)
    assert store.estimates("r") is None
    assert store.end("r", ESTIMATED, b"made of one", 1)
    assert store.estimates("r") == b"made of one"


def test_an_inquorate_release_has_no_estimates(store: Store) -> None:
    store.end("r", INQUORATE, None, 0)
    store.end("r", ESTIMATED, b"too late", 0)
    assert (store.view("r").state, store.estimates("r")) == (INQUORATE, None)


# --- restarts, audit, files -------------------------------------------------------------------------------


def test_a_restart_keeps_everything(kept: Kept) -> None:
    with closing(kept.store()) as store:
        store.open_release(release("r"), orders())
        store.open_release(release("ended", revision=1), orders("3" * 64, "4" * 64))
        store.end("ended", ESTIMATED, b"estimates", 0)
        put_chunk(store, "west", WEST, 0, b"abc")
        receipt = accept(store, "east", contribution())
        store.audit("somebody", "did", "something")
        before = (store.releases(), store.audit_lines(), store.contributions("r"))
    with closing(kept.store()) as store:
        assert (store.releases(), store.audit_lines(), store.contributions("r")) == before
        assert not store.open_release(release("r"), orders())
        assert store.accepted("east", EAST) == (DIGEST, receipt)
        assert store.estimates("ended") == b"estimates"
        assert next_order(store, "west") == b"order west"
        assert put_chunk(store, "west", WEST, 3, b"def") == 6, "an upload goes on where it was"
        assert store.held("west", WEST).data == b"abcdef"


def test_two_stores_on_one_database_see_each_other(kept: Kept, store: Store) -> None:
    with closing(kept.store()) as other:
        accept(other, "east", contribution())
        assert store.accepted("east", EAST) == (DIGEST, b"receipt of the data")


def test_the_audit_trail_is_in_order_and_dated_in_utc(store: Store) -> None:
    store.audit("spiffe://small/office/statistics", "requested a release", "r")
    store.audit("", "rejected PutChunk", "no")
    lines = store.audit_lines()
    assert [line[1:] for line in lines] == [
        ("spiffe://small/office/statistics", "requested a release", "r"),
        ("", "rejected PutChunk", "no"),
    ]
    for line in lines:
        assert line[0].endswith("+00:00"), "a time says which hour it is without being told"
        at = datetime.fromisoformat(line[0])
        assert at.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)


def test_a_file_that_is_no_database_is_a_clear_error_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    path.write_bytes(b"not a database, but long enough to look like one\n" * 100)
    before = path.read_bytes()
    with pytest.raises(UsageProblem, match=f"{path} cannot be used as the hub's database") as caught:
        Database(sqlite_at(path))
    assert caught.value.todo == "restore it from its backup"
    assert path.read_bytes() == before


def test_a_database_in_a_directory_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="cannot be used as the hub's database"):
        Database(sqlite_at(tmp_path / "nowhere" / "hub.db"))
