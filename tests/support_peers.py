"""Peers that say anything: a real hub process with its callers as raw bytes, and a server that answers raw bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import psutil

from hub.authority import sign
from hub.config import Agreement, Home
from hub.database import sqlite_at
from quorate.contract.identity import OFFICE, OPERATOR, Identity, new_key, signing_request
from quorate.contract.transport import open_channel
from quorate.v1.federation_pb2_grpc import FederationServiceServicer
from quorate.v1.statistics_pb2_grpc import StatisticsServiceServicer
from tests.harness import ROOT, wait_until
from tests.support_hub import NETWORK, Kept, write_hub_home
from tests.wire.examples import methods

S = grpc.StatusCode
FEDERATION, STATISTICS = "/quorate.v1.FederationService/", "/quorate.v1.StatisticsService/"
#: What a hub may answer to a caller who is wrong. INTERNAL and UNKNOWN are defects of a handler.
TYPED = frozenset({
    S.OK,
    S.INVALID_ARGUMENT,
    S.FAILED_PRECONDITION,
    S.NOT_FOUND,
    S.ALREADY_EXISTS,
    S.PERMISSION_DENIED,
    S.RESOURCE_EXHAUSTED,
    S.UNAUTHENTICATED,
    S.ABORTED,
})  # fmt: skip
#: Methods that take a stream, and those that answer with one.
SENT = {FEDERATION + "PutChunk"}
STREAMED = {name for name, _request, _response, streamed in methods() if streamed}


def served() -> list[str]:
    """Return the methods that this version's hub has handlers for, at the address of its callers."""
    from hub.federation import Federation
    from hub.statistics import Statistics

    pairs: list[tuple[str, type, type]] = [
        (FEDERATION, Federation, FederationServiceServicer),
        (STATISTICS, Statistics, StatisticsServiceServicer),
    ]
    return [
        prefix + name
        for prefix, own, base in pairs
        for name, method in vars(base).items()
        if callable(method) and getattr(own, name) is not method
    ]


@dataclass(frozen=True)
class Answer:
    """What came back for a call: its status, what it says, and the answers as bytes."""

    status: grpc.StatusCode
    details: str
    answers: list[bytes]


@dataclass
class Caller:
    """Somebody with a certificate of the hub who sends bytes as they are."""

    channel: grpc.Channel
    name: str
    _calls: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def send(self, method: str, data: bytes, timeout: float = 20.0) -> Answer:
        """Send bytes as the request of a method."""
        make = self.channel.unary_stream if method in STREAMED else self.channel.unary_unary
        if method not in self._calls:
            self._calls[method] = make(method)
        try:
            got = self._calls[method](data, timeout=timeout)
            return Answer(S.OK, "", list(got) if method in STREAMED else [got])
        except grpc.RpcError as error:
            return Answer(error.code(), error.details() or "", [])


@dataclass
class Served:
    """A hub at work in a process of its own, and the addresses of its callers."""

    home: Home
    process: psutil.Process
    address: str
    log: Path
    stack: ExitStack

    @property
    def kept(self) -> Kept:
        """What it keeps."""
        return Kept(sqlite_at(self.home.database), self.home.objects)

    def rows(self) -> dict[str, int]:
        """Return the number of rows of every table."""
        tables = ("release", "task", "piece", "contribution", "audit")
        return {name: self.kept.execute(f"SELECT count(*) FROM {name}")[0][0] for name in tables}  # noqa: S608

    def resident(self) -> int:
        """Return the bytes of memory that it has."""
        return int(self.process.memory_info().rss)

    def caller(self, role: str, name: str) -> Caller:
        """Return somebody with a certificate of this hub."""
        identity = Identity(NETWORK, role, name)
        key, certificate = self.home.root / f"{name}.key", self.home.root / f"{name}.pem"
        if not key.exists():
            certificate.write_bytes(sign(self.home, signing_request(new_key(key), identity), identity))
        channel = open_channel(self.address, self.home.root_certificate, key, certificate)
        return Caller(self.stack.enter_context(channel), name)

    def operator(self, name: str) -> Caller:
        """Return an operator's node."""
        return self.caller(OPERATOR, name)

    def office(self, name: str = "bureau") -> Caller:
        """Return a statistical office."""
        return self.caller(OFFICE, name)


@contextmanager
def served_hub(root: Path, own: Agreement | None = None, module: str = "hub") -> Iterator[Served]:
    """Run a hub on SQLite in a process of its own until the block ends; `module` is its command line."""
    home, log = write_hub_home(root, own), root.parent / f"{root.name}.log"
    command = [sys.executable, "-m", module, "serve", "--dir", str(root), "--listen", "localhost:0"]
    with log.open("wb") as file, ExitStack() as stack:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file, env=dict(os.environ))
        try:
            wait_until(lambda: home.address.exists() or process.poll() is not None, "the hub")
            assert process.poll() is None, log.read_text()
            yield Served(home, psutil.Process(process.pid), home.address.read_text().strip(), log, stack)
        finally:
            stack.close()
            process.terminate()
            process.wait(20)


class _Answers(grpc.GenericRpcHandler):
    def __init__(self, answers: Mapping[str, Callable[[bytes], bytes]]) -> None:
        self._answers = answers

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        answer = self._answers.get(details.method)
        if answer is None:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda request, _context: answer(request))


@contextmanager
def answering(home: Home, answers: Mapping[str, Callable[[bytes], bytes]], port: int = 0) -> Iterator[str]:
    """Serve with a hub's certificate whatever some functions return, as bytes; yield the address."""
    credentials = grpc.ssl_server_credentials(
        [(home.key.read_bytes(), home.certificate.read_bytes())],
        root_certificates=home.root_certificate.read_bytes(),
        require_client_auth=True,
    )
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, handlers=[_Answers(answers)], options=[("grpc.so_reuseport", 0)])
        bound = server.add_secure_port(f"localhost:{port}", credentials)
        server.start()
        try:
            yield f"localhost:{bound}"
        finally:
            server.stop(None).wait()
