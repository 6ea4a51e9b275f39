"""A ledger that goes back or another way shows at the hub, also when its witness went back with it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.store import store_of
from node.config import Home as NodeHome
from privacy.errors import ExitCode
from privacy.ledger import verify
from privacy.ledger.entry import Entry
from quorate.contract.signing import from_json
from quorate.contract.statements import Receipt
from tests.harness import ROOT, START, Network, wait_until

KEPT = ("ledger.db", "witness.jsonl")


def copy(source: Path, target: Path) -> None:
    """Copy a stopped node's ledger and witness, as a backup would."""
    target.mkdir(exist_ok=True)
    for name in KEPT:
        (target / name).unlink(missing_ok=True)
        shutil.copy(source / name, target / name)
    for leftover in ("ledger.db-wal", "ledger.db-shm"):
        (target / leftover).unlink(missing_ok=True)


def stop(net: Network, name: str) -> None:
    process = net.running.pop(name)
    process.terminate()
    process.wait(30)


def published(net: Network, operator: str) -> list[bytes]:
    store = store_of(net.parties.hub, migrate=False)
    try:
        return store.ledger_entries(operator, 0, 100)
    finally:
        store.close()


def test_a_restored_ledger_is_not_used_even_if_its_witness_was_restored_with_it(
    net: Network, tmp_path: Path
) -> None:
    """The hub holds a copy of its own, and the node asks for it before it takes an order."""
    net.start_hub()
    for operator in net.parties.nodes:
        net.start_node(operator)
    home, backup = net.home("mno1"), tmp_path / "backup"
    with net.office() as office:
        office.wait(office.request("residents", START, START), 120, lambda _seen: None)
        stop(net, "mno1")
        copy(home.root, backup)
        net.start_node("mno1")
        office.wait(office.request("presence", START, START), 120, lambda _seen: None)
    stop(net, "mno1")
    assert len(published(net, "mno1")) == 2
    copy(backup, home.root)
    assert verify(home.ledger)[0] == 1
    assert net.start_node("mno1").wait(60) == ExitCode.LEDGER
    said = net.log("mno1")
    assert "the hub knows 2 entries of this ledger, which has 1" in said
    assert "what to do: stop the node and run quorate-node ledger restore" in said
    assert "Traceback" not in said
    assert verify(home.ledger)[0] == 1, "nothing was charged or changed"
    store = store_of(net.parties.hub, migrate=False)
    lines = [(what, detail) for _at, _who, what, detail in store.audit_lines()]
    store.close()
    assert ("ledger behind its copy", "says 1 entries, published 2") in lines


def quorate_node(home: NodeHome, *words: str) -> tuple[int, Any]:
    """Run a command with --json; return its exit code and what it printed, or what it said instead."""
    command = [sys.executable, "-m", "node", *words, "--dir", str(home.root), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


LIES = {
    "UPDATE ledger_entry SET entry = CAST(replace(CAST(entry AS TEXT), 'presence', 'presents') AS BLOB)": (
        "does not end where the hub says"
    ),
    "DELETE FROM ledger_head": "the head of the hub's copy is",
    "DELETE FROM ledger_entry WHERE sequence = 2": "ends before entry 2 of this ledger, for which there is a receipt",
}


@pytest.mark.full
def test_a_ledger_restored_with_its_witness_gets_its_charges_back_from_the_hub_and_the_node_goes_on(
    net: Network, tmp_path: Path
) -> None:
    net.start_hub()
    for operator in net.parties.nodes:
        net.start_node(operator)
    home, backup = net.home("mno1"), tmp_path / "backup"
    with net.office() as office:
        office.wait(office.request("residents", START, START), 120, lambda _seen: None)
        stop(net, "mno1")
        copy(home.root, backup)
        net.start_node("mno1")
        office.wait(office.request("presence", START, START), 120, lambda _seen: None)
    stop(net, "mno1")
    whole, left = verify(home.ledger), quorate_node(home, "status")[1]["budget_left"]
    sent = net.contributions()
    copy(backup, home.root)
    assert quorate_node(home, "status")[1]["budget_left"] != left
    assert net.start_node("mno1").wait(60) == ExitCode.LEDGER
    assert "quorate-node ledger restore --from-hub" in net.log("mno1")

    words = ("ledger", "restore", "--from-hub", "--hub", net.address)
    before = {name: (home.root / name).read_bytes() for name in KEPT}
    for lie, match in LIES.items():
        with tampered(net, lie):
            code, said = quorate_node(home, *words)
        assert (code, match in said) == (ExitCode.REFUSED, True), said
    assert {name: (home.root / name).read_bytes() for name in KEPT} == before

    assert quorate_node(home, *words, "--dry-run")[1]["from_copy"] == 1
    assert verify(home.ledger)[0] == 1
    code, found = quorate_node(home, *words)
    assert (code, found["from_copy"], found["entries"], found["copied"]) == (ExitCode.OK, 1, 2, 2)
    assert verify(home.ledger) == whole
    assert quorate_node(home, "status")[1]["budget_left"] == left
    assert quorate_node(home, "ledger", "verify")[1]["lost"] == 1

    node = net.start_node("mno1")
    with net.office() as office:
        sunday = START + timedelta(days=1)
        office.wait(office.request("presence", sunday, sunday), 120, lambda _seen: None)
        office.wait(office.request("presence", START, START), 120, lambda _seen: None)
    assert node.poll() is None, net.log("mno1")
    assert verify(home.ledger)[0] == 3
    assert net.contributions().items() >= sent.items(), "what was accepted stays as it was"
    assert len(net.contributions()) == len(sent) + 3
    assert [json.loads(entry)["sequence"] for entry in published(net, "mno1")] == [1, 2, 3]


@contextmanager
def tampered(net: Network, statement: str) -> Iterator[None]:
    """Change the hub's copies behind its back while the block runs."""
    tables = ("ledger_entry", "ledger_head")
    with closing(sqlite3.connect(net.parties.hub.database)) as db:
        kept = {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in tables}  # noqa: S608
        with db:
            assert db.execute(statement).rowcount
        yield
        with db:
            for name, rows in kept.items():
                db.execute(f"DELETE FROM {name}")  # noqa: S608
                marks = ", ".join("?" * len(rows[0]))
                db.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)  # noqa: S608


def test_every_entry_receipt_and_head_is_at_both_sides_under_both_signatures(net: Network) -> None:
    net.start_hub()
    for operator in net.parties.nodes:
        net.start_node(operator)
    with net.office() as office:
        office.wait(office.request("presence", START, START), 120, lambda _seen: None)
    contributions = net.contributions()
    store = store_of(net.parties.hub, migrate=False)
    for operator in net.parties.nodes:
        home = net.home(operator)
        wait_until(lambda home=home: list(home.receipts.glob("*.json")), "the receipt")  # type: ignore[misc]
        (kept,) = home.receipts.glob("*.json")
        statement = from_json(kept.read_bytes(), "the receipt")
        keys = net.parties.charter.keys
        assert {s.keyid for s in statement.signatures} == {keys.hub, keys.operators[operator]}
        receipt = Receipt.from_bytes(statement.payload, "the receipt")
        (raw,) = published(net, operator)
        entry = Entry.model_validate_json(raw)
        assert (receipt.ledger_sequence, receipt.ledger_head) == verify(home.ledger)
        assert (receipt.commitment, receipt.result_sha256) == (entry.commitment, entry.result_sha256)
        assert store.accepted(operator, receipt.order) == (receipt.result_sha256, kept.read_bytes())
        assert receipt.result_length in {len(data) for data in contributions.values()}
        head = from_json(store.published_head(operator, 1) or b"", "the head")
        assert {s.keyid for s in head.signatures} == {keys.hub, keys.operators[operator]}
    store.close()


@pytest.mark.full
def test_an_order_is_taken_over_from_a_node_that_was_killed_at_work(net: Network) -> None:
    """The lease of the dead one is not waited for by its own successor, which is the same node again."""
    net.start_hub()
    net.start_node("mno1")
    net.start_node("mno2")
    faulty = net.start_faulty_node("mno3", "kill-before-commit")
    with net.office() as office:
        release = office.request("presence", START, START)
        assert faulty.wait(60) == -9, net.log("mno3")
        store = store_of(net.parties.hub, migrate=False)
        states = {operator: state for operator, state, _refusal in store.view(release).tasks}
        store.close()
        assert states["mno3"] == "leased"
        net.start_node("mno3")
        office.wait(release, 120, lambda _seen: None)
    assert len(net.contributions()) == 3
