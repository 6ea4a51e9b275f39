"""An operator's node: the real ledger, delivery and release; only what the worker process computes is made up."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from itertools import count
from pathlib import Path
from unittest.mock import patch

import numpy as np

from hub.config import Agreement as HubAgreement
from node.config import Home, NodeConfig, Policy, parse_toml
from node.delivery import Delivery
from node.enrolment import Agreement
from node.evidence import Evidence
from node.jobs import Answer, ReleaseJob
from node.line import Line
from node.period_keys import PeriodKeys
from node.release.policy import Refusal
from node.release.releasing import Releasing
from node.uplink import Uplink
from privacy.errors import QuorateError
from privacy.ledger import Keeper, Ledger
from privacy.statistics import ANCHORS_BY_DAY
from quorate.contract.identity import OPERATOR, Identity, write_private
from quorate.contract.order import TaskOrder, keyset_for
from quorate.contract.payload import encode
from quorate.v1 import federation_pb2 as pb
from tests.keys import exchange_pem_for, key_for
from tests.simulator.clock import Clock
from tests.simulator.network import Network
from tests.simulator.process import Pause, Process
from tests.support_node import GIVEN, NATIONAL, config_text

#: Where a node waits when there is nothing to do, before it calls again, and after something went wrong.
IDLE, WAITING, TROUBLE = "idle", "waiting", "trying again"
#: A piece of a contribution, so small that every contribution has several.
PIECE = 64


@dataclass(frozen=True)
class Site:
    """What is on an operator's disk, whichever node of it runs: its agreement, ledger, witness and receipts."""

    root: Path
    own: Agreement

    @property
    def ledger(self) -> Path:
        """The ledger's database."""
        return self.root / "ledger.db"

    @property
    def receipts(self) -> Path:
        """Directory of the countersigned receipts."""
        return self.root / "receipts"

    @property
    def keeper(self) -> Keeper:
        """The operator's key and witness."""
        return Keeper(key_for(self.own.operator), self.root / "witness.jsonl")

    def refusing(self, *products: str) -> Site:
        """Return this site under a policy without some products."""
        left = tuple(product.product_id for product in self.own.charter.products)
        policy = self.own.policy.model_copy(
            update={"products": tuple(name for name in left if name not in products)}
        )
        return replace(self, own=replace(self.own, policy=policy))


def site_of(root: Path, operator: str, agreed: HubAgreement) -> Site:
    """Make an operator's directory; the operator takes part in everything that the charter has."""
    root.mkdir()
    write_private(Home(root).exchange_key, exchange_pem_for(operator))
    charter, here = agreed.charter, Path("here")
    policy = Policy(
        products=tuple(product.product_id for product in charter.products),
        day_cap=charter.budgets.day,
        month_cap=charter.budgets.month,
    )
    days = config_text((date(2026, 1, 1), date(2026, 12, 31))).replace(GIVEN, NATIONAL)
    config = parse_toml(days.encode(), NodeConfig, here)
    digest = agreed.charter_digest
    return Site(root, Agreement(operator, charter, digest, agreed.zoning, policy, config, charter.budgets))


class Node:
    """One node of an operator; it runs from the first step until it is killed or cannot go on.

    Parameters
    ----------
    site
        Its operator's.
    number
        Which of the operator's nodes.
    network
        Leads to the hub.
    clock
        Tells the day.
    """

    def __init__(self, site: Site, number: int, network: Network, clock: Clock) -> None:
        self.site, self.number, self._clock = site, number, clock
        self._network = network
        self._task: pb.AcquireTaskResponse | None = None
        self._uplink: Uplink | None = None
        self.process = Process(self._live)

    def renew(self, phase: pb.Phase.ValueType = pb.PHASE_COMPUTING) -> bool:
        """Renew the lease of what is worked at, as the thread of `KeptLease` does; return whether it holds."""
        if self._task is None or self._uplink is None or not self.process.running:
            return False
        order = hashlib.sha256(self._task.task_order.payload).digest()
        with suppress(QuorateError):
            self._uplink.renew(order, self._task.lease.token, phase)
            return True
        return False

    def _live(self, pause: Pause) -> None:
        own, site = self.site.own, self.site
        identity = Identity(own.charter.network, OPERATOR, own.operator, self.number)
        line = Line(self._network.channel(identity, pause))
        self._uplink = uplink = Uplink(line, "the hub", _Waiting(pause), lambda _warning: None)
        budgets, keeper = own.budgets, site.keeper
        with closing(Ledger(site.ledger, own.ledger_identity, budgets, keeper=keeper, seam=pause)) as ledger:
            evidence = Evidence(own.operator, own.charter, keeper.key)
            delivery = Delivery(uplink, evidence, ledger, site.receipts, "0", pause)
            algorithms = {product.statistic: product.algorithm for product in own.charter.products}
            keys = PeriodKeys(Home(site.root), own, uplink, keeper.key)
            releasing = Releasing(site.root, own, algorithms, ledger, self._clock.today, keys.ensure)
            delivery.publish()
            delivery.claim()
            while True:
                self._serve_one(releasing, delivery, pause)

    def _serve_one(self, releasing: Releasing, delivery: Delivery, pause: Pause) -> None:
        try:
            self._task = task = delivery.uplink.next_order(0)
            if task is None:
                pause(IDLE)
            else:
                self._answer(task, releasing, delivery, pause)
        except QuorateError:
            pause(TROUBLE)
        finally:
            self._task = None

    def _answer(
        self, task: pb.AcquireTaskResponse, releasing: Releasing, delivery: Delivery, pause: Pause
    ) -> None:
        payload, token = delivery.evidence.order(task.task_order), task.lease.token
        try:
            recorded = releasing.answer(TaskOrder.from_wire(payload, "the task order"), pause)
        except Refusal as refusal:
            delivery.refuse(payload, token, refusal.reason)
            return
        pause("before upload")
        delivery.deliver(payload, token, recorded)


class _Waiting(threading.Event):
    """The event of a daemon that nobody stops: waiting for it is a point, and takes no time."""

    def __init__(self, pause: Pause) -> None:
        super().__init__()
        self._pause = pause

    def wait(self, timeout: float | None = None) -> bool:
        self._pause(WAITING)
        return False


@contextmanager
def made_up_answers(agreed: HubAgreement) -> Iterator[None]:
    """Have nodes answer with one cell that only their operator has, and with small pieces.

    Every computation gives other bytes, as fresh noise does, so that nothing can be computed twice unseen.
    """
    draws = count(1)

    def run(job: ReleaseJob, _phase: Callable[[str], None], _stopping: object) -> tuple[Answer, bytes]:
        keyset = keyset_for(agreed.charter, agreed.zoning, job.terms)
        operators = agreed.charter.operators
        vector = np.zeros(keyset.size, np.int64)
        place = operators.index(job.home.name)
        # A distinct number of each operator, above what the draws can reach; of anchors so small that weights of a
        # thousandth of a person can be made of them.
        anchors = job.terms.statistic == ANCHORS_BY_DAY
        vector[place] = 200 + 100 * place if anchors else 1_000_000 * 10**place
        vector[len(operators) :] = next(draws)
        data, levels = encode(vector), len(job.terms.levels)
        return Answer(snapshot="5" * 64, samplers=("opendp",) * levels, length=len(data)), data

    with (
        patch("node.release.releasing.run", run),
        patch("node.uplink.CHUNK", PIECE),
        patch("hub.federation.CHUNK", PIECE),
    ):
        yield
