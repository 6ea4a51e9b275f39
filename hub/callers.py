"""Who makes a call: read from the certificate of its connection, never from a message."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from grpc import aio

from hub.errors import NotAllowed, NotValid
from privacy.errors import UsageProblem
from quorate.contract.identity import Identity, parse_identity

caller: ContextVar[Identity] = ContextVar("caller")
"""Who makes the call that is being handled."""
shown: ContextVar[x509.Certificate] = ContextVar("shown")
"""The certificate of the connection that it came over."""


def certificate_caller(context: aio.ServicerContext[Any, Any]) -> Identity:
    """Return the identity in the client certificate of a call (NotAllowed if there is none)."""
    found = [value.decode() for value in context.auth_context().get("x509_subject_alternative_name", [])]
    if len(found) != 1:
        raise NotAllowed("the client certificate does not state exactly one identity")
    try:
        return parse_identity(found[0])
    except UsageProblem as error:
        raise NotAllowed(error.what) from error


def stated_names(context: aio.ServicerContext[Any, Any]) -> str:
    """Return the names that a caller states by certificate, valid or not, for the audit trail."""
    names = context.auth_context().get("x509_subject_alternative_name", [])
    return b",".join(names).decode(errors="replace")


def shown_certificate(context: aio.ServicerContext[Any, Any]) -> x509.Certificate:
    """Return the certificate of a call's connection (NotAllowed if there is none)."""
    found = list(context.auth_context().get("x509_pem_cert", []))
    if len(found) != 1:
        raise NotAllowed("the connection shows no certificate")
    return x509.load_pem_x509_certificate(found[0])


def require_in_time(certificate: x509.Certificate) -> None:
    """Refuse a certificate that has expired since the connection was made (NotValid)."""
    if certificate.not_valid_after_utc <= datetime.now(UTC):
        raise NotValid(
            f"the certificate of the caller ended at {certificate.not_valid_after_utc.isoformat()}",
            todo="enrol again: the hub operator gives a token, or signs the request",
        )
