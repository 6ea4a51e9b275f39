"""Tables of the hub's database; how they came to be is in `hub.migrations`."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    DateTime,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of all tables."""


class Release(Base):
    """All contributions of a product and period, combined."""

    __tablename__ = "release"
    __table_args__ = (
        UniqueConstraint("product", "first_day", "last_day", "revision", name="uq_release_product"),
        Index("ix_release_state", "state"),
    )

    release_id: Mapped[str] = mapped_column(primary_key=True)
    product: Mapped[str]
    first_day: Mapped[date]
    last_day: Mapped[date]
    revision: Mapped[int]
    state: Mapped[str]
    deadline: Mapped[float] = mapped_column(Double)
    """Seconds since the epoch on the hub's clock; nobody else sees it."""
    estimates_sha256: Mapped[str | None]
    """Names an Arrow stream among the hub's files."""


class Task(Base):
    """One task order to one operator."""

    __tablename__ = "task"
    __table_args__ = (
        UniqueConstraint("release_id", "operator", name="uq_task_release_id"),
        Index("ix_task_operator", "operator", "state"),
    )

    order_digest: Mapped[str] = mapped_column(primary_key=True)
    release_id: Mapped[str] = mapped_column(ForeignKey("release.release_id", name="fk_task_release"))
    operator: Mapped[str]
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str]
    refusal: Mapped[str] = mapped_column(default="")
    statement: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The refusal as the operator signed it."""
    phase: Mapped[str] = mapped_column(default="")
    lease_token: Mapped[str] = mapped_column(default="")
    """SHA-256 of the token of the lease in force; empty before the first."""
    lease_node: Mapped[int | None]
    lease_until: Mapped[float] = mapped_column(Double, default=0.0)
    """Seconds since the epoch on the hub's clock."""
    attempts: Mapped[int] = mapped_column(default=0)
    """How often it was leased."""


class Piece(Base):
    """A piece of a contribution that is not complete yet; its bytes are among the hub's files."""

    __tablename__ = "piece"

    order_digest: Mapped[str] = mapped_column(
        ForeignKey("task.order_digest", name="fk_piece_task"), primary_key=True
    )
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    """Of its first byte in the whole."""
    length: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    file: Mapped[str]
    """What the file is called that it is in, among those of its upload."""
    at: Mapped[int] = mapped_column(BigInteger)
    """Of its first byte in that file."""


class Contribution(Base):
    """One operator's noised answer, with the ledger entry that it was charged under; its digest names the file."""

    __tablename__ = "contribution"

    order_digest: Mapped[str] = mapped_column(
        ForeignKey("task.order_digest", name="fk_contribution_task"), primary_key=True
    )
    result_sha256: Mapped[str]
    length: Mapped[int] = mapped_column(BigInteger)
    entry: Mapped[bytes] = mapped_column(LargeBinary)
    receipt: Mapped[bytes] = mapped_column(LargeBinary)


class LedgerEntry(Base):
    """An entry of an operator's ledger, as the operator published it: the hub's copy of the chain."""

    __tablename__ = "ledger_entry"
    __table_args__ = (Index("ix_ledger_entry_release", "operator", "release_id"),)

    operator: Mapped[str] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    head: Mapped[str]
    """After this entry."""
    release_id: Mapped[str | None]
    """Of the terms that it charges; none of a forfeit."""
    entry: Mapped[bytes] = mapped_column(LargeBinary)


class LedgerHead(Base):
    """A head that an operator signed and the hub countersigned."""

    __tablename__ = "ledger_head"

    operator: Mapped[str] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    statement: Mapped[bytes] = mapped_column(LargeBinary)


class PeriodKeyPackage(Base):
    """The period key that counts for a product and period under a charter, sealed to the operators by its maker."""

    __tablename__ = "period_key"

    charter: Mapped[str] = mapped_column(primary_key=True)
    """Digest."""
    product: Mapped[str] = mapped_column(primary_key=True)
    first_day: Mapped[date] = mapped_column(primary_key=True)
    last_day: Mapped[date] = mapped_column(primary_key=True)
    maker: Mapped[str]
    statement: Mapped[bytes] = mapped_column(LargeBinary)
    """The package as its maker signed it."""


class AuditLine(Base):
    """Something that somebody looking into this hub later will want to know."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_release_id", "release_id"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    who: Mapped[str]
    what: Mapped[str]
    detail: Mapped[str]
    release_id: Mapped[str] = mapped_column(default="", server_default="")
    order_digest: Mapped[str] = mapped_column(default="", server_default="")
    request_id: Mapped[str] = mapped_column(default="", server_default="")


class Contact(Base):
    """When a node called last, and what it said of itself then."""

    __tablename__ = "contact"

    operator: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    software_version: Mapped[str]
    clock_offset: Mapped[int | None] = mapped_column(BigInteger)
    """Seconds that the node's clock was ahead of the hub's."""
