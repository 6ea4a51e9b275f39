"""From a task order to bytes that may leave: agreement, ledger, worker, one commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from node.enrolment import Agreement
from node.jobs import ReleaseJob, run
from node.release.policy import Refusal, require_agreed
from node.stopping import Stopping
from privacy.errors import BudgetExhausted, BytesLost, NonceConflict, PeriodKeyProblem
from privacy.ledger import Ledger, Recorded, Request
from privacy.terms import Terms
from quorate.contract.order import TaskOrder
from quorate.v1 import federation_pb2 as pb


@dataclass(frozen=True)
class Releasing:
    """Everything a node needs to answer an order.

    Attributes
    ----------
    home
        The node's directory.
    own
        The node's agreement.
    algorithms
        Digest of the installed code by statistic.
    ledger
        Open for writing.
    today
        Returns the current local day.
    prepare
        Called with the terms before anything leaves for them: gets what the worker process needs and is not here yet,
        and refuses (PeriodKeyProblem) what would not fit to the answers of others.
    """

    home: Path
    own: Agreement
    algorithms: Mapping[str, str]
    ledger: Ledger
    today: Callable[[], date]
    prepare: Callable[[Terms], object]

    def answer(
        self, order: TaskOrder, phase: Callable[[str], None], stopping: Stopping | None = None
    ) -> Recorded:
        """Return what leaves for an order: the recorded bytes, new or old.

        Asking `stopping` gives a running computation up.

        The budget is checked before anything is computed, and again inside the transaction that charges it.

        Raises
        ------
        Refusal
            If the node has not agreed, a budget cannot bear it, it was charged and its bytes are lost, or the period
            key is not what it must be.
        Stopped
            If that was asked for while it was computed; nothing is charged then.
        """
        terms = require_agreed(order, self.own, self.algorithms)
        try:
            return self._answer(order, terms, phase, stopping or Stopping())
        except PeriodKeyProblem as error:
            # Nothing that happens by itself; asking again would not make it right.
            raise Refusal(pb.REFUSAL_REASON_CONFLICT, error.what) from error

    def _answer(
        self, order: TaskOrder, terms: Terms, phase: Callable[[str], None], stopping: Stopping
    ) -> Recorded:
        try:
            known = self.ledger.find(terms, order.nonce)
        except NonceConflict as error:
            raise Refusal(pb.REFUSAL_REASON_CONFLICT, error.what) from error
        except BytesLost as error:
            # For good: the charge stays, and noise that is drawn again would be another release.
            raise Refusal(pb.REFUSAL_REASON_DATA_UNAVAILABLE, error.what) from error
        if known:
            self.prepare(terms)
            phase("known")
            self.ledger.remember(terms, order.nonce)
            return known
        self._require_over(terms.last_day)
        try:
            self.ledger.require_room(terms.charge())
            self.prepare(terms)
            phase("computing")
            told, result = run(
                ReleaseJob(
                    home=self.home, charter=self.own.charter_digest, terms=terms, weights=order.weights
                ),
                phase,
                stopping,
            )
            request = Request(terms, order.nonce, result, bytes.fromhex(told.snapshot), told.samplers)
            return self.ledger.commit(request, self.today())
        except BudgetExhausted as error:
            raise Refusal(pb.REFUSAL_REASON_BUDGET_EXHAUSTED, error.what) from error

    def _require_over(self, last_day: date) -> None:
        """Refuse a day that is not over: its data are not complete, and what is forfeited ends with today."""
        if last_day >= self.today():
            raise Refusal(
                pb.REFUSAL_REASON_DATA_UNAVAILABLE, f"{last_day} is not over by the clock of this node"
            )
