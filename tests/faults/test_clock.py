"""The clocks of hub and node differ by a day: the operator is told, and the node works on by its own clock."""

from __future__ import annotations

import hashlib
import threading
import time

import pytest

from privacy.ledger.entry import GENESIS
from quorate.v1 import federation_pb2 as fed
from tests.harness import Network, wait_until
from tests.support_peers import FEDERATION, answering

NAME = "mno1"
DAY = 86_400.0


@pytest.mark.full
@pytest.mark.parametrize(("off", "warned"), [(-DAY, True), (DAY, True), (0.0, False)])
def test_a_clock_that_is_wrong_by_a_day_is_told_to_the_operator(
    net: Network, off: float, warned: bool
) -> None:
    asked = threading.Event()

    def heartbeat(_request: bytes) -> bytes:
        return fed.HeartbeatResponse(
            network="demo",
            charter_version=1,
            charter_digest=hashlib.sha256(net.parties.hub.charter.read_bytes()).digest(),
            ledger_head=bytes.fromhex(GENESIS),
            clock_seconds=int(time.time() + off),
        ).SerializeToString()

    def no_order(_request: bytes) -> bytes:
        asked.set()
        time.sleep(0.2)
        return b""

    served = {FEDERATION + "Heartbeat": heartbeat, FEDERATION + "AcquireTask": no_order}
    with answering(net.parties.hub, served, net.port):
        node = net.start_node(NAME)
        wait_until(asked.is_set, "the node to ask for orders", 120)
    assert node.poll() is None, net.log(NAME)
    assert ("have both set by a time service" in net.log(NAME)) is warned
