"""The list of certificates, and which of them were revoked.

Whether a certificate is accepted is looked up at every call, in the database that all hubs of a network share. A
certificate that is not on the list (signed elsewhere, or the database is older) is put on it at its first call. A
revocation names every certificate on the list, and the identity: one that is not on the list yet is refused if it
was issued before that. Who issues on the strength of another certificate looks under the lock of the revocations.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from sqlalchemy import ColumnElement, Row, bindparam, exists, or_, select, text
from sqlalchemy.orm import Session

from hub.database import Database, in_utc
from hub.errors import NotValid
from hub.identity_models import Invitation, Issued, Revocation
from privacy.errors import UsageProblem
from quorate.contract.chain import issued_at
from quorate.contract.identity import OPERATOR, Identity, certificate_identity, parse_identity

SIGNED, ENROLLED, RENEWED, OWN, SEEN = "signed", "enrolled", "renewed", "own", "seen"
_LEAST_SERIAL = 16
_LISTED = exists().where(Issued.serial == bindparam("serial"))
#: Whether a certificate is on the list, and whether it was revoked; put together once, because every call asks it.
_STANDING = select(
    _LISTED.label("listed"),
    exists()
    .where(
        or_(
            Revocation.serial == bindparam("serial"),
            ~_LISTED
            & Revocation.identity.in_((bindparam("identity"), bindparam("whole")))
            & (Revocation.at >= bindparam("issued")),
        )
    )
    .label("revoked"),
)


@dataclass(frozen=True)
class Listed:
    """A certificate as it is shown; `revoked` is empty, or when and why."""

    serial: str
    identity: str
    issued: datetime
    not_after: datetime
    origin: str
    revoked: str


class Certificates:
    """Certificates and revocations of a network.

    Parameters
    ----------
    database
        The hub's.
    """

    def __init__(self, database: Database) -> None:
        self._session = database.session

    def record(
        self, certificate: x509.Certificate, origin: str, after: x509.Certificate | None = None
    ) -> None:
        """Put a certificate on the list; one that is there stays as it is.

        Parameters
        ----------
        certificate, origin
            The certificate, and how it came to be.
        after
            The certificate on whose strength it was issued.

        Raises
        ------
        NotValid
            If that one has been revoked.
        """
        with self._session() as session:
            lock_revocations(session)
            if after is not None:
                require_not_revoked(session, after)
            add_certificate(session, certificate, origin)

    def require_standing(self, certificate: x509.Certificate) -> bool:
        """Refuse a certificate that was revoked (NotValid); return whether it was new to the list."""
        with self._session(reading=True) as session:
            found = _standing(session, certificate)
        if found.revoked:
            raise _was_revoked(certificate)
        if found.listed:
            return False
        self.record(certificate, SEEN, after=certificate)
        return True

    def revoke(self, target: str, network: str, why: str, operators: Collection[str] = ()) -> list[str]:
        """Revoke a serial number, an operator, one of its nodes, or an office; return the serials on the list.

        Invitations for that identity are cancelled as well.

        Parameters
        ----------
        target
            `SERIAL`, `OPERATOR`, `OPERATOR/N` or `office/NAME`.
        network
            Trust domain.
        why
            For the list.
        operators
            Those that may be revoked although they have no certificate on the list.

        Raises
        ------
        UsageProblem
            If it is none of these, or nobody whom the list or `operators` name.
        """
        with self._session() as session:
            lock_revocations(session)
            if (serial := _serial_in(session, target)) is not None:
                _revoke_all(session, [serial], "", why)
                return [serial]
            identity = identity_of_target(target, network)
            serials = list(session.scalars(select(Issued.serial).where(_matches(identity))))
            if not serials and target.partition("/")[0] not in operators:
                raise UsageProblem(
                    f"no certificate of {target} is on the list, and the charter does not name it",
                    todo="look for it with quorate-hub certificates",
                )
            _revoke_all(session, serials, identity, why)
            for invitation in session.scalars(select(Invitation)):
                if _covers(identity, invitation.identity):
                    invitation.expires_at = min(in_utc(invitation.expires_at), datetime.now(UTC))
            return serials

    def listed(self) -> list[Listed]:
        """Return every certificate, oldest first."""
        with self._session(reading=True) as session:
            reasons = {
                line.serial: f"{in_utc(line.at).isoformat(timespec='seconds')} {line.why}".strip()
                for line in session.scalars(select(Revocation).order_by(Revocation.number.desc()))
            }
            rows = session.scalars(select(Issued).order_by(Issued.issued_at, Issued.serial))
            return [
                Listed(
                    row.serial,
                    row.identity,
                    in_utc(row.issued_at),
                    in_utc(row.not_after),
                    row.origin,
                    reasons.get(row.serial, ""),
                )
                for row in rows
            ]


def serial_of(certificate: x509.Certificate) -> str:
    """Return the serial number of a certificate, hexadecimal."""
    return f"{certificate.serial_number:x}"


def lock_revocations(session: Session) -> None:
    """Let nobody revoke, or issue, until this transaction ends (SQLite has one writer anyway)."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE revocation IN SHARE ROW EXCLUSIVE MODE"))


