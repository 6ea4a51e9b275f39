"""Anything that can happen to a hub and three operators, in any order, with what must hold after each of it."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import ClassVar

import grpc
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from privacy.errors import LedgerProblem
from tests.simulator import holds
from tests.simulator.hub import LEASE_SECONDS
from tests.simulator.mutation import mutated
from tests.simulator.network import Fault
from tests.simulator.node import IDLE
from tests.simulator.world import World
from tests.support_hub import OPERATORS

#: Product, first and last day; what is asked for often enough exhausts a budget, and is refused then.
ASKED = [
    ("residents", date(2026, 5, 4), date(2026, 5, 10)),
    ("residents", date(2026, 6, 1), date(2026, 6, 30)),
    ("presence", date(2026, 5, 4), date(2026, 5, 4)),
    ("presence", date(2026, 7, 1), date(2026, 7, 1)),
    ("weighted", date(2026, 5, 5), date(2026, 5, 5)),
]
#: Where a node is worth killing: in the ledger, around its commit, and around what it sends.
POINTS = (
    "computing",
    "charged",
    "chained",
    "stored",
    "before commit",
    "after commit",
    "witnessed",
    "before upload",
    "PublishHead",
    "PutChunk",
    "CommitContribution",
    "before receipt",
    "AcquireTask",
    "RefuseTask",
)
#: A moment, past a lease, past the time for answers, and past the time that anybody is waited for.
SECONDS = (1, LEASE_SECONDS + 1, 3_601, 36_001)
#: What the hub answers to calls that come again.
TYPED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
}
WHO, WHICH = st.sampled_from(OPERATORS), st.integers(0, 1_000_000)
FAULTS = st.sampled_from(Fault)


class FederationMachine(RuleBasedStateMachine):
    """A world, what has happened to it, and what was seen of it.

    Attributes
    ----------
    happened
        How often what happened, in all runs of this process.
    """

    happened: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.ended: dict[str, tuple[str, str | None]] = {}
        self.charged: dict[str, dict[str, holds.Charged]] = {name: {} for name in OPERATORS}
        self._looked: dict[Path, tuple[int, ...]] = {}
        self._seen: set[tuple[str, ...]] = set()

    @initialize(answered=st.booleans())
    def first(self, answered: bool) -> None:
        """Ask for something, so that there is something to do; it may have been done."""
        self.world.open(*ASKED[0])
        if answered:
            for who in OPERATORS:
                self.world.reach(who, IDLE)

    # --- what goes on -------------------------------------------------------------------------------------

    @rule(asked=st.sampled_from(ASKED), revision=st.integers(0, 2))
    def ask_with_what_comes_before(self, asked: tuple[str, date, date], revision: int) -> None:
        for number in range(revision + 1):
            self.world.open(*asked, number)

    @rule(who=WHO, fault=FAULTS)
    def go_one_step(self, who: str, fault: Fault) -> None:
        self._note(f"fault: {fault}")
        self.world.step(who, fault)

    @rule(who=WHO, steps=st.integers(2, 20))
    def go_some_steps(self, who: str, steps: int) -> None:
        self.world.reach(who, most=steps)

    @rule(who=WHO, point=st.sampled_from(POINTS), fault=FAULTS)
    def go_to(self, who: str, point: str, fault: Fault) -> None:
        if self.world.reach(who, point, IDLE, most=40) == point:
            self._note(f"fault: {fault}")
            self.world.step(who, fault)

    @rule(who=WHO, others=st.booleans())
    def go_until_there_is_nothing_to_do(self, who: str, others: bool) -> None:
        for name in OPERATORS if others else (who,):
            self.world.reach(name, IDLE, most=60)

    @rule()
    def end_what_is_due(self) -> None:
        self.happened["ended"] += len(self.world.hub.advance())

    @rule(seconds=st.sampled_from(SECONDS))
    def pass_time(self, seconds: int) -> None:
        self.world.clock.advance(seconds)
        self.end_what_is_due()

    @rule(who=WHO)
    def renew_a_lease(self, who: str) -> None:
        if self.world.nodes[who].renew():
            self._note("renewed")

    # --- what goes wrong ----------------------------------------------------------------------------------

    @rule(who=WHO, point=st.sampled_from(POINTS), number=st.sampled_from((0, 0, 1)))
    def kill_at(self, who: str, point: str, number: int) -> None:
        if self.world.reach(who, point, IDLE, most=40) == point:
            self._note(f"killed: {point}")
            self.world.start(who, number)

    @rule(who=WHO, number=st.sampled_from((0, 0, 1)))
    def kill(self, who: str, number: int) -> None:
        self.world.start(who, number)

    @rule(who=WHO)
    def start_a_second_node(self, who: str) -> None:
        first, second = self.world.nodes[who], self.world.second(who)
        if first.process.running and first.process.at != "begun":
            assert isinstance(second.process.problem, LedgerProblem), "two nodes have one ledger open"
            self._note("second node")
        second.process.kill()

    @rule(who=WHO, product=st.sampled_from(("", "", "presence", "residents", "anchors", "weighted")))
    def change_the_policy(self, who: str, product: str) -> None:
        self.world.refuse(who, product)

    @rule()
    def kill_the_hub(self) -> None:
        self.world.hub.restart()

    @rule(down=st.booleans())
    def cut_off_the_hub(self, down: bool) -> None:
        self.world.network.down = down

    @precondition(lambda self: self.world.network.sent and not self.world.network.down)
    @rule(which=WHICH, late=st.booleans())
    def repeat_a_call(self, which: int, late: bool) -> None:
        sent = self.world.network.sent[-6:] if late else self.world.network.sent
        again = sent[which % len(sent)]
        assert self.world.network.again(again) in TYPED
        self._note(f"repeated: {again.name}")

    @precondition(lambda self: self.world.network.handled and not self.world.network.down)
    @rule(which=WHICH, how=WHICH)
    def retry_with_other_content(self, which: int, how: int) -> None:
        with_content = [sent for sent in self.world.network.handled if mutated(sent, 0)]
        if not with_content:
            return
        changed = mutated(with_content[which % len(with_content)], how)
        assert changed is not None
        assert self.world.network.again(changed) in TYPED - {grpc.StatusCode.OK}
        self._note(f"mutated: {changed.name}")

    # A copy from before the hub knew a ledger is a gap that one test has by name, in test_faults.py.
    @precondition(lambda self: all(self.world.hub.store.ledger_head(who)[0] for who in OPERATORS))
    @rule()
    def back_up_the_hub(self) -> None:
        self.world.back_up()

    @precondition(lambda self: self.world.backed_up)
    @rule()
    def restore_the_hub(self) -> None:
        self.world.restore()
        self.ended.clear()
        self._looked.clear()
        self._note("restored")

    def _note(self, what: str) -> None:
        self.happened[what] += 1

    # --- what holds ---------------------------------------------------------------------------------------

    @invariant()
    def everything_holds(self) -> None:
        """Look at what has changed since it was looked at last."""
        self._note("step")
        world, hub = self.world, self.world.hub
        changed = [name for name, site in world.sites.items() if self._has_changed(site.ledger)]
        for name in changed:
            before, self.charged[name] = self.charged[name], holds.charged_by(world.sites[name])
            holds.charged_means_stored(world.sites[name])
            assert before.items() <= self.charged[name].items(), "what was charged is not what it was"
        if not self._has_changed(hub.database) and not changed:
            return
        holds.the_hub_has_what_nodes_committed(hub, self.charged)
        holds.receipts_are_the_hubs(hub, world.sites)
        ended = holds.releases_combine_each_operator_once(world.own, hub, self.charged, self._seen)
        assert self.ended.items() <= ended.items(), "an ended release did not stay as it was"
        self.ended = ended

    def _has_changed(self, database: Path) -> bool:
        log = database.with_name(f"{database.name}-wal")
        found = [path.stat() for path in (database, log) if path.exists()]
        state = tuple(number for one in found for number in (one.st_ino, one.st_size, one.st_mtime_ns))
        before, self._looked[database] = self._looked.get(database), state
        return state != before

    def teardown(self) -> None:
        """Whatever happened, the end is reached once everything works again."""
        try:
            self.world.settle()
            self.world.claim()
            self.everything_holds()
            holds.every_answer_has_its_receipt(self.world.hub, self.world.sites)
            self._count()
        finally:
            self.world.close()

    def _count(self) -> None:
        self.happened.update(f"release: {state}" for state, _digest in self.ended.values())
        self.happened.update(f"task: {answer.state}" for answer in holds.answers_at(self.world.hub))
        self._note("run")
