"""The node's certificate is renewed half-way through its life, and the line to the hub goes on with the new one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from node.config import Home
from node.line import Line
from privacy.errors import QuorateError, Refused, UsageProblem, place_of
from quorate.contract.canonical import read_bytes
from quorate.contract.chain import half_life, parse_chain, replace_file, require_issued
from quorate.contract.identity import certificate_identity, load_certificate, signing_request
from quorate.contract.transport import explained, open_channel
from quorate.v1 import federation_pb2 as pb
from quorate.v1.federation_pb2_grpc import FederationServiceStub

CALL_SECONDS = 20.0
#: The node looks at its certificate at least so often: a clock may be set, and a file be replaced by hand.
LOOK_SECONDS = 600.0


@contextmanager
def renewed_channel(home: Home, address: str, log: logging.Logger) -> Iterator[grpc.Channel]:
    """Open a line to the hub whose certificate is renewed in the background while the block runs.

    Parameters
    ----------
    home
        The node's directory.
    address
        host:port of the hub.
    log
        Where renewals and their failures are told.
    """
    stop = threading.Event()
    with Line(_open(home, address)) as line:
        renewal = Renewal(home, address, line, log)
        thread = threading.Thread(target=renewal.run, args=(stop,), name="renewal", daemon=True)
        thread.start()
        try:
            yield line
        finally:
            stop.set()
            # A call that nobody answers does not keep the node from ending.
            thread.join(1.0)


class Renewal:
    """Keeps a node's certificate from expiring.

    Parameters
    ----------
    home, address, log
        As of `renewed_channel`.
    line
        Gets a new channel for every new certificate.
    """

    def __init__(self, home: Home, address: str, line: Line, log: logging.Logger) -> None:
        self._home, self._address, self._line, self._log = home, address, line, log
        self._in_use = load_certificate(home.certificate)

    def run(self, stop: threading.Event) -> None:
        """Renew at half-life, again and again; a failure is told, and tried again."""
        while not stop.wait(self.pause()):
            try:
                self.step()
            except QuorateError as error:
                until = self._in_use.not_valid_after_utc
                self._log.error(
                    "the certificate was not renewed, it ends %s: %s; %s",
                    until.isoformat(),
                    error,
                    error.todo,
                )
            except Exception as error:  # noqa: BLE001 - the thread that renews must not end
                self._log.error("a defect of Quorate: %s", place_of(error))

    def pause(self) -> float:
        """Return the seconds until there is something to do; after a failure a twentieth of what is left."""
        now = datetime.now(UTC)
        wait = (half_life(self._in_use) - now).total_seconds()
        if wait <= 0:
            wait = (self._in_use.not_valid_after_utc - now).total_seconds() / 20
        return min(max(wait, 0.5), LOOK_SECONDS)

    def step(self) -> None:
        """Take a certificate that was put there by hand, or get a new one if it is time."""
        here = load_certificate(self._home.certificate)
        if here == self._in_use and datetime.now(UTC) < half_life(here):
            return
        if here == self._in_use:
            here = renew(self._home, self._address)
            self._log.info("the certificate was renewed and ends %s", here.not_valid_after_utc.isoformat())
        self._line.switch(_open(self._home, self._address))
        self._in_use = here


def renew(home: Home, address: str) -> x509.Certificate:
    """Get a new certificate for the node's key from the hub, put it in the place of the old one, and return it.

    Raises
    ------
    PeerProblem
        If the hub does not answer, refuses, or sends something else.
    """
    key, old = private_key(home), load_certificate(home.certificate)
    request = pb.RenewRequest(signing_request=signing_request(key, certificate_identity(old)))
    with _open(home, address) as channel:
        try:
            answer = FederationServiceStub(channel).Renew(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            raise explained(error, address) from error
    return install(home, answer.certificate_chain, old)


def install(home: Home, pem: bytes, old: x509.Certificate) -> x509.Certificate:
    """Put a chain that the hub sent in the place of the old certificate, if it is one of the same identity.

    Raises
    ------
    Refused
        If it is not, or does not lead to the root that was pinned.
    """
    try:
        chain = parse_chain(pem, "what the hub sent")
        require_issued(chain, load_certificate(home.hub_root), "that the hub sent")
        same = certificate_identity(chain[0]) == certificate_identity(old)
    except UsageProblem as error:
        raise Refused(error.what, todo="report it to the hub operator") from error
    if not same or chain[0].public_key() != private_key(home).public_key():
        raise Refused("the hub sent a certificate of somebody else", todo="report it to the hub operator")
    replace_file(home.certificate, pem)
    return chain[0]


def private_key(home: Home) -> ec.EllipticCurvePrivateKey:
    """Return the node's key (UsageProblem if there is none, or of another kind)."""
    try:
        key = serialization.load_pem_private_key(read_bytes(home.key), password=None)
    except (ValueError, TypeError) as error:
        raise UsageProblem(f"{home.key} is not a PEM private key without a password") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UsageProblem(f"{home.key} is not the key that quorate-node init makes")
    return key


def _open(home: Home, address: str) -> grpc.Channel:
    return open_channel(address, home.hub_root, home.key, home.certificate)
