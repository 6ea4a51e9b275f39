"""Answering orders: wait for one, compute or refuse, deliver; as many at once as the operator wants."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread

from node.delivery import Delivery, name_of
from node.enrolment import Agreement
from node.factors import factors_in, keep
from node.lease import KeptLease
from node.metrics import NodeMetrics
from node.progress import ProgressFile
from node.release.policy import Refusal
from node.release.releasing import Releasing
from node.stopping import Stopped, Stopping
from privacy.errors import QuorateError, UsageProblem, place_of
from privacy.ledger import Recorded
from privacy.ledger.request import Seam, no_seam
from quorate.contract.order import TaskOrder
from quorate.v1 import federation_pb2 as pb

log = logging.getLogger("quorate.node")
POLL_SECONDS = 20


@dataclass(frozen=True)
class Serving:
    """What a node needs to answer orders.

    Attributes
    ----------
    own
        The node's agreement.
    releasing, delivery
        From an order to bytes, and from bytes to a receipt.
    stopping
        Asked when the daemon is to end.
    metrics, progress
        Where it is told what happens.
    factors
        Directory of the calibration factors that come with orders.
    seam
        Called with the name of each point that tests make fail.
    """

    own: Agreement
    releasing: Releasing
    delivery: Delivery
    stopping: Stopping
    metrics: NodeMetrics
    progress: ProgressFile
    factors: Path
    seam: Seam = no_seam
    _polling: Lock = field(default_factory=Lock)
    _holding: set[bytes] = field(default_factory=set)

    def serve(self) -> None:
        """Answer orders until the daemon is asked to stop (Stopped)."""
        others = [
            Thread(target=self._until_stopped, name=f"task {number}")
            for number in range(2, self.own.config.tasks_at_once + 1)
        ]
        for thread in others:
            thread.start()
        try:
            self._forever()
        finally:
            self.stopping.ask()
            for thread in others:
                thread.join()

    def _until_stopped(self) -> None:
        try:
            self._forever()
        except Stopped:
            return

    def _forever(self) -> None:
        while True:
            self._one()

    def _one(self) -> None:
        """Wait for an order and answer it; whatever is wrong with it does not end the daemon."""
        try:
            task = self._next()
        except QuorateError as error:
            log.error("%s; trying again in %d s", error, POLL_SECONDS)
            self._wait_for_tick(time.monotonic(), POLL_SECONDS)
            return
        if task is None:
            return
        came = time.monotonic()
        try:
            self._work_at(task, came)
        except Stopped:
            raise
        except QuorateError as error:
            # The order stays open at the hub and comes again; whatever was committed is sent then.
            log.error("%s; trying again", error)
            self._wait_for_tick(came, POLL_SECONDS)
        except Exception as error:  # noqa: BLE001 - no order may end the daemon; the text may quote data
            log.error("a defect of Quorate: %s", place_of(error))
            self._wait_for_tick(came, POLL_SECONDS)
        finally:
            self._holding.discard(name_of(task))

    def _next(self) -> pb.AcquireTaskResponse | None:
        # One asks at a time: the hub hands an order that a node has out again to the same node, unless it says so.
        with self._polling:
            self.stopping.require_going()
            task = self.delivery.uplink.next_order(POLL_SECONDS, tuple(self._holding))
            if task is not None:
                self._holding.add(name_of(task))
        self.metrics.contact()
        self.progress.contact()
        return task

    def _work_at(self, task: pb.AcquireTaskResponse, came: float) -> None:
        """Answer an order, unless its lease is lost while it is computed."""
        giving_up = Stopping()
        try:
            with (
                self.stopping.ending(giving_up.ask),
                self.delivery.keeping(task, giving_up.ask) as lease,
            ):
                self._answer(task.task_order, lease, giving_up, came)
        except Stopped:
            self.stopping.require_going()
            log.warning("gave the order up: another node of this operator has it")

    def _answer(self, statement: pb.Envelope, lease: KeptLease, giving_up: Stopping, came: float) -> None:
        payload = self.delivery.evidence.order(statement)
        try:
            order = TaskOrder.from_wire(payload, "the task order")
            terms = order.terms
            log.info("order for %s of %s", terms.product, terms.first_day)
            lease.now(pb.PHASE_COMPUTING)
            with self.progress.answering(f"{terms.product} {terms.first_day} to {terms.last_day}"):
                recorded = self.releasing.answer(order, lambda phase: log.info("%s", phase), giving_up)
        except Refusal as refusal:
            self._refuse(payload, lease, refusal, refusal.reason, came)
        except UsageProblem as error:
            self._refuse(payload, lease, error, pb.REFUSAL_REASON_CHARTER_MISMATCH, came)
        else:
            self._deliver(order, payload, lease, recorded, came)

    def _refuse(
        self,
        payload: bytes,
        lease: KeptLease,
        why: QuorateError,
        reason: pb.RefusalReason.ValueType,
        came: float,
    ) -> None:
        log.warning("refused: %s", why)
        self._wait_for_tick(came)
        self.metrics.refused(reason)
        self.delivery.refuse(payload, lease.token, reason)

    def _deliver(
        self, order: TaskOrder, payload: bytes, lease: KeptLease, recorded: Recorded, came: float
    ) -> None:
        terms = order.terms
        with self.progress.answering(f"{terms.product} {terms.first_day} to {terms.last_day}"):
            self.seam("before upload")
            self._wait_for_tick(came)
            self.metrics.ledger(self.releasing.ledger, self.own.budgets)
            lease.now(pb.PHASE_UPLOADING)
            sequence = self.delivery.deliver(payload, lease.token, recorded)
            if (found := factors_in(order, self.own.zoning.codes)) is not None:
                keep(self.factors, found)
        log.info("delivered %s, ledger entry %d", terms.product, sequence)

    def _wait_for_tick(self, came: float, at_least: float = 0.0) -> None:
        """Wait for a multiple of the policy's tick since an order came, so that no answer tells how long it took."""
        tick = self.own.policy.answer_tick_seconds
        elapsed = time.monotonic() - came
        until = math.ceil(max(elapsed, at_least) / tick) * tick
        if self.stopping.asked.wait(until - elapsed):
            raise Stopped
