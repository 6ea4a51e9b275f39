"""Which certificates a server shows: looked at without trusting them, before anything is sent."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from privacy.errors import Unreachable

SECONDS = 10.0


@dataclass(frozen=True)
class Handshake:
    """What a TLS server showed.

    Attributes
    ----------
    chain
        Its certificate, then the others that it sent; nothing of it is verified.
    protocol
        Agreed by ALPN; empty if none.
    version
        Of TLS.
    """

    chain: tuple[x509.Certificate, ...]
    protocol: str
    version: str

    @property
    def root_fingerprint(self) -> str:
        """SHA-256 of the last certificate of the chain, hexadecimal."""
        return self.chain[-1].fingerprint(hashes.SHA256()).hex()


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of host:port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def shake_hands(address: str, own: tuple[Path, Path] | None = None, seconds: float = SECONDS) -> Handshake:
    """Connect by TLS as gRPC does, and return what the server shows. It is not trusted, and nothing is sent to it.

    Parameters
    ----------
    address
        host:port.
    own
        PEM files of certificate and key to show, if any.
    seconds
        How long to wait for each step.

    Raises
    ------
    Unreachable
        If nobody answers, or not with TLS.
    """
    host, port = split_address(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Trust is decided by the fingerprint of the chain, which must be seen first.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if own is not None:
        context.load_cert_chain(*own)
    try:
        with (
            socket.create_connection((host, port), timeout=seconds) as plain,
            context.wrap_socket(plain, server_hostname=host) as shown,
        ):
            return Handshake(_chain(shown), shown.selected_alpn_protocol() or "", shown.version() or "")
    except OSError as error:
        raise Unreachable(
            f"no TLS server answers at {address}: {error.strerror or type(error).__name__}",
            todo="look whether the address is right, the hub runs, and the firewall lets this machine out",
        ) from error


def _chain(shown: ssl.SSLSocket) -> tuple[x509.Certificate, ...]:
    """Return the certificates as they came; Python has a public name for this from 3.13 on."""
    public: Any = getattr(shown, "get_unverified_chain", None)
    if public is not None:
        return tuple(x509.load_der_x509_certificate(der) for der in public())
    inner: Any = shown._sslobj  # type: ignore[attr-defined]
    return tuple(
        x509.load_pem_x509_certificate(part.public_bytes().encode()) for part in inner.get_unverified_chain()
    )
