"""Certificates that are renewed while the hub runs: those of nodes by a call, the hub's own by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

import grpc
from cryptography import x509

from hub.authority import certify, renew_own, shown_chain
from hub.certificates import OWN, RENEWED, Certificates
from hub.config import Home
from hub.requests import read_request, require_asks_for
from privacy.errors import QuorateError
from quorate.contract.canonical import read_bytes
from quorate.contract.chain import half_life, parse_chain
from quorate.contract.identity import Identity, load_certificate

log = logging.getLogger("quorate.hub")
#: The hub looks at its own certificate at least so often: a clock may be set, and a file be replaced.
LOOK_SECONDS = 600.0
_SOON = 1.0
_AGAIN = 30.0


class Renewals:
    """New certificates for callers who have one.

    Parameters
    ----------
    home
        The hub's directory with the authority's key.
    certificates
        The list of certificates.
    """

    def __init__(self, home: Home, certificates: Certificates) -> None:
        self._home, self._certificates = home, certificates

    def renew(self, request: bytes, caller: Identity, shown: x509.Certificate) -> bytes:
        """Return a new chain for the identity of the caller.

        Parameters
        ----------
        request
            PEM signing request.
        caller, shown
            Who calls, and the certificate of the connection.

        Raises
        ------
        UsageProblem
            If the request is malformed, or asks for another identity.
        NotValid
            If the certificate that was shown has been revoked in between.
        """
        asked = read_request(request)
        require_asks_for(asked, caller)
        chain = certify(self._home, asked)
        self._certificates.record(parse_chain(chain, "the new certificate")[0], RENEWED, after=shown)
        return chain


def server_credentials(home: Home, *, clients: bool) -> grpc.ServerCredentials:
    """Return credentials that follow the hub's files: a renewed certificate is shown to the next who connects.

    Parameters
    ----------
    home
        The hub's directory.
    clients
        Whether who connects must show a certificate under the root.
    """
    root = read_bytes(home.root_certificate)

    def configuration() -> grpc.ServerCertificateConfiguration:
        pair = (read_bytes(home.key), shown_chain(home))
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=root if clients else None)

    follow = _Follow(home, configuration)
    return grpc.dynamic_ssl_server_credentials(
        configuration(),
        follow.changed,  # type: ignore[arg-type]  # None says that nothing changed
        require_client_authentication=clients,
    )


class _Follow:
    """Reads the hub's certificate again when its file has changed."""

    def __init__(self, home: Home, read: Callable[[], grpc.ServerCertificateConfiguration]) -> None:
        self._home, self._read = home, read
        self._state = self._look()

    def _look(self) -> tuple[int, int]:
        status = self._home.certificate.stat()
        return status.st_mtime_ns, status.st_ino

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the new certificate, or None if it is still the same (gRPC asks before every handshake)."""
        try:
            state = self._look()
            if state == self._state:
                return None
            found, self._state = self._read(), state
        except (OSError, QuorateError) as error:
            log.error("the hub's certificate cannot be read, the old one is shown: %s", error)
            return None
        return found


async def renew_own_forever(home: Home, certificates: Certificates) -> None:
    """Renew the hub's own certificate half-way through its life, again and again."""
    while True:
        try:
            left = await asyncio.to_thread(renew_own_if_due, home, certificates)
        except QuorateError as error:
            log.error("the hub's certificate was not renewed: %s; %s", error, error.todo)
            left = _AGAIN
        await asyncio.sleep(min(max(left, _SOON), LOOK_SECONDS))


def renew_own_if_due(home: Home, certificates: Certificates) -> float:
    """Renew the hub's certificate if half its life is over; return the seconds until that is so again."""
    own = load_certificate(home.certificate)
    if datetime.now(UTC) >= half_life(own):
        own = renew_own(home)
        log.info("the hub has a new certificate, valid until %s", own.not_valid_after_utc.isoformat())
    certificates.record(own, OWN)
    return (half_life(own) - datetime.now(UTC)).total_seconds()
