"""Simulated nodes in one process: python -m tests.benchmarks.load_client ROOT ADDRESS CELLS OPERATOR ...

Obeys lines on its standard input and answers each with a line of JSON; moments are of the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from grpc import aio

from node.pace import Pace
from node.uplink import pieces_of
from privacy.ledger.entry import Entry, head_after
from quorate.contract.order import CHUNK, ENTRY_TYPE, TaskOrder
from quorate.contract.payload import encode
from quorate.contract.signing import signed
from quorate.contract.statements import HEAD_TYPE, RECEIPT_TYPE, Head, receipt_for
from quorate.v1 import federation_pb2 as pb
from quorate.v1.federation_pb2_grpc import FederationServiceStub
from tests.benchmarks.load_world import sigma
from tests.keys import key_for
from tests.support_hub import entry_for

POLL_SECONDS = 30
CALL_SECONDS = 300.0
BEAT_SECONDS = 0.01


class Node:
    """One operator's connection: it asks for an order, and answers with made-up cells."""

    def __init__(self, channel: aio.Channel, data: bytes) -> None:
        self._stub, self._data = FederationServiceStub(channel), data
        self._wait: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/bench/Wait")
        self._echo: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/bench/Echo")
        self._order = self._token = self._entry = b""

    async def hello(self) -> float:
        """Say that it is there; return how long the answer took."""
        start = time.monotonic()
        await self._stub.Heartbeat(pb.HeartbeatRequest(software_version="load"), timeout=CALL_SECONDS)
        return time.monotonic() - start

    async def hold(self) -> float:
        """Wait until it holds an order; return when that was."""
        request = pb.AcquireTaskRequest(wait_seconds=POLL_SECONDS)
        while not self._order:
            response = await self._stub.AcquireTask(request, timeout=POLL_SECONDS + CALL_SECONDS)
            self._order, self._token = response.task_order.payload, response.lease.token
        return time.monotonic()

    async def send(self) -> float:
        """Send its contribution; return when its receipt was there."""
        await self.charge()
        await self.put()
        return await self.commit()

    async def charge(self) -> None:
        """Publish the ledger entry that charges the order, as the next one of this operator."""
        order = TaskOrder.from_bytes(self._order, "the order")
        known = await self._stub.Heartbeat(pb.HeartbeatRequest(), timeout=CALL_SECONDS)
        place = {"sequence": known.ledger_sequence + 1, "previous": known.ledger_head.hex()}
        self._entry = entry_for(order.terms, self._data, **place).to_bytes()
        head = Head(
            network=order.network,
            operator=order.operator,
            sequence=known.ledger_sequence + 1,
            head=head_after(self._entry),
        )
        statement = signed(HEAD_TYPE, head.to_bytes(), key_for(order.operator))
        await self._stub.PublishHead(
            pb.PublishHeadRequest(head=statement, entries=[self._entry]), timeout=CALL_SECONDS
        )

    async def put(self) -> tuple[float, float]:
        """Send every piece, as `node.uplink` does; return when that began and when it ended."""
        began = time.monotonic()
        name, place, pace = hashlib.sha256(self._order).digest(), 0, Pace()
        while place < len(self._data):
            pieces = pieces_of(name, self._token, self._data, place, pace.next())
            place = (await self._stub.PutChunk(pieces, timeout=CALL_SECONDS)).received
            pace.done()
        return began, time.monotonic()

    async def commit(self) -> float:
        """Complete the contribution; return when its receipt was there."""
        name, entry = hashlib.sha256(self._order).digest(), self._entry
        order = TaskOrder.from_bytes(self._order, "the order")
        said = receipt_for(order, name.hex(), Entry.model_validate_json(entry), entry).to_bytes()
        await self._stub.CommitContribution(
            pb.CommitContributionRequest(
                order_digest=name,
                sha256=hashlib.sha256(self._data).digest(),
                length=len(self._data),
                ledger_entry=pb.Envelope(payload_type=ENTRY_TYPE, payload=entry),
                token=self._token,
                receipt=signed(RECEIPT_TYPE, said, key_for(order.operator)),
            ),
            timeout=CALL_SECONDS,
        )
        self._order = b""
        return time.monotonic()

    async def idle(self) -> None:
        """Ask for the next order, as a node does; the answer is not waited for."""
        request = pb.AcquireTaskRequest(wait_seconds=POLL_SECONDS)
        await self._stub.AcquireTask(request, timeout=POLL_SECONDS + CALL_SECONDS)

    async def wait(self) -> float:
        """Wait until the bare server answers; return when that was."""
        await self._wait(b"?", timeout=CALL_SECONDS)
        return time.monotonic()

    async def echo(self) -> float:
        """Send the contribution's bytes to the bare server, which answers with the digest of each piece."""
        for offset in range(0, len(self._data), CHUNK):
            await self._echo(self._data[offset : offset + CHUNK], timeout=CALL_SECONDS)
        return time.monotonic()


