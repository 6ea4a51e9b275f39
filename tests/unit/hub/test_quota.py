"""One caller cannot take every place, nor fill the audit trail."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import grpc
import pytest

from hub.errors import Busy
from hub.quota import AT_ONCE, LINES, SECONDS_PER_LINE, STREAMS_AT_ONCE, Lines, Places
from quorate.contract.signing import signed
from quorate.contract.statements import REFUSAL_TYPE, Refusal
from quorate.v1 import federation_pb2 as fed
from quorate.v1 import statistics_pb2 as stat
from tests.harness import wait_until
from tests.keys import key_for
from tests.support_hub import NETWORK, token_for
from tests.support_peers import FEDERATION, STATISTICS, Served, served_hub

S = grpc.StatusCode


def test_places_are_counted_by_key_and_given_back_also_after_an_error() -> None:
    places = Places()
    with places.one("a", 2), places.one("a", 2):
        with pytest.raises(Busy, match="2 calls of this caller"), places.one("a", 2):
            pass
        with places.one("b", 2):
            pass
    with pytest.raises(ZeroDivisionError), places.one("a", 1):
        raise ZeroDivisionError
    with places.one("a", 1):
        pass


def test_after_the_first_lines_one_a_minute_says_how_many_were_left_out() -> None:
    lines = Lines()
    assert [lines.take("a", 0.0) for _ in range(LINES)] == [0] * LINES
    assert [lines.take("a", SECONDS_PER_LINE * 0.9) for _ in range(5)] == [None] * 5
    assert lines.take("b", SECONDS_PER_LINE * 0.9) == 0
    assert lines.take("a", SECONDS_PER_LINE * 1.1) == 5
    assert lines.take("a", SECONDS_PER_LINE * 1.2) is None
    assert lines.take("a", SECONDS_PER_LINE * 1000) == 1
    assert [lines.take("a", SECONDS_PER_LINE * 1000) for _ in range(LINES)] == [0] * (LINES - 1) + [None]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_hub(tmp_path_factory.mktemp("quota") / "hub") as found:
        yield found


def test_a_node_that_waits_many_times_at_once_is_told_so_and_others_are_served(hub: Served) -> None:
    caller, other = hub.operator("west"), hub.operator("east")
    waiting = fed.AcquireTaskRequest(wait_seconds=2).SerializeToString()
    with ThreadPoolExecutor(AT_ONCE + 4) as pool:
        found = [pool.submit(caller.send, FEDERATION + "AcquireTask", waiting) for _ in range(AT_ONCE + 4)]
        assert other.send(FEDERATION + "Heartbeat", b"").status is S.OK
        assert caller.send(FEDERATION + "Heartbeat", b"").status is S.OK
        states = sorted(future.result().status.name for future in found)
    assert states == ["OK"] * AT_ONCE + ["RESOURCE_EXHAUSTED"] * 4
    assert caller.send(FEDERATION + "AcquireTask", b"").status is S.OK, "the places are free again"


def test_streams_that_were_cancelled_give_their_places_back(hub: Served) -> None:
    office = hub.office()
    asked = stat.RequestReleaseRequest(product_id="presence", first_day="2026-05-04", last_day="2026-05-04")
    (data,) = office.send(STATISTICS + "RequestRelease", asked.SerializeToString()).answers
    watch = stat.WatchReleaseRequest(release_id=stat.RequestReleaseResponse.FromString(data).release_id)
    stream: Any = office.channel.unary_stream(STATISTICS + "WatchRelease")
    for _time in range(2):
        calls = [stream(watch.SerializeToString(), timeout=30) for _ in range(STREAMS_AT_ONCE)]
        assert all(next(call) for call in calls)
        with pytest.raises(grpc.RpcError) as refused:
            next(stream(watch.SerializeToString(), timeout=30))
        assert refused.value.code() is S.RESOURCE_EXHAUSTED
        for call in calls:
            call.cancel()
        wait_until(lambda: _first_of(stream, watch) is S.OK, "places that are free again", 20)


def test_streams_that_are_abandoned_at_any_moment_end_neither_the_hub_nor_other_calls(hub: Served) -> None:
    office, moment = hub.office("hasty"), random.Random(5)
    asked = stat.RequestReleaseRequest(product_id="presence", first_day="2026-05-06", last_day="2026-05-06")
    (data,) = office.send(STATISTICS + "RequestRelease", asked.SerializeToString()).answers
    watch = stat.WatchReleaseRequest(release_id=stat.RequestReleaseResponse.FromString(data).release_id)
    stream: Any = office.channel.unary_stream(STATISTICS + "WatchRelease")
    for _time in range(100):
        calls = [stream(watch.SerializeToString(), timeout=30) for _ in range(STREAMS_AT_ONCE)]
        time.sleep(moment.uniform(0, 0.03))
        for call in calls:
            call.cancel()
    assert hub.operator("east").send(FEDERATION + "Heartbeat", b"").status is S.OK
    assert hub.process.status() != "zombie"


def _first_of(stream: Any, watch: stat.WatchReleaseRequest) -> S:
    call = stream(watch.SerializeToString(), timeout=30)
    try:
        next(call)
    except grpc.RpcError as error:
        return error.code()
    call.cancel()
    return S.OK


def told(hub: Served) -> int:
    """Return how many lines tell of calls; a certificate that comes for the first time has one of its own."""
    query = "SELECT count(*) FROM audit WHERE what <> 'a certificate not seen before'"
    return int(hub.kept.execute(query)[0][0])


def test_a_rejected_caller_fills_the_audit_trail_only_so_far_and_hides_nothing_of_another_kind(
    hub: Served,
) -> None:
    caller, before = hub.operator("north"), told(hub)
    for _ in range(LINES * 5):
        assert caller.send(FEDERATION + "RefuseTask", b"").status is S.INVALID_ARGUMENT
    assert told(hub) - before == LINES
    unknown = fed.RefuseTaskRequest(order_digest=bytes(32), reason=fed.REFUSAL_REASON_POLICY)
    assert caller.send(FEDERATION + "RefuseTask", unknown.SerializeToString()).status is S.NOT_FOUND
    assert told(hub) - before == LINES + 1


def test_asking_again_and_refusing_again_fill_the_audit_trail_only_so_far(hub: Served) -> None:
    asked = stat.RequestReleaseRequest(product_id="presence", first_day="2026-05-05", last_day="2026-05-05")
    office, node = hub.office("again"), hub.operator("east")
    before = told(hub)
    for _ in range(LINES * 3):
        assert office.send(STATISTICS + "RequestRelease", asked.SerializeToString()).status is S.OK
    assert told(hub) - before == LINES
    query = "SELECT order_digest FROM task WHERE operator = 'east' AND release_id LIKE 'presence-2026-05-05%'"
    ((order,),) = hub.kept.execute(query)
    said = Refusal(network=NETWORK, operator="east", order=order, reason="POLICY").to_bytes()
    with closing(hub.kept.store()) as store:
        token = token_for(store, "east", order)
    refusal = fed.RefuseTaskRequest(
        order_digest=bytes.fromhex(order),
        reason=fed.REFUSAL_REASON_POLICY,
        token=token,
        refusal=signed(REFUSAL_TYPE, said, key_for("east")),
    )
    for _ in range(LINES * 3):
        assert node.send(FEDERATION + "RefuseTask", refusal.SerializeToString()).status is S.OK
    assert told(hub) - before == LINES + 1, "an order is refused once"


def test_a_revision_that_no_release_can_have_is_refused_as_such(hub: Served) -> None:
    asked = stat.RequestReleaseRequest(
        product_id="presence", first_day="2026-05-04", last_day="2026-05-04", revision=2**31
    )
    answer = hub.office("statbel").send(STATISTICS + "RequestRelease", asked.SerializeToString())
    assert (answer.status, answer.details) == (S.INVALID_ARGUMENT, "a revision is a number below 2147483648")


def test_the_hub_had_no_defect(hub: Served) -> None:
    assert "a defect in" not in hub.log.read_text(encoding="utf-8")
