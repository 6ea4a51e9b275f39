"""Old nodes at a new hub and new nodes at an old one: recorded bytes over real TLS, with typed answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from quorate.v1 import federation_pb2 as fed
from quorate.v1 import statistics_pb2 as stat
from tests.support_peers import FEDERATION, STATISTICS, TYPED, Answer, Caller, Served, served, served_hub
from tests.unit.wire.test_recordings import NEWER, VERSIONS
from tests.wire.examples import methods

SHORTENED = {"AcquireTask": fed.AcquireTaskRequest(wait_seconds=0).SerializeToString()}
REQUESTS = {name: str(request.full_name) for name, request, _response, _streamed in methods()}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_hub(tmp_path_factory.mktemp("peers") / "hub") as found:
        yield found


@pytest.fixture(scope="module")
def callers(hub: Served) -> dict[str, Caller]:
    return {FEDERATION: hub.operator("west"), STATISTICS: hub.office()}


def call(callers: dict[str, Caller], method: str, data: bytes) -> Answer:
    return callers[method.rsplit("/", 1)[0] + "/"].send(method, data)


def recorded(place: Path, method: str) -> bytes:
    """Return the recorded request of a method; one that would be waited for is asked without waiting."""
    short = method.rsplit("/", 1)[1]
    return SHORTENED.get(short, (place / "messages" / f"{REQUESTS[method]}.binpb").read_bytes())


@pytest.mark.parametrize("place", VERSIONS, ids=lambda place: place.name)
@pytest.mark.parametrize("method", served())
def test_what_an_older_node_says_gets_a_typed_answer(
    hub: Served, callers: dict[str, Caller], place: Path, method: str
) -> None:
    answer = call(callers, method, recorded(place, method))
    assert answer.status in TYPED, answer
    if answer.status is not grpc.StatusCode.OK:
        assert answer.details, "a refusal says what happened"
    assert hub.process.is_running()


@pytest.mark.parametrize("place", VERSIONS, ids=lambda place: place.name)
@pytest.mark.parametrize("method", served())
def test_fields_of_a_newer_node_change_no_answer(
    callers: dict[str, Caller], place: Path, method: str
) -> None:
    data = recorded(place, method)
    assert call(callers, method, data + NEWER) == call(callers, method, data)


@pytest.mark.parametrize("method", served())
def test_a_peer_that_sends_no_field_at_all_gets_a_typed_answer(
    callers: dict[str, Caller], method: str
) -> None:
    answer = call(callers, method, b"")
    assert answer.status in TYPED, answer
    if method.endswith(("ListProducts", "Heartbeat", "AcquireTask", "ProbeUpload", "FetchLedger")):
        assert answer.status is grpc.StatusCode.OK, answer
    else:
        assert answer.status is not grpc.StatusCode.OK


def test_a_method_that_an_older_hub_does_not_have_is_answered_as_such(callers: dict[str, Caller]) -> None:
    missing = sorted(
        {name for name in REQUESTS if not name.startswith("/quorate.v1.Enrolment")} - set(served())
    )
    for method in (*missing, FEDERATION + "OfTheNextVersion", "/quorate.v2.FederationService/Heartbeat"):
        caller = callers[STATISTICS if method.startswith(STATISTICS) else FEDERATION]
        assert caller.send(method, b"").status is grpc.StatusCode.UNIMPLEMENTED, method


def test_an_order_of_an_older_hub_is_read_whatever_newer_fields_are_beside_it(
    callers: dict[str, Caller],
) -> None:
    asked = stat.RequestReleaseRequest(product_id="presence", first_day="2026-05-04", last_day="2026-05-04")
    assert (
        call(callers, STATISTICS + "RequestRelease", asked.SerializeToString() + NEWER).status
        is grpc.StatusCode.OK
    )
    (data,) = call(callers, FEDERATION + "AcquireTask", NEWER).answers
    assert fed.AcquireTaskResponse.FromString(data + NEWER).task_order.payload
