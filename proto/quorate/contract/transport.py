"""gRPC channels with mutual TLS, and errors of calls turned into errors that explain themselves."""

from __future__ import annotations

from pathlib import Path

import grpc

from privacy.errors import PeerProblem, QuorateError, Refused, Unreachable
from quorate.contract.canonical import read_bytes
from quorate.contract.requests import REQUEST_KEY

#: Metadata of a failed call in which the hub says what to do.
TODO_KEY = "quorate-todo"
_OPTIONS = [
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.enable_retries", 0),
]


def open_channel(address: str, root: Path, key: Path, certificate: Path) -> grpc.Channel:
    """Open a channel to the hub; both sides show a certificate.

    Parameters
    ----------
    address
        host:port; the host must be one that the hub's certificate names.
    root
        PEM root certificate of the hub, the only one that is trusted.
    key, certificate
        PEM files of the caller.
    """
    credentials = grpc.ssl_channel_credentials(read_bytes(root), read_bytes(key), read_bytes(certificate))
    return grpc.secure_channel(address, credentials, options=_OPTIONS)


def explained(error: grpc.RpcError, address: str) -> QuorateError:
    """Return the error of a call as one that says what to do."""
    code, details = error.code(), error.details() or ""
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
        return _unreachable(details, address)
    told = {item.key: str(item.value) for item in error.trailing_metadata() or ()}
    todo, call = told.get(TODO_KEY, ""), told.get(REQUEST_KEY, "")
    means = f"the hub's log and audit trail tell more under request {call}" if call else ""
    if code is grpc.StatusCode.UNAUTHENTICATED or code is grpc.StatusCode.PERMISSION_DENIED:
        return Refused(f"the hub at {address} refuses: {details}", means=means, todo=todo)
    if code is grpc.StatusCode.CANCELLED:
        return PeerProblem("the call was cancelled")
    return Refused(f"the hub at {address} refuses ({code.name}): {details}", means=means, todo=todo)


def _unreachable(details: str, address: str) -> Unreachable:
    if "CERTIFICATE_VERIFY_FAILED" in details or "Hostname Verification" in details or "Peer name" in details:
        return Unreachable(
            f"the certificate shown at {address} is not the hub's",
            means="it is not signed by the root that was pinned, or is for another host name",
            todo="check the address, and get the root certificate and its fingerprint from the hub operator",
        )
    return Unreachable(
        f"the hub at {address} does not answer",
        means="it is not running, the address is wrong, or it does not accept this certificate",
        todo="start the hub or correct the address; if it runs, have it issue a new certificate",
    )
