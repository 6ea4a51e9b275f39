"""The demo from end to end: simulate, agree, start hub and nodes, ask for both products, compare, report."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from deploy.demo import interrupt
from deploy.demo.agreement import charter_of, zoning_of
from deploy.demo.compare import Distance, distance, read_rows
from deploy.demo.country import load_country
from deploy.demo.parties import Parties, set_up
from deploy.demo.processes import Processes, clear_leftovers
from deploy.demo.report import write_report
from deploy.demo.simulation import Settings, Simulation, files, simulate
from deploy.demo.simulation.result import Layout
from hub.client.office import Office, connect, write_csv
from node.enrolment import load
from node.statistics.registry import algorithms
from privacy.errors import Unreachable
from privacy.ledger.summary import summary

_START_SECONDS = 60.0
_RELEASE_SECONDS = 900.0


@dataclass(frozen=True)
class Options:
    """What was asked for.

    Attributes
    ----------
    country
        Country directory, or None for Belgium.
    settings
        Of the simulation.
    out
        Directory for everything; one of an earlier demo is emptied first.
    listen
        host:port of the hub; port 0 takes a free one.
    """

    country: Path | None
    settings: Settings
    out: Path
    listen: str


@dataclass(frozen=True)
class Outcome:
    """What a demo leaves behind."""

    out: Path
    simulation: Simulation
    parties: Parties
    distances: tuple[Distance, ...]
    seconds: float


class Steps:
    """Says on the terminal what is being done; a bar moves where there is a terminal to move it on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.bar = Progress(
            TextColumn("    {task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str, float], None]]:
        """Announce a step; yields a function that takes (what, share done)."""
        self._console.print(f"[bold]{title}[/]")
        started = time.monotonic()
        with self.bar:
            task: TaskID = self.bar.add_task(title, total=1.0)
            yield lambda what, share: self.bar.update(task, description=what, completed=share)
            self.bar.remove_task(task)
        self._console.print(f"    done in {time.monotonic() - started:.1f} s")


def run_demo(options: Options, console: Console, done: Callable[[Outcome, str], None]) -> None:
    """Run the demo.

    Parameters
    ----------
    options
        What was asked for.
    console
        Where progress goes.
    done
        Called with the outcome and the hub's address when all is done and everything still runs.

    Raises
    ------
    QuorateError
        What went wrong, and what to do.
    """
    started, steps = time.monotonic(), Steps(console)
    settings, out = options.settings, options.out
    country = load_country(options.country)
    claim(out)
    with steps.step(
        f"Simulating {country.name}: {settings.operators} operators, {settings.days} day(s)"
    ) as progress:
        simulation = simulate(country, settings, out, progress)
    with steps.step("Agreeing: keys, certificates, charter, enrolment"):
        zoning = zoning_of(country)
        agree = partial(charter_of, zoning, settings, algorithms())
        parties = set_up(simulation, zoning, agree, out)
    with Processes(out) as processes:
        with steps.step("Starting the hub and a node at each operator; nodes build presence") as progress:
            address = _start(parties, options.listen, processes, progress, len(simulation.days))
        with steps.step("Asking for both products: orders, noise, ledgers, uploads, estimates") as progress:
            _ask(parties, simulation, address, processes, progress)
        with steps.step("Comparing with the simulated truth, drawing the report"):
            _write_ledgers(parties, out)
            distances = tuple(_distances(parties, out))
            write_report(out, country, parties.charter, distances, options.country)
        interrupt.require_none()
        outcome = Outcome(out, simulation, parties, distances, time.monotonic() - started)
        done(outcome, address)


def claim(out: Path) -> None:
    """Make the demo's directory, empty; refuse a directory that no demo has made.

    Raises
    ------
    UsageProblem
        If there is something else in it.
    ResourceProblem
        If a demo is at work there.
    """
    layout = Layout(out)
    if layout.settings_file.exists():
        clear_leftovers(out)
    files.claim(layout)
    shutil.rmtree(out)
    out.mkdir(parents=True)


def _start(
    parties: Parties, listen: str, processes: Processes, progress: Callable[[str, float], None], days: int
) -> str:
    """Start every process and return the hub's address when all nodes are connected."""
    processes.start("hub", "hub", "serve", "--dir", str(parties.hub.root), "--listen", listen)
    address = _await_hub(parties, processes)
    for operator, home in parties.nodes.items():
        processes.start(operator, "node", "run", "--dir", str(home.root), "--hub", address)
    waiting = set(parties.nodes)
    built = 0
    while waiting:
        processes.require_alive()
        logs = {name: processes.log(name).read_text(encoding="utf-8") for name in parties.nodes}
        waiting = {name for name, log in logs.items() if "connected to the hub" not in log}
        built = sum(log.count("building presence") for log in logs.values())
        progress(f"presence of {built} operator-days", built / (days * len(logs)))
        time.sleep(0.2)
    return address


def _await_hub(parties: Parties, processes: Processes) -> str:
    until = time.monotonic() + _START_SECONDS
    while not parties.hub.address.exists():
        processes.require_alive()
        if time.monotonic() > until:
            raise Unreachable("the hub does not start", todo=f"read {processes.log('hub')}")
        time.sleep(0.1)
    return parties.hub.address.read_text(encoding="utf-8").strip()


def _ask(
    parties: Parties,
    simulation: Simulation,
    address: str,
    processes: Processes,
    progress: Callable[[str, float], None],
) -> None:
    """Request both products, wait for the operators, and write the estimates."""
    folder = simulation.out / "estimates"
    folder.mkdir()
    periods = {
        "residents": (simulation.days[0], simulation.days[-1]),
        "presence": (simulation.presence_day, simulation.presence_day),
    }
    with connect(parties.office, address) as office:
        releases = {product: office.request(product, *days) for product, days in periods.items()}
        for number, (product, release) in enumerate(releases.items()):
            _wait(office, release, processes, _part(progress, product, number, len(releases)))
            write_csv(office.estimates(release), folder / f"{product}.csv")


def _part(progress: Callable[[str, float], None], what: str, number: int, of: int) -> Callable[[float], None]:
    """Return a function that reports the progress of one part out of several."""
    return lambda share: progress(what, (number + share) / of)


def _wait(office: Office, release: str, processes: Processes, progress: Callable[[float], None]) -> None:
    """Wait for a release while watching that every process lives."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(
            office.wait,
            release,
            _RELEASE_SECONDS,
            lambda seen: progress(sum(op.state != "offered" for op in seen.operators) / len(seen.operators)),
        )
        try:
            while not waiting.done():
                processes.require_alive()
                time.sleep(0.1)
        except BaseException:
            processes.stop()
            raise
        waiting.result()


def _write_ledgers(parties: Parties, out: Path) -> None:
    ledgers = {name: summary(home.ledger, load(home).budgets) for name, home in parties.nodes.items()}
    (out / "ledger.json").write_text(json.dumps(ledgers, indent=1) + "\n", encoding="utf-8")


def _distances(parties: Parties, out: Path) -> Iterator[Distance]:
    for product in ("residents", "presence"):
        estimates = read_rows(out / "estimates" / f"{product}.csv")
        truth = read_rows(out / "truth" / f"{product}.csv")
        for level in parties.charter.publication.levels:
            yield distance(product, level, parties.zoning.members(level), estimates, truth)
