"""Hubs and nodes are killed at random while releases go on: python -m tests.faults.chaos --help."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from sqlalchemy import make_url

from privacy.errors import Unreachable
from privacy.units import LARGEST
from quorate.contract.charter import Charter
from tests.faults.balancer import Balancer
from tests.faults.facts import Seen, missing_receipts, of_hub, of_ledger, require_whole
from tests.harness import ROOT, START, Network, free_port, network, small_world, wait_until
from tests.support_engines import postgres_server

SQLITE, POSTGRESQL = "sqlite", "postgresql"
RESULTS = ROOT / "docs" / "results"
NEXT_DAY = START + timedelta(days=1)
#: Longest in which no release may end after the last kill.
CALM_SECONDS = 300.0
#: Mean time between two kills, as a part of the time in which all start at once and build their days: what is always
#: killed before it has started is no test.
OF_A_START = 0.2
#: How long a release waits for its operators: longer than any run.
COLLECT_SECONDS = 7200
Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is done to a network.

    Attributes
    ----------
    releases, kills
        How many; the releases are asked for evenly between the kills, so that there is always work to be killed.
    hubs
        Number of hub processes on one database.
    seed
        Of the moments, the processes, and the pauses.
    every_seconds
        Mean time between two kills; on a machine where processes start slowly it is longer, in proportion.
    longest_pause
        Half of the killed processes are started again at once, the others after up to so many seconds.
    """

    releases: int = 50
    kills: int = 100
    hubs: int = 1
    seed: int = 1
    every_seconds: float = 2.5
    longest_pause: float = 4.0

    def wanted(self) -> list[tuple[str, date, date, int]]:
        """Return product, first and last day, and revision of every release."""
        kinds = [
            ("presence", START, START),
            ("presence", NEXT_DAY, NEXT_DAY),
            ("residents", START, NEXT_DAY),
        ]
        return [(*kinds[number % 3], number // 3) for number in range(self.releases)]


@dataclass
class Outcome:
    """What was done, and what came of it."""

    kills: Counter[str] = field(default_factory=Counter)
    seen: Seen = field(default_factory=Seen)
    seconds: float = 0.0
    missing: list[str] = field(default_factory=list)


class Chaos:
    """A network under fire.

    Parameters
    ----------
    net
        Set up, with nothing running; its port is that of the only hub or of the balancer.
    plan, say
        What is done; who is told how far it is.
    """

    def __init__(self, net: Network, plan: Plan, say: Say) -> None:
        self._net, self._plan, self._say = net, plan, say
        self._chance = random.Random(plan.seed)
        self._hubs = list(net.ports) or ["hub"]
        self._down: dict[str, float] = {}
        self._every = plan.every_seconds
        self._wanted = plan.wanted()
        self._asked: list[str] = []
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Ask, kill and restart until everything is published; check what must hold at every kill."""
        start = time.monotonic()
        for name in (*self._hubs, *self._net.parties.nodes):
            self._start(name)
        wait_until(self._everybody_works, "every node to work at a hub", 300)
        self._every = max(self._plan.every_seconds, OF_A_START * (time.monotonic() - start))
        self._fire()
        self._calm()
        self.outcome.seconds = time.monotonic() - start
        self._look(*self._net.parties.nodes, "hub")
        return self.outcome

    def _everybody_works(self) -> bool:
        return all("connected to the hub" in self._net.log(name) for name in self._net.parties.nodes)

    def _fire(self) -> None:
        next_kill = time.monotonic() + self._gap()
        while sum(self.outcome.kills.values()) < self._plan.kills:
            self._ask()
            self._restart()
            if time.monotonic() >= next_kill and len(self._down) < len(self._hubs) + len(
                self._net.parties.nodes
            ):
                self._kill(self._chance.choice(sorted(self._net.running)))
                next_kill = time.monotonic() + self._gap()
            time.sleep(0.02)

    def _calm(self) -> None:
        left, until = self._open(), time.monotonic() + CALM_SECONDS
        while left:
            self._ask()
            self._restart()
            assert time.monotonic() < until, f"{left} release(s) do not end"
            time.sleep(0.2)
            if (found := self._open()) != left:
                left, until = found, time.monotonic() + CALM_SECONDS

    def _gap(self) -> float:
        return self._chance.uniform(0, 2 * self._every)

    def _start(self, name: str) -> None:
        if name in self._hubs:
            self._net.launch_hub(name)
        else:
            self._net.start_node(name)

    def _restart(self) -> None:
        for name, process in self._net.running.items():
            assert process.poll() is None, f"{name} ended by itself: {self._net.log(name)[-3000:]}"
        for name in [name for name, when in self._down.items() if time.monotonic() >= when]:
            del self._down[name]
            self._start(name)

    def _kill(self, name: str) -> None:
        self._net.kill(name)
        pause = self._chance.choice([0.0, self._chance.uniform(0, self._plan.longest_pause)])
        self._down[name] = time.monotonic() + pause
        self.outcome.kills[name] += 1
        self._look("hub" if name in self._hubs else name)
        done = sum(self.outcome.kills.values())
        if done % 10 == 0:
            self._say(f"{done} kills, {len(self._asked)} releases asked for, {self._open()} not ended yet")

    def _look(self, *where: str) -> None:
        for what in where:
            found = of_hub(self._net) if what == "hub" else of_ledger(self._net, what)
            self.outcome.seen.add(what, found)

    def _ask(self) -> None:
        """Ask for the releases that are due; whether the last reply came or not, asking again is harmless."""
        kills = sum(self.outcome.kills.values())
        due = 1 + (len(self._wanted) - 1) * kills // max(self._plan.kills - 1, 1)
        if len(self._asked) >= min(due, len(self._wanted)):
            return
        product, first, last, revision = self._wanted[len(self._asked)]
        try:
            with self._net.office() as office:
                self._asked.append(office.request(product, first, last, revision))
        except Unreachable:
            return  # a hub is down; the next turn asks again

    def _open(self) -> int:
        """Return how many releases have not ended yet."""
        ended = self._net.hub_rows("SELECT release_id FROM release WHERE state <> 'collecting'")
        return len(self._wanted) - len(ended)


def roomy(charter: Charter) -> Charter:
    """Return a charter with room for any number of releases of a day, and time for them on a machine of any speed."""
    budgets = charter.budgets.model_copy(update={"day": LARGEST, "month": LARGEST})
    publication = charter.publication.model_copy(update={"collect_seconds": COLLECT_SECONDS})
    return charter.model_copy(update={"budgets": budgets, "publication": publication})


@contextmanager
def battlefield(root: Path, database: str, plan: Plan) -> Iterator[Network]:
    """Set up three operators and as many hubs as are wanted on a database."""
    with ExitStack() as stack:
        address = stack.enter_context(_database(database))
        net = stack.enter_context(network(small_world(root / "country"), root / "net", roomy))
        if address:
            net.keep_at(address)
        if plan.hubs > 1:
            ports = [net.add_hub(f"hub{number}") for number in range(1, plan.hubs + 1)]
            net.port = free_port()
            stack.enter_context(Balancer(ports, net.port, plan.seed))
        yield net


@contextmanager
def _database(kind: str) -> Iterator[str]:
    if kind == SQLITE:
        yield ""
        return
    with postgres_server() as address:
        url = make_url(address).set(drivername="postgresql+psycopg")
        yield url.render_as_string(hide_password=False)


def fight(root: Path, database: str, plan: Plan, say: Say = lambda _line: None) -> Outcome:
    """Run a plan on a database and check all that must hold afterwards."""
    with battlefield(root, database, plan) as net:
        outcome = Chaos(net, plan, say).run()
        say("everything is published; comparing both ends")
        require_whole(net, plan.releases)
        _require_published(net, plan, outcome)
        outcome.missing = missing_receipts(net)
    return outcome


def _require_published(net: Network, plan: Plan, outcome: Outcome) -> None:
    """Check that an office gets the estimates of every release, the same after another restart of the hubs."""
    hubs = list(net.ports) or ["hub"]
    for name in hubs:
        net.kill(name)
        net.start_hub(name)
    outcome.seen.add("hub", of_hub(net))
    with net.office() as office:
        for wanted in plan.wanted():
            table = office.estimates(office.request(*wanted))
            assert set(table.column("operators").to_pylist()) == {len(net.parties.nodes)}


def table_of(database: str, plan: Plan, outcome: Outcome) -> str:
    """Return one line of the table of results."""
    nodes = sum(count for name, count in outcome.kills.items() if not name.startswith("hub"))
    hubs = sum(outcome.kills.values()) - nodes
    cells = [
        f"{database}, {plan.hubs} hub(s)",
        plan.seed,
        plan.releases,
        f"{hubs} of hubs, {nodes} of nodes",
        f"{outcome.seconds:.0f}",
        f"{len(outcome.seen.facts)} facts, {outcome.seen.looks} looks",
        "0",
        len(outcome.missing),
    ]
    return "| " + " | ".join(map(str, cells)) + " |\n"


HEAD = """\
# Hubs and nodes killed at random, {today}

Command: `python -m tests.faults.chaos --write` with the options of each line (`--database`, `--hubs`, `--seed`).
Three operators; every process is killed with SIGKILL and started again at once or after up to {pause:g} s. After each
kill everything that ledger or hub ever held must still be there, unchanged; at the end both ends are compared.

| where | seed | releases, all estimated | kills | seconds | compared | lost or changed | receipts a node lacks |
|---|---|---|---|---|---|---|---|
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--releases", type=click.IntRange(1), default=50, show_default=True)
@click.option("--kills", type=click.IntRange(1), default=100, show_default=True)
@click.option("--database", type=click.Choice([SQLITE, POSTGRESQL]), default=SQLITE, show_default=True)
@click.option(
    "--hubs", type=click.IntRange(1), default=1, show_default=True, help="Hub processes on one database."
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--every", type=float, default=2.5, show_default=True, help="Mean seconds between two kills.")
@click.option("--write", is_flag=True, help="Add a line to a dated table in docs/results/.")
def main(  # noqa: PLR0917 - options arrive as arguments
    releases: int, kills: int, database: str, hubs: int, seed: int, every: float, write: bool
) -> None:
    """Kill hubs and nodes at random while releases go on, and check that nothing is lost, doubled or changed."""
    if hubs > 1 and database == SQLITE:
        raise click.UsageError("several hubs need --database postgresql")
    plan = Plan(releases, kills, hubs, seed, every)
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=build) as root:
        outcome = fight(Path(root), database, plan, lambda line: click.echo(f"  {line}", err=True))
    head, line = (
        HEAD.format(today=datetime.now(UTC).date(), pause=plan.longest_pause),
        table_of(database, plan, outcome),
    )
    click.echo(head + line)
    if write:
        path = RESULTS / f"{datetime.now(UTC).date()}-chaos.md"
        path.write_text((path.read_text("utf-8") if path.exists() else head) + line, encoding="utf-8")
    if outcome.missing:
        raise click.ClickException(f"receipts that a node lacks: {', '.join(outcome.missing)}")


if __name__ == "__main__":
    main()
