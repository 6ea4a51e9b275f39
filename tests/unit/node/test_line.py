"""The line to the hub, through what names every call: in both ways in which a node makes calls."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import grpc
import pytest

from node.line import Line
from node.uplink import Uplink
from privacy.errors import Refused
from quorate.v1 import federation_pb2 as pb
from quorate.v1.federation_pb2_grpc import FederationServiceServicer, add_FederationServiceServicer_to_server

TOKEN = b"the token in force"


class Hub(FederationServiceServicer):
    """Renews one lease and greets."""

    def RenewLease(  # noqa: N802
        self, request: pb.RenewLeaseRequest, context: grpc.ServicerContext
    ) -> pb.RenewLeaseResponse:
        if request.token != TOKEN:
            context.abort(grpc.StatusCode.ABORTED, "another node has it")
        return pb.RenewLeaseResponse()

    def Heartbeat(  # noqa: N802
        self, request: pb.HeartbeatRequest, context: grpc.ServicerContext
    ) -> pb.HeartbeatResponse:
        return pb.HeartbeatResponse(network="small")


@pytest.fixture
def uplink() -> Iterator[Uplink]:
    with ThreadPoolExecutor() as threads:
        server = grpc.server(threads)
        add_FederationServiceServicer_to_server(Hub(), server)
        port = server.add_insecure_port("localhost:0")
        server.start()
        with Line(grpc.insecure_channel(f"localhost:{port}")) as line:
            yield Uplink(line, "the hub", Event(), pytest.fail)
        server.stop(None).wait()


def test_a_call_that_is_waited_for_goes_over_a_line(uplink: Uplink) -> None:
    assert uplink.hello("0", (0, "00")).network == "small"


def test_a_lease_is_renewed_over_a_line(uplink: Uplink) -> None:
    uplink.renew(bytes(32), TOKEN, pb.PHASE_COMPUTING)


def test_a_lease_that_is_lost_shows_over_a_line(uplink: Uplink) -> None:
    with pytest.raises(Refused, match="another node has it"):
        uplink.renew(bytes(32), b"another one", pb.PHASE_COMPUTING)
