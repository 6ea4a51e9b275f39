"""Everything that the daemon will need is tried before it matters; beside each failure is what mends it."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Literal

import grpc
from cryptography.hazmat.primitives import hashes
from rich.table import Table

from node.config import Home
from node.daemon import check
from node.enrolment import Agreement, load
from node.ledgers import require_sound
from node.own_keys import require_own_keys
from privacy.errors import (
    ExitCode,
    PeerProblem,
    QuorateError,
    Refused,
    ResourceProblem,
    Unreachable,
    UsageProblem,
)
from quorate.contract.handshake import shake_hands, split_address
from quorate.contract.identity import load_certificate
from quorate.contract.order import CHUNK
from quorate.contract.transport import explained, open_channel
from quorate.v1 import federation_pb2 as pb
from quorate.v1.federation_pb2_grpc import FederationServiceStub

SECONDS, CALL_SECONDS = 10.0, 20.0
#: Pieces of the trial upload, of a mebibyte each.
PIECES = 10
#: Clocks that differ by more are told; certificates bear an hour, and days are counted on the node's clock.
CLOCK_SECONDS = 60
#: Room for the days that are built, for what is spilled, and for a ledger that is written anew.
FREE_BYTES = 5 * 10**9


@dataclass(frozen=True)
class Finding:
    """What came of one trial.

    Attributes
    ----------
    name
        What was tried.
    result
        `skipped` if something that it needs had failed.
    detail
        What was found.
    fix
        What to do, if it failed.
    code
        Exit code of a failure.
    """

    name: str
    result: Literal["ok", "failed", "skipped"]
    detail: str = ""
    fix: str = ""
    code: int = 0


class Trials:
    """Makes trials one after the other, and remembers what came of them."""

    def __init__(self) -> None:
        self.found: list[Finding] = []

    def attempt(self, name: str, action: Callable[[], str], *, needs: Sequence[str] = ()) -> None:
        """Try something, unless one of what it needs did not succeed.

        Parameters
        ----------
        name
            What is tried.
        action
            Returns what it found, or raises a QuorateError.
        needs
            Names of earlier trials.
        """
        good = {one.name for one in self.found if one.result == "ok"}
        if missing := [need for need in needs if need not in good]:
            self.found.append(Finding(name, "skipped", f"needs {missing[0]}"))
            return
        try:
            self.found.append(Finding(name, "ok", action()))
        except QuorateError as error:
            fix = error.todo or error.means
            self.found.append(Finding(name, "failed", error.what, fix, int(error.exit_code)))


def preflight(home: Home, hub: str | None) -> list[Finding]:
    """Try documents, keys, name, connection, TLS, identity, clock, upload, disk, ledger and data, in this order.

    Parameters
    ----------
    home
        The node's directory.
    hub
        host:port, or None for the address in node.toml.

    Raises
    ------
    UsageProblem
        If there is no such directory: nothing would be tried.
    """
    if not home.root.is_dir():
        raise UsageProblem(
            f"there is no node in {home.root}", todo="run quorate-node init first, or correct --dir"
        )
    trials = Trials()
    own: list[Agreement] = []
    trials.attempt("documents", lambda: _documents(home, own))
    trials.attempt("keys", lambda: _keys(home, own[0]), needs=["documents"])
    _network(trials, home, hub or (own[0].config.hub if own else ""), own)
    trials.attempt("disk", lambda: _disk(home))
    trials.attempt(
        "ledger and witness", lambda: f"{require_sound(home, own[0])} entries", needs=["documents"]
    )
    trials.attempt("code and data", lambda: "; ".join(check(home, own[0])), needs=["documents"])
    return trials.found


def _network(trials: Trials, home: Home, address: str, own: list[Agreement]) -> None:
    trials.attempt("name", lambda: _resolve(address))
    trials.attempt("connection", lambda: _connect(address), needs=["name"])
    trials.attempt("HTTP/2", lambda: _agree(address), needs=["connection"])
    trials.attempt("no interception", lambda: _root(home, address), needs=["connection"])
    trials.attempt("certificate", lambda: _certificate(home))
    needs = ["documents", "no interception", "certificate"]
    trials.attempt("identity and charter", lambda: _greet(home, address, own[0]), needs=needs)
    trials.attempt("clock", lambda: _clock(home, address), needs=["identity and charter"])
    trials.attempt("upload", lambda: _upload(home, address), needs=["identity and charter"])


def exit_code(found: Sequence[Finding]) -> ExitCode:
    """Return the exit code of the first failure."""
    return next((ExitCode(one.code) for one in found if one.result == "failed"), ExitCode.OK)


def table(found: Sequence[Finding]) -> Table:
    """Return the findings as a table."""
    shown = Table("what", "result", "found", "what to do")
    for one in found:
        shown.add_row(one.name, one.result, one.detail, one.fix)
    return shown


def _documents(home: Home, own: list[Agreement]) -> str:
    own.append(load(home))
    return f"{own[0].operator} in {own[0].charter.network}, version {own[0].charter.version} of the charter"


def _keys(home: Home, own: Agreement) -> str:
    require_own_keys(home, own.charter, own.operator)
    return "signing key and exchange key are those of the charter"


def _resolve(address: str) -> str:
    if not address.rpartition(":")[2].isdigit():
        raise UsageProblem(
            "there is no address of the hub", todo="set hub in node.toml, or give --hub host:port"
        )
    host, port = split_address(address)
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unreachable(
            f"the name {host} is not known here: {error.strerror}",
            todo="correct hub in node.toml, or have the name entered where this machine looks names up",
        ) from error
    return ", ".join(dict.fromkeys(str(place[4][0]) for place in places))


def _connect(address: str) -> str:
    host, port = split_address(address)
    try:
        with socket.create_connection((host, port), timeout=SECONDS) as line:
            return f"from {line.getsockname()[0]}"
    except OSError as error:
        raise Unreachable(
            f"no connection to {address}: {error.strerror or type(error).__name__}",
            todo=f"have the firewall let this machine out to port {port} of {host}, and ask whether the hub runs",
        ) from error


def _agree(address: str) -> str:
    shown = shake_hands(address)
    if (shown.protocol, shown.version) != ("h2", "TLSv1.3"):
        raise PeerProblem(
            f"agreed on {shown.version or 'no TLS'} with {shown.protocol or 'no protocol'}, not on TLSv1.3 with h2",
            todo="have every proxy between here and the hub pass this connection on as it is",
        )
    return "TLSv1.3 with h2"


def _root(home: Home, address: str) -> str:
    shown = shake_hands(address)
    pinned = load_certificate(home.hub_root).fingerprint(hashes.SHA256()).hex()
    if shown.root_fingerprint != pinned:
        issuer = shown.chain[-1].issuer.rfc4514_string()
        raise Refused(
            f"the chain shown ends with {shown.root_fingerprint} by {issuer!r}, not with the root that was pinned",
            todo="have the firewall or proxy that opens TLS leave this address alone; if there is none, call the hub",
        )
    return f"root {pinned[:16]}…"


def _certificate(home: Home) -> str:
    ends = load_certificate(home.certificate).not_valid_after_utc
    left = (ends - datetime.now(UTC)).total_seconds()
    if left <= 0:
        raise UsageProblem(
            f"the node's certificate ended {ends.isoformat()}",
            todo="look at this machine's clock; then get a token, and run quorate-node enrol with it",
        )
    return f"ends in {left / 86_400:.1f} days; the daemon renews it"


def _heartbeat(home: Home, address: str) -> pb.HeartbeatResponse:
    request = pb.HeartbeatRequest(software_version=version("quorate"), clock_seconds=int(time.time()))
    with open_channel(address, home.hub_root, home.key, home.certificate) as channel:
        try:
            answer: pb.HeartbeatResponse = FederationServiceStub(channel).Heartbeat(
                request, timeout=CALL_SECONDS
            )
        except grpc.RpcError as error:
            raise explained(error, address) from error
    return answer


def _greet(home: Home, address: str, own: Agreement) -> str:
    answer = _heartbeat(home, address)
    if answer.charter_digest.hex() != own.charter_digest:
        raise UsageProblem(
            f"the hub works under version {answer.charter_version} of the charter, not the one pinned here",
            todo="get the charter from the hub operator, read it, and run quorate-node enrol again",
        )
    return f"let in by the hub of {answer.network}, which has the same charter"


def _clock(home: Home, address: str) -> str:
    before = time.time()
    answer = _heartbeat(home, address)
    offset = (before + time.time()) / 2 - answer.clock_seconds
    if abs(offset) > CLOCK_SECONDS:
        raise ResourceProblem(
            f"this clock is {offset:+.0f} s from the hub's",
            todo="set this machine's clock by NTP; if it is right, tell the hub operator",
        )
    return f"{offset:+.0f} s from the hub's"


def _upload(home: Home, address: str) -> str:
    request, began = pb.ProbeUploadRequest(data=bytes(CHUNK)), time.monotonic()
    with open_channel(address, home.hub_root, home.key, home.certificate) as channel:
        stub = FederationServiceStub(channel)
        try:
            received = sum(stub.ProbeUpload(request, timeout=CALL_SECONDS).received for _ in range(PIECES))
        except grpc.RpcError as error:
            problem = explained(error, address)
            raise Unreachable(
                f"a piece of {CHUNK} bytes did not come through: {problem.what}",
                todo="have limits of size or time of proxies lifted for this address, or get a faster line",
            ) from error
    seconds = time.monotonic() - began
    if received != PIECES * CHUNK:
        raise PeerProblem("fewer bytes came than were sent", todo="report it to the hub operator")
    return f"{received / 1e6:.1f} MB in {seconds:.1f} s, {received / 1e6 / seconds:.1f} MB/s"


def _disk(home: Home) -> str:
    free = shutil.disk_usage(home.root).free
    if free < FREE_BYTES:
        raise ResourceProblem(
            f"{free / 1e9:.1f} GB are free, fewer than {FREE_BYTES / 1e9:.0f}",
            todo="make room on the disk of the node's directory",
        )
    return f"{free / 1e9:.1f} GB are free"
