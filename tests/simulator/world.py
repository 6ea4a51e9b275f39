"""A hub and three operators, of whom anything can go one step, fail, be slow or come again."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from hub.config import Agreement
from hub.opening import open_release
from tests.simulator import holds
from tests.simulator.clock import Clock
from tests.simulator.hub import LEASE_SECONDS, Hub
from tests.simulator.network import Fault, Network, Sent
from tests.simulator.node import IDLE, TROUBLE, Node, made_up_answers, site_of
from tests.support_hub import OPERATORS, PRODUCTS, small_agreement

START = datetime(2026, 12, 1, 12, tzinfo=UTC)
#: Where a world that is whole comes to rest: rounds, and steps of a node in each.
ROUNDS, STEPS = 8, 2000
_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of its own is made below it


class World:
    """Everything; close it in the end.

    Parameters
    ----------
    own
        What the hub works by; the small agreement, with a product in two rounds, if it is not given.

    Attributes
    ----------
    clock, hub, network
        Shared by all.
    sites
        What each operator has on its disk.
    nodes
        The node of each operator that runs, or ran last.
    """

    def __init__(self, own: Agreement | None = None) -> None:
        self._ends = ExitStack()
        where = _MEMORY if _MEMORY.is_dir() else None
        self._root = Path(self._ends.enter_context(TemporaryDirectory(dir=where)))
        self.own = own or small_agreement(products=PRODUCTS)
        self._ends.enter_context(made_up_answers(self.own))
        self.clock = Clock(START)
        (self._root / "hub").mkdir()
        self.hub = Hub(self.own, self._root / "hub", self.clock)
        self._ends.callback(self.hub.close)
        self.network = Network(self.hub, self._watch)
        self._ends.callback(self.network.close)
        self.sites = {name: site_of(self._root / name, name, self.own) for name in OPERATORS}
        self.nodes = {name: self._node(name, 0) for name in OPERATORS}
        self._ends.callback(self._kill_all)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process and forget everything."""
        self._ends.close()

    def _kill_all(self) -> None:
        for node in self.nodes.values():
            node.process.kill()

    def _node(self, operator: str, number: int) -> Node:
        return Node(self.sites[operator], number, self.network, self.clock)

    def _watch(self, sent: Sent) -> None:
        holds.nothing_leaves_before_it_is_committed(self.sites[sent.who.name], sent)

    # --- what happens -------------------------------------------------------------------------------------

    def open(self, product: str, first_day: date, last_day: date, revision: int = 0) -> str:
        """Have the office ask for a release; return its id."""
        return open_release(self.own, self.hub.store, product, (first_day, last_day), revision)

    def step(self, operator: str, fault: Fault = Fault.NONE) -> str:
        """Let a node come to its next point, with a fault in the call that it makes; return the point."""
        node = self.nodes[operator]
        if node.process.running:
            self.network.fault = fault
            try:
                node.process.step()
            finally:
                self.network.fault = Fault.NONE
        return node.process.at

    def reach(self, operator: str, *points: str, most: int = STEPS) -> str:
        """Let a node go on until it is at one of some points, or has ended; return the point."""
        for _ in range(most):
            at = self.step(operator)
            if at in points or not self.nodes[operator].process.running:
                break
        return self.nodes[operator].process.at

    def start(self, operator: str, number: int = 0) -> Node:
        """Kill the operator's node if it runs, and start one; it begins with its first step."""
        self.nodes[operator].process.kill()
        self.nodes[operator] = self._node(operator, number)
        return self.nodes[operator]

    def second(self, operator: str) -> Node:
        """Start a second node of an operator beside the first, and let it come as far as it does."""
        node = self._node(operator, 1 - self.nodes[operator].number)
        node.process.step()
        return node

    def refuse(self, operator: str, *products: str) -> None:
        """Change the operator's policy, which its node reads when it starts."""
        self.sites[operator] = self.sites[operator].refusing(*products)
        self.start(operator, self.nodes[operator].number)

    @property
    def backed_up(self) -> bool:
        """Whether there is a copy of the hub."""
        return (self._root / "backup").exists()

    def back_up(self) -> None:
        """Copy the hub's database and files."""
        self.hub.back_up(self._root / "backup")

    def restore(self) -> None:
        """Restore the hub from its last copy."""
        self.hub.restore(self._root / "backup")
        self.network.handled.clear()

    # --- how it ends --------------------------------------------------------------------------------------

    def settle(self) -> int:
        """Let everything work, with everybody running, until nothing is open; return how many rounds that took.

        Raises
        ------
        AssertionError
            If something is open still after the rounds that it may take.
        """
        self.network.down = False
        for number in range(ROUNDS):
            for operator in self.sites:
                self._work(operator)
            self.hub.advance()
            if not self.hub.store.collecting() and not self.hub.store.planned():
                return number + 1
            # Leases of nodes that are gone run out; the time for answers does not.
            self.clock.advance(LEASE_SECONDS + 1)
        raise AssertionError(
            f"still open: {self.hub.store.collecting()}, {self.hub.store.planned()}, {self.where()}"
        )

    def where(self) -> dict[str, str]:
        """Return at which point the node of each operator is, with what it ended with."""
        return {name: f"{node.process.at} {node.process.problem or ''}" for name, node in self.nodes.items()}

    def _work(self, operator: str) -> None:
        if not self.nodes[operator].process.running:
            self.start(operator, self.nodes[operator].number)
        self.reach(operator, IDLE, TROUBLE)

    def claim(self) -> None:
        """Start every node again, so that it asks for receipts that it has not got."""
        for operator, node in self.nodes.items():
            self.start(operator, node.number)
            self.reach(operator, IDLE, TROUBLE)
