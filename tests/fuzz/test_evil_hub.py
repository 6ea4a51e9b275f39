"""A daemon at an evil hub: whatever comes as an order is refused or dropped, nothing is charged, and it works on."""

from __future__ import annotations

import hashlib
import json
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privacy.ledger import verify
from privacy.ledger.entry import GENESIS
from quorate.contract.charter import Charter
from quorate.contract.identity import load_signing_key
from quorate.contract.order import ORDER_TYPE, TaskOrder, terms_of
from quorate.contract.signing import signed
from quorate.contract.zoning import Zoning
from quorate.v1 import federation_pb2 as fed
from tests.fuzz.mutation import RAW, chance, mutated, mutated_document, nested
from tests.harness import START, Network, wait_until
from tests.support_peers import FEDERATION, answering
from tests.unit.wire.test_recordings import NEWER

NAME = "mno1"


def order_of(net: Network) -> bytes:
    """Return the order that the honest hub would make."""
    charter, zoning = Charter.read(net.home(NAME).charter), Zoning.read(net.home(NAME).zoning)
    return TaskOrder(
        network=charter.network,
        operator=NAME,
        nonce="0" * 32,
        charter=charter.digest(),
        algorithm=charter.product("presence").algorithm,
        terms=terms_of(charter, zoning, "presence", (START, START), 0),
    ).to_bytes()


def hostile(order: bytes, count: int, key: Ed25519PrivateKey) -> list[bytes]:
    """Return answers with orders that the node must not work at, each with another payload, signed by the hub."""

    def envelope(payload: bytes) -> bytes:
        task, lease = signed(ORDER_TYPE, payload, key), fed.Lease(token=b"t", seconds=60)
        return fed.AcquireTaskResponse(task_order=task, lease=lease).SerializeToString()

    found = [envelope(raw) for raw in RAW]
    found += [envelope(b"{}") + NEWER, envelope(bytes(3 << 20)), envelope(nested(chance("evil", 0)))]
    found += [envelope(order.replace(b'"mno1"', b'"mno2"')), envelope(order + b" "), envelope(order[:-1])]
    for number in range(count):
        rng = chance("evil hub", number)
        change = mutated_document if number % 2 else mutated
        data = change(order, rng)
        if not _honest(data, order):
            found.append(envelope(data))
    return found


def _honest(data: bytes, order: bytes) -> bool:
    """Say whether an order differs in nothing but its nonce from one that the node works at."""
    try:
        found = json.loads(data)
    except ValueError:
        return False
    return isinstance(found, dict) and found | {"nonce": ""} == json.loads(order) | {"nonce": ""}


def test_a_daemon_refuses_hostile_orders_and_charges_nothing(net: Network) -> None:
    _refuses(net, 8)


@pytest.mark.full
def test_a_daemon_that_refused_hundreds_of_hostile_orders_answers_an_honest_hub(net: Network) -> None:
    _refuses(net, 400)
    _answers_honestly(net)


def _refuses(net: Network, count: int) -> None:
    """Run a daemon at a hub that has only hostile orders."""
    orders = hostile(order_of(net), count, load_signing_key(net.parties.hub.signing_key.read_bytes()))
    answers, refused, done = iter(orders), list[fed.RefuseTaskRequest](), threading.Event()

    def next_order(_request: bytes) -> bytes:
        answer = next(answers, None)
        if answer is None:
            done.set()
            done.wait(1)
        return answer or b""

    def heartbeat(_request: bytes) -> bytes:
        digest = hashlib.sha256(net.parties.hub.charter.read_bytes()).digest()
        answer = fed.HeartbeatResponse(
            network="demo", charter_version=1, charter_digest=digest, ledger_head=bytes.fromhex(GENESIS)
        )
        return answer.SerializeToString() + NEWER

    def refuse(request: bytes) -> bytes:
        refused.append(fed.RefuseTaskRequest.FromString(request))
        return NEWER

    evil = {"Heartbeat": heartbeat, "AcquireTask": next_order, "RefuseTask": refuse}
    with answering(net.parties.hub, {FEDERATION + name: answer for name, answer in evil.items()}, net.port):
        node = net.start_node(NAME)
        wait_until(lambda: done.is_set() or node.poll() is not None, "every order to be refused", 280)
    assert node.poll() is None, net.log(NAME)
    assert "a defect" not in net.log(NAME)
    assert verify(net.home(NAME).ledger)[0] == 0
    payloads = [fed.AcquireTaskResponse.FromString(order).task_order.payload for order in orders]
    assert {r.order_digest for r in refused} <= {hashlib.sha256(data).digest() for data in payloads}
    assert len(refused) >= len(set(payloads)) * 0.9
    assert all(r.reason for r in refused)
    print(f"\n{len(orders)} hostile orders, {len(refused)} refused")


def _answers_honestly(net: Network) -> None:
    net.start_hub()
    for operator in ("mno2", "mno3"):
        net.start_node(operator)
    with net.office() as office:
        release = office.request("presence", START, START)
        office.wait(release, 120, lambda _seen: None)
    assert (release, NAME) in net.contributions()
    assert verify(net.home(NAME).ledger)[0] == 1
