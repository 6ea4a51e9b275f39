"""A hub's process over real TLS with a few parties, without any data: for tests of who is let in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509

from hub.authority import certify
from hub.config import Home
from hub.requests import read_request
from quorate.contract.chain import parse_chain
from quorate.contract.identity import Identity, new_key, signing_request
from quorate.contract.transport import open_channel
from tests.harness import ROOT, wait_until


@dataclass(frozen=True)
class Hub:
    """A hub's directory with a process that serves."""

    home: Home
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def address(self) -> str:
        return self.home.address.read_text(encoding="utf-8").strip()

    @property
    def enrolment(self) -> str:
        return self.home.enrolment_address.read_text(encoding="utf-8").strip()

    def command(self, *arguments: str) -> str:
        """Run a command of quorate-hub in a process of its own; return what it prints."""
        name, *rest = arguments
        done = subprocess.run(
            [sys.executable, "-m", "hub", name, "--dir", str(self.home.root), *rest],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def listed(self) -> list[dict[str, Any]]:
        """Return the list of certificates."""
        found: list[dict[str, Any]] = json.loads(self.command("certificates", "--json"))
        return found

    def audited(self) -> list[tuple[str, str]]:
        """Return (who, what) of the audit trail."""
        return [(line["who"], line["what"]) for line in json.loads(self.command("audit", "--json"))]


@contextmanager
def serving(home: Home, *options: str) -> Iterator[Hub]:
    """Serve a hub's directory at free ports, with enrolment."""
    log = home.root.parent / f"{home.root.name}.log"
    ports = ("--listen", "localhost:0", "--listen-enrolment", "localhost:0")
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "hub", "serve", "--dir", str(home.root), *ports, *options],
            cwd=ROOT,
            stdout=out,
            stderr=out,
        )
    try:
        wait_until(lambda: home.address.exists() or process.poll() is not None, "the hub", 120)
        assert process.poll() is None, log.read_text(encoding="utf-8")
        yield Hub(home, process, log)
    finally:
        process.terminate()
        process.wait(30)


@dataclass(frozen=True)
class Party:
    """Somebody with a key, a certificate and a root that is trusted."""

    key: Path
    certificate: Path
    root: Path

    def channel(self, address: str) -> grpc.Channel:
        return open_channel(address, self.root, self.key, self.certificate)

    @property
    def shown(self) -> x509.Certificate:
        return parse_chain(self.certificate.read_bytes(), "the certificate")[0]

    @property
    def seconds_left(self) -> float:
        return (self.shown.not_valid_after_utc - datetime.now(UTC)).total_seconds()


def party(
    root: Path, authority: Home, identity: Identity, trusted: Home | None = None, seconds: float | None = None
) -> Party:
    """Make a key and have an authority sign a certificate, for so long; the root of `trusted` is pinned."""
    root.mkdir(parents=True)
    key, certificate = root / "own.key", root / "own.pem"
    request = read_request(signing_request(new_key(key), identity))
    life = None if seconds is None else timedelta(seconds=seconds)
    certificate.write_bytes(certify(authority, request, life))
    return Party(key, certificate, (trusted or authority).root_certificate)


def let_live(home: Home, seconds: float) -> None:
    """Let certificates that the hub issues from now on live so long."""
    home.config.write_text(f"certificate_days = {seconds / 86_400:.8f}\n", encoding="utf-8")


def outcome(channel: grpc.Channel, method: str, streams: bool, request: bytes = b"") -> grpc.StatusCode:
    """Return the status that a call with these bytes ends with."""
    make: Any = channel.unary_stream if streams else channel.unary_unary
    try:
        answer = make(method)(request, timeout=30)
        if streams:
            list(answer)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK
