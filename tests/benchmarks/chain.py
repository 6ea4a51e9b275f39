"""Section chain: the simulation, the node's presence of a day, and the ledger."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deploy.demo.agreement import charter_of, zoning_of
from deploy.demo.country import load_country
from deploy.demo.parties import set_up
from deploy.demo.simulation import Settings, Simulation, simulate
from node.daemon import ingest
from node.enrolment import load
from node.statistics.registry import algorithms
from privacy.calculus import Budgets
from privacy.ledger import Keeper, Ledger, Request
from quorate.contract.identity import load_signing_key, new_signing_key
from quorate.contract.order import terms_of
from tests.benchmarks.figures import Figure, watch
from tests.keys import keys_for

DAY = date(2026, 10, 21)
SUBSCRIPTIONS = 1_000_000
RELEASES = 500


def run(say: Callable[[str], None]) -> list[Figure]:
    """Measure the section; `say` is told what is being done."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        say(f"simulating {SUBSCRIPTIONS:,} subscriptions for a day")
        simulation, simulated = _simulate(root)
        say("building presence of that day at one operator")
        built = _presence(simulation, root)
        say(f"committing {RELEASES} releases to a ledger")
        return [simulated, built, _ledger(simulation, root)]


def _simulate(root: Path) -> tuple[Simulation, Figure]:
    """Against writing as many random rows of the same schema, sorted by nothing."""
    persons = load_country(None).population.sum()
    settings = Settings(
        scale=min(1.0, SUBSCRIPTIONS / (0.92 * float(persons))), days=1, start=DAY, operators=3
    )
    with watch() as ours:
        simulation = simulate(load_country(None), settings, root / "world")
    rows = sum(simulation.counts.events.values())
    random = np.random.default_rng(1)
    with watch() as theirs:
        columns = {
            name: random.integers(0, 2**40, rows) for name in ("subscriber_id", "timestamp_ms", "cell_id")
        }
        pq.write_table(pa.table(columns), root / "random.parquet", compression="zstd")
    subscriptions = sum(simulation.counts.subscriptions.values())
    return simulation, Figure(
        f"simulate {subscriptions:,} subscriptions × 1 day, {rows:,} events, with truth and files",
        "draw and write as many random int64 rows of three columns as zstd Parquet",
        ours.cpu / theirs.cpu,
        f"{ours.cpu:.1f} CPU s, {ours.wall:.1f} s wall",
        f"{theirs.cpu:.1f} CPU s, {theirs.wall:.1f} s wall",
    )


def _presence(simulation: Simulation, root: Path) -> Figure:
    """Against a bare group-by of the subscriber over the same file."""
    zoning = zoning_of(load_country(None))
    agree = partial(charter_of, zoning, simulation.settings, algorithms())
    parties = set_up(simulation, zoning, agree, root / "parties")
    home = parties.nodes["mno1"]
    with watch() as ours:
        ingest(home, load(home), lambda _day: None)
    path = simulation.events("mno1", DAY)
    with watch() as theirs, duckdb.connect() as db:
        db.execute("SET threads = 1")
        db.execute(
            "SELECT subscriber_id, count(*), max(timestamp_ms), max(cell_id) FROM read_parquet(?) GROUP BY 1",
            [str(path)],
        )
        db.fetchall()
    return Figure(
        f"presence of a day from {simulation.counts.events['mno1']:,} events, worker process included",
        "bare DuckDB group-by of the subscriber over the same file, one thread",
        ours.cpu / theirs.cpu,
        f"{ours.cpu:.1f} CPU s, {ours.wall:.1f} s wall",
        f"{theirs.cpu:.1f} CPU s, {theirs.wall:.1f} s wall",
    )


def _ledger(simulation: Simulation, root: Path) -> Figure:
    """Against the rate at which the same disk makes a small write durable."""
    zoning = zoning_of(load_country(None))
    settings = simulation.settings
    charter = charter_of(zoning, settings, algorithms(), keys_for(settings.operator_ids))
    budgets = Budgets(day=10**12, month=10**12, first_day=DAY, last_day=DAY)
    result = os.urandom(120_000)
    keeper = Keeper(load_signing_key(new_signing_key()), root / "witness.jsonl")
    ledger = Ledger(root / "ledger.db", "bench", budgets, keeper=keeper)
    first = terms_of(charter, zoning, "presence", (DAY, DAY), 0)
    requests = [
        Request(first.model_copy(update={"revision": revision}), f"{revision:032x}", result, b"snapshot")
        for revision in range(RELEASES)
    ]
    started = time.perf_counter()
    for request in requests:
        ledger.commit(request, DAY)
    ours = RELEASES / (time.perf_counter() - started)
    ledger.close()
    theirs = _durable_writes(root / "durable", result)
    return Figure(
        f"committed releases of {len(result):,} bytes, synchronous=FULL, each witnessed (two fsyncs)",
        "write and fsync of as many bytes on the same disk",
        ours / theirs,
        f"{ours:.0f} releases/s",
        f"{theirs:.0f} writes/s",
    )


def _durable_writes(path: Path, data: bytes) -> float:
    started = time.perf_counter()
    with path.open("wb") as file:
        for _ in range(RELEASES):
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    return RELEASES / (time.perf_counter() - started)