def require_not_revoked(session: Session, certificate: x509.Certificate) -> None:
    """Refuse a certificate that was revoked (NotValid)."""
    if _standing(session, certificate).revoked:
        raise _was_revoked(certificate)


def _standing(session: Session, certificate: x509.Certificate) -> Row[bool, bool]:
    """Return whether a certificate is on the list, and whether it was revoked."""
    identity = certificate_identity(certificate).uri
    return session.execute(
        _STANDING,
        {
            "serial": serial_of(certificate),
            "identity": identity,
            "whole": identity.rsplit("/", 1)[0] + "/",
            "issued": issued_at(certificate),
        },
    ).one()


def _was_revoked(certificate: x509.Certificate) -> NotValid:
    return NotValid(
        f"the certificate {serial_of(certificate)} of {certificate_identity(certificate).uri} was revoked",
        todo="ask the hub operator why; a new one comes with a new token, or a request that is signed again",
    )


def add_certificate(session: Session, certificate: x509.Certificate, origin: str) -> None:
    """Put a certificate on the list, if it is not there."""
    if session.get(Issued, serial_of(certificate)) is None:
        session.add(
            Issued(
                serial=serial_of(certificate),
                identity=certificate_identity(certificate).uri,
                issued_at=issued_at(certificate),
                not_after=certificate.not_valid_after_utc,
                origin=origin,
            )
        )


def identity_of_target(target: str, network: str) -> str:
    """Return the SPIFFE URI of a node or an office, or what those of an operator begin with, slash included."""
    if target.startswith("office/"):
        return parse_identity(f"spiffe://{network}/{target}").uri
    name, _, node = target.partition("/")
    uri = parse_identity(f"spiffe://{network}/{OPERATOR}/{name}/node/{node or 0}").uri
    return uri if node else uri.removesuffix("0")


def identity_of_node(network: str, operator: str, node: int) -> Identity:
    """Return the identity of an operator's node (UsageProblem if the name is not allowed)."""
    return parse_identity(Identity(network, OPERATOR, operator, node).uri)


def _serial_in(session: Session, target: str) -> str | None:
    """Return the serial number that is meant, if it is one on the list."""
    serial = target.lower().replace(":", "").lstrip("0")
    if session.get(Issued, serial) is not None:
        return serial
    if len(serial) >= _LEAST_SERIAL and set(serial) <= set("0123456789abcdef"):
        raise UsageProblem(
            f"there is no certificate with the serial number {target}",
            todo="look for it with quorate-hub certificates, or revoke the whole OPERATOR, OPERATOR/N or office/NAME",
        )
    return None


def _revoke_all(session: Session, serials: list[str], identity: str, why: str) -> None:
    now = datetime.now(UTC)
    before = set(session.scalars(select(Revocation.serial).where(Revocation.serial.in_(serials))))
    new = [
        Revocation(serial=serial, identity="", at=now, why=why[:500])
        for serial in serials
        if serial not in before
    ]
    session.add_all(new)
    if identity:
        session.add(Revocation(serial="", identity=identity, at=now, why=why[:500]))


def _covers(pattern: str, identity: str) -> bool:
    return identity.startswith(pattern) if pattern.endswith("/") else identity == pattern


def _matches(pattern: str) -> ColumnElement[bool]:
    if pattern.endswith("/"):
        return Issued.identity.startswith(pattern, autoescape=True)
    return Issued.identity == pattern
