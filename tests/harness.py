"""A small network of real processes for integration tests: one hub, nodes, and an office, over real TLS."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import create_engine, inspect, text

from deploy.demo.agreement import charter_of, zoning_of
from deploy.demo.country import Country, load_country
from deploy.demo.parties import Parties, set_up
from deploy.demo.simulation import Settings, Simulation, simulate
from hub.client.office import Home as OfficeHome
from hub.client.office import Office, connect
from hub.config import Home as HubHome
from hub.config import load_config
from hub.database import sqlite_at
from hub.objects import Objects
from node.config import Home as NodeHome
from node.daemon import ingest
from node.enrolment import load
from node.statistics.registry import algorithms
from quorate.contract.charter import Charter, Keys
from tests.small_country import write_small_country

ROOT = Path(__file__).resolve().parent.parent
START = date(2026, 10, 24)
"""A Saturday; the Sunday after it has 25 hours."""


@dataclass(frozen=True)
class World:
    """A simulated country, shared by tests that only read it."""

    country: Country
    simulation: Simulation


def small_world(root: Path, operators: int = 3) -> World:
    """Simulate two days of a country of twelve zones."""
    country = load_country(write_small_country(root / "country"))
    settings = Settings(scale=0.2, seed=3, days=2, operators=operators, start=START)
    return World(country, simulate(country, settings, root / "world"))


def free_port() -> int:
    """Return a port that is free now, and that the system gives to no caller as its own end of a connection.

    A hub that was killed must get its port again; below 32768 nobody else takes it in between.
    """
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", random.SystemRandom().randrange(20_000, 32_768)))
            except OSError:
                continue
            return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Return the first true value of a condition, or fail."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


@dataclass
class Network:
    """The directories of a network, and the processes that run in it."""

    parties: Parties
    root: Path
    port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    """Of further hubs, by name."""

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"

    def hub_home(self, name: str = "hub") -> HubHome:
        return HubHome(self.root / name)

    def keep_at(self, database: str) -> None:
        """Have the hub keep its state in another database than its own file; before it is started."""
        home = self.parties.hub
        home.config.write_text(f'database = "{database}"\nobjects = "{home.objects}"\n', encoding="utf-8")

    def add_hub(self, name: str) -> int:
        """Make the directory of another hub on the same database, files and authority; return its port."""
        shutil.copytree(self.parties.hub.root, self.root / name)
        self.ports[name] = free_port()
        return self.ports[name]

    def home(self, operator: str) -> NodeHome:
        return self.parties.nodes[operator]

    def log(self, name: str) -> str:
        return (self.root / f"{name}.log").read_text(encoding="utf-8")

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.root / f"{name}.log").open("ab") as log:
            process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=log, stderr=log)
        self.running[name] = process
        return process

    def launch_hub(self, name: str = "hub") -> subprocess.Popen[bytes]:
        """Start a hub without waiting until it listens."""
        home = self.hub_home(name)
        home.address.unlink(missing_ok=True)
        listen = f"localhost:{self.ports.get(name, self.port)}"
        return self.start(name, "-m", "hub", "serve", "--dir", str(home.root), "--listen", listen)

    def start_hub(self, name: str = "hub") -> None:
        process, home = self.launch_hub(name), self.hub_home(name)
        wait_until(lambda: home.address.exists() or process.poll() is not None, name)
        assert process.poll() is None, self.log(name)

    def start_node(self, operator: str, hub: str | None = None) -> subprocess.Popen[bytes]:
        home = str(self.home(operator).root)
        return self.start(operator, "-m", "node", "run", "--dir", home, "--hub", hub or self.address)

    def start_faulty_node(self, operator: str, fault: str, hub: str | None = None) -> subprocess.Popen[bytes]:
        home = str(self.home(operator).root)
        return self.start(operator, "-m", "tests.faults.faulty_node", fault, home, hub or self.address)

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for process in self.running.values():
            if process.poll() is None:
                process.terminate()
        for process in self.running.values():
            process.wait(20)
        self.running.clear()

    @contextmanager
    def office(self) -> Iterator[Office]:
        with connect(self.parties.office, self.address) as office:
            yield office

    def hub_rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return what a query finds in the hub's database, whichever it is; nothing before a hub made its tables."""
        home = self.parties.hub
        engine = create_engine(load_config(home).database or sqlite_at(home.database))
        try:
            with engine.connect() as connection:
                if not inspect(connection).has_table("release"):
                    return []
                return [tuple(row) for row in connection.execute(text(query))]
        finally:
            engine.dispose()

    def contributions(self) -> dict[tuple[str, str], bytes]:
        """Return the bytes that the hub holds, by release and operator."""
        rows = self.hub_rows(
            "SELECT release_id, operator, result_sha256 FROM contribution JOIN task USING (order_digest)"
        )
        files = Objects(self.parties.hub.objects)
        return {(release, operator): files.get(digest) for release, operator, digest in rows}

    def ledger_results(self, operator: str) -> list[bytes]:
        """Return the bytes in an operator's ledger, in order."""
        with sqlite3.connect(f"file:{self.home(operator).ledger}?mode=ro", uri=True) as db:
            return [
                row[0]
                for row in db.execute(
                    "SELECT bytes FROM entry JOIN result USING (release_id) ORDER BY sequence"
                )
            ]


def prepared(world: World, root: Path) -> Parties:
    """Set up a network that `copied` makes others of; the nodes have built presence of every day."""
    with network(world, root) as made:
        for home in made.parties.nodes.values():
            ingest(home, load(home), lambda _phase: None)
        return made.parties


@contextmanager
def copied(parties: Parties, root: Path) -> Iterator[Network]:
    """Copy a network that nobody has started: the same keys, certificates and days, and everything else its own."""
    shutil.copytree(parties.hub.root.parent, root, dirs_exist_ok=True)
    nodes = {operator: NodeHome(root / "nodes" / operator) for operator in parties.nodes}
    own = Parties(parties.charter, parties.zoning, HubHome(root / "hub"), nodes, OfficeHome(root / "office"))
    found = Network(own, root)
    try:
        yield found
    finally:
        found.stop()


@contextmanager
def network(
    world: World,
    root: Path,
    amend: Callable[[Charter], Charter] = lambda charter: charter,
    withheld: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Iterator[Network]:
    """Set up a network over a world; every process that is started ends with it.

    `withheld` are products that an operator's policy does not list.
    """
    zoning = zoning_of(world.country)

    def agree(keys: Keys) -> Charter:
        return amend(charter_of(zoning, world.simulation.settings, algorithms(), keys))

    parties = set_up(world.simulation, zoning, agree, root, tick_seconds=0.2, withheld=withheld)
    found = Network(parties, root)
    try:
        yield found
    finally:
        found.stop()
