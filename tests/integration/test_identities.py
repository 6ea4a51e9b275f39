"""Who is not who they should be is refused, whatever the message says."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from hub.authority import found, sign
from hub.config import Home as HubHome
from privacy.errors import ExitCode
from quorate.contract.charter import Charter
from quorate.contract.identity import OPERATOR, Identity, new_key, signing_request
from quorate.contract.signing import from_json
from quorate.contract.transport import open_channel
from quorate.v1 import federation_pb2 as fed
from quorate.v1 import statistics_pb2 as stat
from quorate.v1.federation_pb2_grpc import FederationServiceStub
from quorate.v1.statistics_pb2_grpc import StatisticsServiceStub
from tests.harness import START, Network


@pytest.fixture
def served(net: Network) -> Network:
    net.start_hub()
    return net


def status(call: Callable[..., object], request: object, timeout: float = 5.0) -> grpc.StatusCode:
    """Return the status that a call ends with."""
    try:
        call(request, timeout=timeout)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def channel_of(net: Network, operator: str) -> grpc.Channel:
    home = net.home(operator)
    return open_channel(net.address, home.hub_root, home.key, home.certificate)


def test_a_client_without_a_certificate_is_refused(served: Network) -> None:
    credentials = grpc.ssl_channel_credentials(served.parties.hub.root_certificate.read_bytes())
    with grpc.secure_channel(served.address, credentials) as channel:
        stub = FederationServiceStub(channel)
        assert status(stub.Heartbeat, fed.HeartbeatRequest()) is grpc.StatusCode.UNAVAILABLE


def test_a_plain_text_client_is_refused(served: Network) -> None:
    with grpc.insecure_channel(served.address) as channel:
        stub = FederationServiceStub(channel)
        assert status(stub.Heartbeat, fed.HeartbeatRequest()) is grpc.StatusCode.UNAVAILABLE


def test_a_certificate_of_another_authority_is_refused(served: Network, tmp_path: Path) -> None:
    other = HubHome(tmp_path / "other")
    other.root.mkdir()
    found(other, "demo", ("localhost",))
    identity = Identity("demo", OPERATOR, "mno1")
    key = tmp_path / "forged.key"
    certificate = tmp_path / "forged.pem"
    certificate.write_bytes(sign(other, signing_request(new_key(key), identity), identity))
    with open_channel(served.address, served.parties.hub.root_certificate, key, certificate) as channel:
        stub = FederationServiceStub(channel)
        assert status(stub.Heartbeat, fed.HeartbeatRequest()) is grpc.StatusCode.UNAVAILABLE


def test_a_hub_of_another_authority_is_not_trusted(served: Network, tmp_path: Path) -> None:
    other = HubHome(tmp_path / "other")
    other.root.mkdir()
    found(other, "demo", ("localhost",))
    home = served.home("mno1")
    with open_channel(served.address, other.root_certificate, home.key, home.certificate) as channel:
        stub = FederationServiceStub(channel)
        assert status(stub.Heartbeat, fed.HeartbeatRequest()) is grpc.StatusCode.UNAVAILABLE


def test_an_operator_cannot_touch_the_order_of_another(served: Network) -> None:
    with served.office() as office:
        office.request("presence", START, START)
    with channel_of(served, "mno1") as channel:
        order = FederationServiceStub(channel).AcquireTask(fed.AcquireTaskRequest(), timeout=5).task_order
    digest = hashlib.sha256(order.payload).digest()
    data = b"forged"
    chunk = fed.PutChunkRequest(order_digest=digest, data=data, sha256=hashlib.sha256(data).digest())
    commit = fed.CommitContributionRequest(order_digest=digest, sha256=chunk.sha256, length=len(data))
    refusal = fed.RefuseTaskRequest(order_digest=digest, reason=fed.REFUSAL_REASON_DECLINED)
    with channel_of(served, "mno2") as channel:
        stub = FederationServiceStub(channel)
        assert status(stub.PutChunk, iter([chunk])) is grpc.StatusCode.NOT_FOUND
        assert status(stub.CommitContribution, commit) is grpc.StatusCode.NOT_FOUND
        assert status(stub.RefuseTask, refusal) is grpc.StatusCode.NOT_FOUND


def test_a_stream_of_nothing_or_of_several_orders_is_refused(served: Network) -> None:
    with served.office() as office:
        office.request("presence", START, START)
    with channel_of(served, "mno1") as channel:
        stub = FederationServiceStub(channel)
        order = stub.AcquireTask(fed.AcquireTaskRequest(), timeout=5).task_order
        digest, data = hashlib.sha256(order.payload).digest(), b"data"
        chunk = fed.PutChunkRequest(order_digest=digest, data=data, sha256=hashlib.sha256(data).digest())
        other = fed.PutChunkRequest(order_digest=bytes(32), data=data, sha256=chunk.sha256)
        assert status(stub.PutChunk, iter([])) is grpc.StatusCode.INVALID_ARGUMENT
        # They may come in one batch or in two; either way the first order has no published charge.
        assert status(stub.PutChunk, iter([chunk, other])) in {
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.FAILED_PRECONDITION,
        }
    assert served.hub_rows("SELECT count(*) FROM piece") == [(0,)]


def test_an_operator_cannot_act_as_an_office_nor_an_office_as_an_operator(served: Network) -> None:
    with channel_of(served, "mno1") as channel:
        stub = StatisticsServiceStub(channel)
        assert status(stub.ListProducts, stat.ListProductsRequest()) is grpc.StatusCode.PERMISSION_DENIED
    home = served.parties.office
    with open_channel(served.address, home.hub_root, home.key, home.certificate) as channel:
        federation = FederationServiceStub(channel)
        assert status(federation.Heartbeat, fed.HeartbeatRequest()) is grpc.StatusCode.PERMISSION_DENIED


def test_a_node_with_the_certificate_of_another_operator_does_not_start(served: Network) -> None:
    ours, theirs = served.home("mno1"), served.home("mno2")
    shutil.copy(theirs.certificate, ours.certificate)
    shutil.copy(theirs.key, ours.key)
    assert served.start_node("mno1").wait(30) == ExitCode.CONFIGURATION
    assert "belongs to spiffe://demo/operator/mno2/node/0" in served.log("mno1")


def test_an_operator_that_the_charter_does_not_name_is_told_so(served: Network, tmp_path: Path) -> None:
    identity = Identity("demo", OPERATOR, "stranger")
    key, certificate = tmp_path / "s.key", tmp_path / "s.pem"
    certificate.write_bytes(sign(served.parties.hub, signing_request(new_key(key), identity), identity))
    with open_channel(served.address, served.parties.hub.root_certificate, key, certificate) as channel:
        with pytest.raises(grpc.RpcError) as error:
            FederationServiceStub(channel).Heartbeat(fed.HeartbeatRequest(), timeout=5)
        assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert "operator stranger is not in version 1 of the charter" in str(error.value.details())


def test_rejected_calls_are_in_the_audit_trail(served: Network) -> None:
    from hub.store import store_of

    with channel_of(served, "mno1") as channel:
        status(StatisticsServiceStub(channel).ListProducts, stat.ListProductsRequest())
    store = store_of(served.parties.hub)
    try:
        lines = [(who, what) for _at, who, what, _detail in store.audit_lines()]
    finally:
        store.close()
    assert ("spiffe://demo/operator/mno1/node/0", "rejected ListProducts") in lines


def test_the_same_contribution_gets_the_same_receipt_and_another_one_is_refused(served: Network) -> None:
    for operator in served.parties.nodes:
        served.start_node(operator)
    with served.office() as office:
        release = office.request("presence", START, START)
        office.wait(release, 120, lambda _seen: None)
    (kept,) = served.home("mno1").receipts.glob("*.json")
    order_digest = bytes.fromhex(kept.stem)
    data = served.contributions()[release, "mno1"]
    again = fed.CommitContributionRequest(
        order_digest=order_digest, sha256=hashlib.sha256(data).digest(), length=len(data)
    )
    other = fed.CommitContributionRequest(
        order_digest=order_digest, sha256=hashlib.sha256(b"other").digest(), length=5
    )
    with channel_of(served, "mno1") as channel:
        stub = FederationServiceStub(channel)
        assert stub.CommitContribution(again, timeout=5).receipt == from_json(
            kept.read_bytes(), "the receipt"
        )
        assert status(stub.CommitContribution, other) is grpc.StatusCode.ALREADY_EXISTS
    assert "rejected CommitContribution" in served.log("hub")


def test_a_node_whose_operator_the_hub_does_not_know_ends_with_a_clear_message(net: Network) -> None:
    charter = Charter.read(net.parties.hub.charter)
    fewer = charter.model_copy(
        update={
            "operators": ("mno1", "mno2"),
            "keys": charter.keys.model_copy(
                update={
                    "operators": {name: charter.keys.operators[name] for name in ("mno1", "mno2")},
                    "exchange": {name: charter.keys.exchange[name] for name in ("mno1", "mno2")},
                }
            ),
            "publication": charter.publication.model_copy(update={"min_operators": 2}),
        }
    )
    net.parties.hub.charter.write_bytes(fewer.to_bytes())
    net.start_hub()
    assert net.start_node("mno3").wait(60) == ExitCode.REFUSED
    assert "operator mno3 is not in version 1 of the charter" in net.log("mno3")
    assert "Traceback" not in net.log("mno3")
