"""The audit trail: who did what, to which release and order, and in which call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, event, select
from sqlalchemy.orm import Session

from hub.database import Database
from hub.metrics import AUDIT_LINES
from hub.models import AuditLine, Task
from hub.times import in_utc
from quorate.contract.logs import printable
from quorate.contract.requests import current_request_id

#: Kinds of lines for the metric, by the first word of what happened; whatever begins otherwise is `other`.
KINDS = ("rejected", "refused", "requested", "accepted", "other")
for _kind in KINDS:
    AUDIT_LINES.labels(_kind)


@dataclass(frozen=True)
class About:
    """What a line is about, as far as it is known; the release of an order is looked up."""

    release_id: str = ""
    order_digest: str = ""


NOTHING = About()


@dataclass(frozen=True)
class Wanted:
    """Which lines are wanted: all that fit every field that is given.

    Attributes
    ----------
    since
        Not before this time.
    who, release_id
        Part of who did it, and the whole name of the release.
    """

    since: datetime | None = None
    who: str = ""
    release_id: str = ""


def about(request: Any) -> About:
    """Return what a request says that it is about; it may be anything that a caller made up."""
    order = getattr(request, "order_digest", b"")
    release = getattr(request, "release_id", "")
    return About(
        release_id=printable(release)[:100] if isinstance(release, str) else "",
        order_digest=order.hex() if isinstance(order, bytes) and len(order) == 32 else "",
    )


def append(database: Database, who: str, what: str, detail: str, on: About) -> None:
    """Append a line in a transaction of its own."""
    with database.session() as session:
        write(session, who, what, detail, on)


def write(session: Session, who: str, what: str, detail: str, on: About) -> None:
    """Append a line, with the request id of the call that it is written in, if this transaction ends well."""
    task = session.get(Task, on.order_digest) if on.order_digest else None
    session.add(
        AuditLine(
            at=datetime.now(UTC),
            who=who[:200],
            what=what[:100],
            # PostgreSQL has no place for a null character.
            detail=detail.replace("\0", "\\0")[:500],
            release_id=on.release_id or (task.release_id if task else ""),
            order_digest=on.order_digest,
            request_id=current_request_id(),
        )
    )
    first = what.split(" ", 1)[0]
    counter = AUDIT_LINES.labels(first if first in KINDS else "other")
    event.listen(session, "after_commit", lambda _session: counter.inc(), once=True)


def lines(database: Database, wanted: Wanted) -> list[dict[str, str]]:
    """Return the lines that are wanted, oldest first."""
    with database.session(reading=True) as session:
        return [_shown(line) for line in session.scalars(_query(wanted))]


def _query(wanted: Wanted) -> Select[AuditLine]:
    query = select(AuditLine).order_by(AuditLine.number)
    if wanted.since is not None:
        query = query.where(AuditLine.at >= wanted.since)
    if wanted.who:
        query = query.where(AuditLine.who.contains(wanted.who, autoescape=True))
    if wanted.release_id:
        query = query.where(AuditLine.release_id == wanted.release_id)
    return query


def _shown(line: AuditLine) -> dict[str, str]:
    return {
        "at": in_utc(line.at).isoformat(timespec="seconds"),
        "who": line.who,
        "what": line.what,
        "detail": line.detail,
        "release": line.release_id,
        "order": line.order_digest,
        "request_id": line.request_id,
    }
