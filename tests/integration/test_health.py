"""The hub says whether it takes calls, to every party of the network."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1.health_pb2_grpc import HealthStub

from hub.authority import sign
from quorate.contract.identity import OPERATOR, Identity, new_key, signing_request
from quorate.contract.transport import open_channel
from tests.harness import Network

SERVING, NOT_SERVING = pb.HealthCheckResponse.SERVING, pb.HealthCheckResponse.NOT_SERVING
SERVICES = ["", "quorate.v1.FederationService", "quorate.v1.StatisticsService"]


@pytest.fixture
def served(net: Network) -> Network:
    net.start_hub()
    return net


def channel_of(net: Network, who: str) -> grpc.Channel:
    home = net.parties.office if who == "office" else net.home(who)
    return open_channel(net.address, home.hub_root, home.key, home.certificate)


@pytest.mark.parametrize("who", ["office", "mno1"])
def test_every_party_is_told_that_the_hub_and_its_services_serve(served: Network, who: str) -> None:
    with channel_of(served, who) as channel:
        stub = HealthStub(channel)
        found = [stub.Check(pb.HealthCheckRequest(service=name), timeout=5).status for name in SERVICES]
        assert found == [SERVING] * 3
        listed = stub.List(pb.HealthListRequest(), timeout=5).statuses
        assert {name: answer.status for name, answer in listed.items()} == dict.fromkeys(SERVICES, SERVING)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(pb.HealthCheckRequest(service="quorate.v1.Other"), timeout=5)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_who_is_not_of_the_charter_is_told_nothing(served: Network, tmp_path: Path) -> None:
    identity = Identity("demo", OPERATOR, "stranger")
    key, certificate = tmp_path / "s.key", tmp_path / "s.pem"
    certificate.write_bytes(sign(served.parties.hub, signing_request(new_key(key), identity), identity))
    root = served.parties.hub.root_certificate
    with (
        open_channel(served.address, root, key, certificate) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        HealthStub(channel).Check(pb.HealthCheckRequest(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("service", SERVICES)
def test_who_watches_is_told_that_the_hub_stops_before_it_does(served: Network, service: str) -> None:
    with channel_of(served, "office") as channel:
        watch = HealthStub(channel).Watch(pb.HealthCheckRequest(service=service), timeout=60)
        assert next(watch).status == SERVING
        served.running["hub"].terminate()
        assert next(watch).status == NOT_SERVING
        with pytest.raises(grpc.RpcError) as caught:
            next(watch)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert served.running.pop("hub").wait(20) == 0


def test_a_watch_of_a_service_that_the_hub_does_not_have_says_so(served: Network) -> None:
    with channel_of(served, "mno1") as channel:
        watch = HealthStub(channel).Watch(pb.HealthCheckRequest(service="quorate.v1.Other"), timeout=60)
        assert next(watch).status == pb.HealthCheckResponse.SERVICE_UNKNOWN
        watch.cancel()
