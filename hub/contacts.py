"""Which nodes called when, with which software and clock; for the people on duty, and for nothing else."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import IntegrityError

from hub.database import Database
from hub.models import Contact
from hub.times import in_utc
from quorate.contract.identity import Identity
from quorate.contract.logs import printable

#: A call within this time of the last one that was noted is not noted.
NOTED_EVERY = timedelta(seconds=30)


def greeted(database: Database, node: Identity, software_version: str, clock_seconds: int) -> None:
    """Note a heartbeat.

    Parameters
    ----------
    database
        The hub's.
    node
        Who called, from its certificate.
    software_version
        As the node says; its first 40 characters are kept.
    clock_seconds
        The node's clock in seconds since the epoch; 0 if it did not tell.
    """
    offset = clock_seconds - int(time.time()) if clock_seconds else None
    # What is no number of seconds within a century is no clock.
    offset = offset if offset is not None and abs(offset) < 3_200_000_000 else None
    said = printable(software_version)[:40]
    try:
        _note(database, node, said, offset)
    except IntegrityError:
        # Another call, at this hub or another one, was the first of this node at the same moment.
        _note(database, node, said, offset)


def _note(database: Database, node: Identity, software_version: str, offset: int | None) -> None:
    # It is of use for as long as the machine runs.
    with database.session(passing=True) as session:
        found = session.get(Contact, (node.name, node.node))
        if found is None:
            found = Contact(operator=node.name, node=node.node)
            session.add(found)
        found.at, found.software_version = datetime.now(UTC), software_version
        found.clock_offset = offset


def seen(database: Database, node: Identity) -> None:
    """Note that a node that has greeted called again; most calls change nothing."""
    now = datetime.now(UTC)
    with database.session(reading=True) as session:
        found = session.get(Contact, (node.name, node.node))
        if found is None or now - in_utc(found.at) < NOTED_EVERY:
            return
    # It is of use for as long as the machine runs.
    with database.session(passing=True) as session:
        session.get_one(Contact, (node.name, node.node)).at = now
