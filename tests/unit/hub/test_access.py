"""Who may call what: every method, role, network and operator."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from hub.access import ROLES, require_role, status_of
from hub.callers import certificate_caller
from hub.errors import Conflict, HubRefusal, Malformed, NotAllowed, NotFound
from privacy.errors import LedgerProblem, QuorateError, ResourceProblem, UsageProblem
from quorate.contract.identity import HUB, OFFICE, OPERATOR, Identity
from quorate.v1 import federation_pb2, statistics_pb2
from tests.support_hub import small_charter

CHARTER = small_charter()
OPERATORS_MAY = {
    "Heartbeat",
    "Renew",
    "ProbeUpload",
    "AcquireTask",
    "RenewLease",
    "RefuseTask",
    "PublishHead",
    "FetchLedger",
    "PutPeriodKey",
    "GetPeriodKey",
    "PutChunk",
    "CommitContribution",
    "FetchFactors",
}
ALL_MAY = {"Check", "List", "Watch"}
OFFICES_MAY = {"ListProducts", "RequestRelease", "WatchRelease", "GetEstimates"}


def every_method() -> set[str]:
    """Return every method that the contract declares, from its descriptors."""
    return {
        f"/{service.full_name}/{method.name}"
        for file in (federation_pb2.DESCRIPTOR, statistics_pb2.DESCRIPTOR, health_pb2.DESCRIPTOR)
        for service in file.services_by_name.values()
        for method in service.methods
    }


def test_every_method_of_the_contract_has_a_role_and_every_role_is_of_a_method() -> None:
    assert every_method() == set(ROLES)
    assert {name.rsplit("/", 1)[1] for name in every_method()} == OPERATORS_MAY | OFFICES_MAY | ALL_MAY
    assert len(every_method()) == 19


CALLERS = {
    "an operator of the charter": Identity("small", OPERATOR, "west"),
    "its second node": Identity("small", OPERATOR, "west", 1),
    "an operator that the charter does not name": Identity("small", OPERATOR, "south"),
    "an operator with an office's name": Identity("small", OPERATOR, "bureau"),
    "an operator of another network": Identity("other", OPERATOR, "west"),
    "an office": Identity("small", OFFICE, "bureau"),
    "an office with an operator's name": Identity("small", OFFICE, "west"),
    "an office of another network": Identity("other", OFFICE, "bureau"),
    "the hub": Identity("small", HUB),
    "the hub of another network": Identity("other", HUB),
}
ADMITTED = {
    "an operator of the charter": OPERATORS_MAY | ALL_MAY,
    "its second node": OPERATORS_MAY | ALL_MAY,
    "an office": OFFICES_MAY | ALL_MAY,
    "an office with an operator's name": OFFICES_MAY | ALL_MAY,
    "the hub": ALL_MAY,
}


@pytest.mark.parametrize(("who", "method"), list(product(CALLERS, sorted(every_method()))))
def test_a_call_is_admitted_by_the_table_alone(who: str, method: str) -> None:
    identity = CALLERS[who]
    if method.rsplit("/", 1)[1] in ADMITTED.get(who, set()):
        require_role(method, identity, CHARTER)
        return
    with pytest.raises(NotAllowed) as caught:
        require_role(method, identity, CHARTER)
    if identity.network != "small":
        assert caught.value.what == f"{identity.uri} is not of the network small"
    elif identity.role == OPERATOR and method.rsplit("/", 1)[1] in OPERATORS_MAY | ALL_MAY:
        assert caught.value.what == f"operator {identity.name} is not in version 1 of the charter"
        assert "ask the hub operator" in caught.value.todo
    else:
        assert caught.value.what == f"{identity.uri} may not call {method}"


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize(
    "method",
    [
        "",
        "Heartbeat",
        "/quorate.v1.FederationService/",
        "/quorate.v1.FederationService/Shutdown",
        "/quorate.v1.FederationService/heartbeat",
        "/quorate.v1.FederationService/Heartbeat/",
        "/quorate.v1.StatisticsService/Heartbeat",
        "/quorate.v2.FederationService/Heartbeat",
        "/grpc.health.v1.Health/Set",
    ],
)
def test_a_method_that_is_not_in_the_table_may_be_called_by_nobody(who: str, method: str) -> None:
    with pytest.raises(NotAllowed):
        require_role(method, CALLERS[who], CHARTER)


# --- who calls --------------------------------------------------------------------------------------------


def call(*names: bytes, **more: list[bytes]) -> Any:
    """Return as much of a call as says who makes it."""
    context: Mapping[str, list[bytes]] = {"x509_subject_alternative_name": list(names)} | more
    return SimpleNamespace(auth_context=lambda: context)


def test_the_caller_is_who_the_certificate_says() -> None:
    identity = certificate_caller(call(b"spiffe://small/operator/west/node/3"))
    assert identity == Identity("small", OPERATOR, "west", 3)


@pytest.mark.parametrize(
    "names",
    [
        (),
        (b"spiffe://small/operator/west/node/0", b"spiffe://small/operator/east/node/0"),
        (b"spiffe://small/hub", b"localhost", b"127.0.0.1"),
    ],
    ids=["no name", "two identities", "the hub's own"],
)
def test_a_certificate_without_exactly_one_name_is_refused(names: tuple[bytes, ...]) -> None:
    with pytest.raises(NotAllowed, match="does not state exactly one identity"):
        certificate_caller(call(*names))


def test_a_call_without_a_certificate_is_refused() -> None:
    with pytest.raises(NotAllowed):
        certificate_caller(SimpleNamespace(auth_context=dict))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [b"localhost", b"spiffe://small/operator/West/node/0", b""])
def test_a_name_that_is_no_identity_is_refused(name: bytes) -> None:
    with pytest.raises(NotAllowed, match="is not the identity of"):
        certificate_caller(call(name))


def test_the_common_name_of_a_certificate_says_nothing() -> None:
    with pytest.raises(NotAllowed):
        certificate_caller(call(x509_common_name=[b"spiffe://small/operator/west/node/0"]))


# --- statuses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotAllowed("no"), grpc.StatusCode.PERMISSION_DENIED),
        (NotFound("no"), grpc.StatusCode.NOT_FOUND),
        (Malformed("no"), grpc.StatusCode.INVALID_ARGUMENT),
        (Conflict("no"), grpc.StatusCode.ALREADY_EXISTS),
        (HubRefusal("no"), grpc.StatusCode.FAILED_PRECONDITION),
        (UsageProblem("no"), grpc.StatusCode.INVALID_ARGUMENT),
        (ResourceProblem("no"), grpc.StatusCode.UNAVAILABLE),
        (LedgerProblem("no"), grpc.StatusCode.INTERNAL),
        (QuorateError("no"), grpc.StatusCode.INTERNAL),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.name,
)
def test_errors_become_statuses_and_only_what_a_later_call_can_cure_is_unavailable(
    error: QuorateError, status: grpc.StatusCode
) -> None:
    assert status_of(error) is status
