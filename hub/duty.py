"""What the people on duty ask the hub's database; nothing here changes it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from hub.database import Database
from hub.life import COLLECTING, COMMITTED, ESTIMATED, FAILED, INQUORATE, LATE, OFFERED, PLANNED, REFUSED
from hub.models import Contact, Release, Task
from hub.times import in_utc


def counted(database: Database) -> tuple[dict[str, int], dict[str, int]]:
    """Return the number of releases and of task orders by state, with 0 for a state that none has."""
    releases = dict.fromkeys((PLANNED, COLLECTING, ESTIMATED, INQUORATE, FAILED), 0)
    tasks = dict.fromkeys((OFFERED, COMMITTED, REFUSED, LATE), 0)
    with database.session(reading=True) as session:
        by_release = select(Release.state, func.count()).group_by(Release.state)
        by_task = select(Task.state, func.count()).group_by(Task.state)
        releases |= dict(session.execute(by_release).tuples().all())
        tasks |= dict(session.execute(by_task).tuples().all())
    return releases, tasks


def nodes_of(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Return when the nodes of each operator called last, and what they said of themselves."""
    found: dict[str, list[dict[str, Any]]] = {}
    with database.session(reading=True) as session:
        for contact in session.scalars(select(Contact).order_by(Contact.operator, Contact.node)):
            found.setdefault(contact.operator, []).append(
                {
                    "node": contact.node,
                    "seen": in_utc(contact.at).isoformat(timespec="seconds"),
                    "software_version": contact.software_version,
                    "clock_offset_seconds": contact.clock_offset,
                }
            )
    return found


def tasks(database: Database) -> list[dict[str, str]]:
    """Return every task order by operator, those of the newest release first."""
    query = select(Task).join(Release).order_by(Task.operator, Release.deadline.desc())
    with database.session(reading=True) as session:
        return [
            {
                "operator": task.operator,
                "release": task.release_id,
                "state": task.state,
                "refusal": task.refusal,
                "order": task.order_digest,
            }
            for task in session.scalars(query)
        ]
