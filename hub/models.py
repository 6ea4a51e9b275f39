"""Tables of the hub's database."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import ForeignKey, LargeBinary, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of all tables."""


class Release(Base):
    """All contributions of a product and period, combined."""

    __tablename__ = "release"
    __table_args__ = (UniqueConstraint("product", "first_day", "last_day", "revision"),)

    release_id: Mapped[str] = mapped_column(primary_key=True)
    product: Mapped[str]
    first_day: Mapped[date]
    last_day: Mapped[date]
    revision: Mapped[int]
    state: Mapped[str]
    deadline: Mapped[float]
    """Seconds since the epoch on the hub's clock; nobody else sees it."""
    estimates: Mapped[bytes | None] = mapped_column(LargeBinary)


class Task(Base):
    """One task order to one operator."""

    __tablename__ = "task"
    __table_args__ = (UniqueConstraint("release_id", "operator"),)

    order_digest: Mapped[str] = mapped_column(primary_key=True)
    release_id: Mapped[str] = mapped_column(ForeignKey("release.release_id"), index=True)
    operator: Mapped[str] = mapped_column(index=True)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str]
    refusal: Mapped[str] = mapped_column(default="")


class Chunk(Base):
    """A piece of a contribution that is not complete yet."""

    __tablename__ = "chunk"

    order_digest: Mapped[str] = mapped_column(ForeignKey("task.order_digest"), primary_key=True)
    offset: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class Contribution(Base):
    """One operator's noised answer, with the ledger entry that it was charged under."""

    __tablename__ = "contribution"

    order_digest: Mapped[str] = mapped_column(ForeignKey("task.order_digest"), primary_key=True)
    result_sha256: Mapped[str]
    data: Mapped[bytes] = mapped_column(LargeBinary)
    entry: Mapped[bytes] = mapped_column(LargeBinary)
    receipt: Mapped[bytes] = mapped_column(LargeBinary)


class AuditLine(Base):
    """Something that somebody looking into this hub later will want to know."""

    __tablename__ = "audit"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    who: Mapped[str]
    what: Mapped[str]
    detail: Mapped[str]
