"""Tasks: an order to one operator, leased to one of its nodes at a time, until it is refused or answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from sqlalchemy import URL, select
from sqlalchemy.orm import Session

from hub import leases
from hub.errors import Conflict, NotFound
from hub.leases import Leased
from hub.ledgers import Ledgers
from hub.life import ANSWERED, COLLECTING, OFFERED, REFUSED
from hub.models import Release, Task
from hub.objects import Objects
from hub.pieces import lock_task, own_task
from hub.trail import About, write
from quorate.contract.identity import Identity
from quorate.contract.order import TaskOrder


class Tasks(Ledgers):
    """The orders, beside what operators publish and upload.

    Parameters
    ----------
    database, objects, migrate
        As of `Uploads`.
    clock
        Returns seconds since the epoch; leases and deadlines go by it.
    """

    def __init__(
        self,
        database: str | URL,
        objects: Objects,
        *,
        migrate: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(database, objects, migrate=migrate)
        self.clock = clock

    def acquire(
        self, operator: str, node: int, seconds: float, holding: Collection[str] = ()
    ) -> Leased | None:
        """Lease the oldest order that this operator has neither answered nor missed, and nobody else works at.

        Parameters
        ----------
        operator, node
            Who asks.
        seconds
            How long the lease holds without being renewed.
        holding
            Digests of orders that the node has and does not ask for.
        """
        # Most polls find nothing, and must not write.
        with self._session(reading=True) as session:
            found = self._free(session, operator, node, holding)
        if not found:
            return None
        # A lease that is lost with the machine is as one that has run out.
        with self._session(passing=True) as session:
            for order_digest in found:
                lock_task(session, order_digest)
                task = session.get(Task, order_digest, populate_existing=True)
                if task is not None and leases.is_free(task, node, self.clock()):
                    return leases.take(task, node, self.clock(), seconds)
        return None

    def _free(self, session: Session, operator: str, node: int, holding: Collection[str]) -> list[str]:
        query = (
            select(Task)
            .join(Release)
            .where(Task.operator == operator, Task.state == OFFERED, Release.state == COLLECTING)
            .order_by(Release.deadline, Task.order_digest)
        )
        now = self.clock()
        return [
            task.order_digest
            for task in session.scalars(query)
            if task.order_digest not in holding and leases.is_free(task, node, now)
        ]

    def weighted_order(self, operator: str, release_id: str) -> bytes:
        """Return the order that gave an operator its weights in a release (NotFound if there is none)."""
        query = select(Task.payload).where(Task.operator == operator, Task.release_id == release_id)
        with self._session(reading=True) as session:
            payload = session.scalars(query).first()
        if payload is None or TaskOrder.from_bytes(payload, "the stored order").weights is None:
            raise NotFound(
                f"no weights were made for operator {operator} in release {release_id}",
                todo="name a weighted release that this operator was asked for",
            )
        return payload

    def renew(self, operator: str, order_digest: str, token: bytes, phase: str, seconds: float) -> None:
        """Note that the holder of an order still works at it.

        Raises
        ------
        LeaseLost
            If the caller does not hold it.
        Conflict
            If it was answered or refused.
        """
        with self._session(passing=True) as session:
            lock_task(session, order_digest)
            task = own_task(session, operator, order_digest)
            if task.state != OFFERED:
                raise Conflict(f"this order is {task.state} already", todo="acquire the next one")
            leases.renew(task, token, phase, self.clock(), seconds)

    def refuse(self, node: Identity, order_digest: str, token: bytes, reason: str, statement: bytes) -> None:
        """Note that a node's operator said no, with its line in the audit trail; a second time changes nothing.

        Raises
        ------
        LeaseLost
            If the caller does not hold the order.
        Conflict
            If it was answered with a contribution.
        """
        with self._session() as session:
            lock_task(session, order_digest)
            task = own_task(session, node.name, order_digest)
            if task.state in ANSWERED:
                raise Conflict("this order was answered with a contribution before")
            if task.state == REFUSED:
                return
            leases.require(task, token)
            task.state, task.refusal, task.statement = REFUSED, reason, statement
            on = About(order_digest=order_digest)
            write(session, node.uri, f"refused an order: {reason}", "", on)
