"""Tables of who may call: certificates, what was revoked, and invitations."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from hub.models import Base


class Issued(Base):
    """A certificate that was issued, or that somebody called with."""

    __tablename__ = "certificate"
    __table_args__ = (Index("ix_certificate_identity", "identity"),)

    serial: Mapped[str] = mapped_column(primary_key=True)
    """Hexadecimal."""
    identity: Mapped[str]
    issued_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    not_after: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    origin: Mapped[str]
    """How it came to be: a word of `hub.certificates`."""


class Revocation(Base):
    """A certificate that is not accepted any more, or an identity whose certificates up to a time are not."""

    __tablename__ = "revocation"
    __table_args__ = (Index("ix_revocation_serial", "serial"), Index("ix_revocation_identity", "identity"))

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    serial: Mapped[str]
    """Empty for an identity."""
    identity: Mapped[str]
    """Empty for a serial; for all nodes of an operator it ends with a slash."""
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    why: Mapped[str]


class Invitation(Base):
    """A one-time token for one identity, and what was given for it."""

    __tablename__ = "invitation"

    token_sha256: Mapped[str] = mapped_column(primary_key=True)
    identity: Mapped[str]
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    request_sha256: Mapped[str | None]
    """Of the request that it was spent by; None until then."""
    chain: Mapped[bytes | None] = mapped_column(LargeBinary)