class Nodes:
    """The nodes of this process, and what they can be told to do."""

    def __init__(self, root: Path, address: str, cells: int, operators: list[str]) -> None:
        chance = np.random.default_rng(len(operators))
        hub_root = (root / "hub-root.pem").read_bytes()
        self._nodes = [
            Node(
                _channel(address, hub_root, root / operator),
                encode(_cells(chance, cells)),
            )
            for operator in operators
        ]
        self._idle: list[asyncio.Task[None]] = []
        self._beats: list[float] = []
        self._beating: asyncio.Task[None] | None = None
        self._waiting: asyncio.Future[list[Any]] | None = None
        self.commands: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
            "hello": lambda: self._each(Node.hello),
            "poll": lambda: self._begin(Node.hold),
            "wait": lambda: self._begin(Node.wait),
            "held": self._end,
            "send": lambda: self._then_idle(Node.send),
            "charge": lambda: self._each(Node.charge),
            "put": lambda: self._each(Node.put),
            "commit": lambda: self._then_idle(Node.commit),
            "echo": lambda: self._each(Node.echo),
            "size": self._size,
            "beat": self._beat,
            "beats": self._beaten,
        }

    async def _each(self, act: Callable[[Node], Coroutine[Any, Any, Any]]) -> list[Any]:
        return list(await asyncio.gather(*(act(node) for node in self._nodes)))

    async def _begin(self, act: Callable[[Node], Coroutine[Any, Any, Any]]) -> bool:
        for task in self._idle:
            task.cancel()
        self._idle.clear()
        self._waiting = asyncio.ensure_future(self._each(act))
        return True

    async def _end(self) -> list[Any]:
        assert self._waiting is not None
        return await self._waiting

    async def _then_idle(self, act: Callable[[Node], Coroutine[Any, Any, float]]) -> list[float]:
        async def one(node: Node) -> float:
            moment = await act(node)
            self._idle.append(asyncio.create_task(node.idle()))
            return moment

        return await self._each(one)

    async def _size(self) -> int:
        return sum(len(node._data) for node in self._nodes)

    async def _beat(self) -> bool:
        """Begin to measure heartbeats."""

        async def forever() -> None:
            while True:
                self._beats.append(await self._nodes[0].hello())
                await asyncio.sleep(BEAT_SECONDS)

        self._beats, self._beating = [], asyncio.create_task(forever())
        return True

    async def _beaten(self) -> list[float]:
        assert self._beating is not None
        self._beating.cancel()
        return self._beats


def _cells(chance: np.random.Generator, cells: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return counts of a few large zones and many small ones, with noise as a node adds it."""
    counts = chance.lognormal(3.0, 1.5, cells) + chance.normal(0, sigma(), cells)
    return np.rint(counts).astype(np.int64)


def _channel(address: str, root: bytes, own: Path) -> aio.Channel:
    key, certificate = (own.with_suffix(suffix).read_bytes() for suffix in (".key", ".pem"))
    credentials = grpc.ssl_channel_credentials(root, key, certificate)
    # Nodes of one process must not share a connection.
    return aio.secure_channel(address, credentials, options=[("grpc.use_local_subchannel_pool", 1)])


async def main(root: str, address: str, cells: str, *operators: str) -> None:
    """Obey until the standard input ends."""
    nodes = Nodes(Path(root), address, int(cells), list(operators))
    while command := (await asyncio.to_thread(sys.stdin.readline)).strip():
        print(json.dumps(await nodes.commands[command]()), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
