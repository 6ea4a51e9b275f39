"""An upload over a link so slow that calls end by their deadline: it goes on where it was, with fewer pieces."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hub.client.office import connect
from node import pace as pace_module
from node import uplink as uplink_module
from node.uplink import Uplink
from privacy.ledger import Recorded
from privacy.ledger.entry import Entry, head_after
from quorate.contract.order import CHUNK, TaskOrder
from quorate.contract.payload import encode
from quorate.contract.signing import signed
from quorate.contract.statements import HEAD_TYPE, RECEIPT_TYPE, Head, receipt_for
from quorate.contract.transport import open_channel
from quorate.v1 import federation_pb2 as pb
from tests.benchmarks.load_world import Place, hub, place_of
from tests.faults.balancer import Balancer
from tests.harness import free_port
from tests.keys import key_for
from tests.support_hub import DAY, entry_for

CELLS = 4_000_000
#: Bytes a second of the link, how long a call may take, and how long one that is quick takes: a tenth, as ever.
RATE, DEADLINE, QUICK = CHUNK, 2.0, 0.2
OPERATOR = "mno001"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    found = place_of(tmp_path, 2, CELLS)
    with hub(found):
        yield found


def publish(uplink: Uplink, order: TaskOrder, data: bytes) -> Recorded:
    """Publish the charge of some bytes as the first of an operator's ledger; return what a ledger would hold."""
    entry = entry_for(order.terms, data).to_bytes()
    said = Head(network=order.network, operator=OPERATOR, sequence=1, head=head_after(entry))
    uplink.publish(signed(HEAD_TYPE, said.to_bytes(), key_for(OPERATOR)), [entry])
    return Recorded(entry, said.head, data)


@pytest.mark.full
def test_an_upload_over_a_slow_link_goes_on_where_it_was(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(1).normal(0, 500, CELLS // 24 * 24).astype(np.int64)
    warnings: list[str] = []
    own, port = place.office.root / OPERATOR, free_port()
    with Balancer([place.port], port, seed=1, rate=RATE) as link:
        root, key, certificate = place.office.hub_root, own.with_suffix(".key"), own.with_suffix(".pem")
        with open_channel(f"localhost:{port}", root, key, certificate) as channel:
            uplink = Uplink(channel, place.address, threading.Event(), warnings.append)
            with connect(place.office, place.address) as office:
                office.request("presence", DAY, DAY)
            task = uplink.next_order(10)
            assert task is not None
            order = TaskOrder.from_bytes(task.task_order.payload, "the order")
            data = encode(values[: place.cells])
            assert len(data) > 4 * CHUNK
            recorded = publish(uplink, order, data)
            receipt = delivered(uplink, task, order, recorded, monkeypatch)
            passed = link.passed
    assert len(receipt.signatures) == 2
    assert warnings, "the first call takes longer than a call may"
    assert passed < 2 * len(data), "what the hub has is not sent again"


def delivered(
    uplink: Uplink,
    task: pb.AcquireTaskResponse,
    order: TaskOrder,
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
) -> pb.Envelope:
    """Send a contribution under deadlines that the first call does not keep; return its receipt."""
    digest = hashlib.sha256(task.task_order.payload)
    entry = Entry.model_validate_json(recorded.entry)
    said = receipt_for(order, digest.hexdigest(), entry, recorded.entry).to_bytes()
    monkeypatch.setattr(uplink_module, "CALL_SECONDS", DEADLINE)
    monkeypatch.setattr(pace_module, "QUICK_SECONDS", QUICK)
    return uplink.upload(
        digest.digest(), task.lease.token, recorded, signed(RECEIPT_TYPE, said, key_for(OPERATOR))
    )
