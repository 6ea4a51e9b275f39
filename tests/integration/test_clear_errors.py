"""What goes wrong at a shell ends with a message that helps and a documented exit code, never a traceback."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hub.config import Home as HubHome
from node.config import Home as NodeHome
from node.daemon import open_ledger
from node.enrolment import Enrolment, load
from privacy.errors import ExitCode
from privacy.ledger import Request
from quorate.contract.canonical import digest
from quorate.contract.order import terms_of
from tests.harness import ROOT, START, Network, World, free_port, network, wait_until

EVENTS = pa.schema([("subscriber_id", pa.int64()), ("timestamp_ms", pa.int64()), ("cell_id", pa.int64())])


def run(*arguments: object) -> tuple[int, str]:
    """Run `python -m …` and return its exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    return done.returncode, said


@pytest.fixture(scope="module")
def shared(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(world, tmp_path_factory.mktemp("network")) as found:
        yield found


@pytest.fixture
def home(shared: Network, tmp_path: Path) -> NodeHome:
    """A node of its own data, which a test may spoil."""
    copied = NodeHome(tmp_path / "node")
    shutil.copytree(
        shared.home("mno1").root, copied.root, ignore=shutil.ignore_patterns("ledger.db*", "witness*")
    )
    data = shared.parties.nodes["mno1"].config.read_text().split('events = "')[1].split("/events/")[0]
    shutil.copytree(data, tmp_path / "data")
    copied.config.write_text(copied.config.read_text().replace(data, (tmp_path / "data").as_posix()))
    return copied


def events_of(home: NodeHome) -> Path:
    return home.root.parent / "data" / "events" / f"{START}.parquet"


def test_a_missing_event_file(home: NodeHome) -> None:
    events_of(home).unlink()
    code, said = run("node", "ingest", "--dir", home.root)
    assert code == ExitCode.DATA_MISSING
    assert f"{START}.parquet is not there" in said
    assert "unavailable_days" in said


def test_an_empty_event_file(home: NodeHome) -> None:
    events_of(home).write_bytes(b"")
    code, said = run("node", "ingest", "--dir", home.root)
    assert code == ExitCode.DATA_UNUSABLE
    assert "is empty" in said


def test_an_event_file_without_rows(home: NodeHome) -> None:
    pq.write_table(EVENTS.empty_table(), events_of(home))
    code, said = run("node", "ingest", "--dir", home.root)
    assert code == ExitCode.DATA_UNUSABLE
    assert "has no rows" in said


def test_a_file_that_is_not_parquet(home: NodeHome) -> None:
    events_of(home).write_text("subscriber_id,timestamp_ms,cell_id\n")
    code, said = run("node", "check", "--dir", home.root)
    assert code == ExitCode.DATA_UNUSABLE
    assert "not a readable Parquet file" in said


def test_a_wrong_column(home: NodeHome) -> None:
    table = pq.read_table(events_of(home)).rename_columns(["subscriber_id", "time", "cell_id"])
    pq.write_table(table, events_of(home))
    for command in ("ingest", "check"):
        code, said = run("node", command, "--dir", home.root)
        assert code == ExitCode.DATA_UNUSABLE
        assert "columns.time does not fit" in said
        assert "the columns are: subscriber_id, time, cell_id" in said


def test_all_rows_rejected(home: NodeHome) -> None:
    table = pq.read_table(events_of(home))
    nowhere = pa.array([-1] * len(table), pa.int64())
    pq.write_table(table.set_column(2, "cell_id", nowhere), events_of(home))
    code, said = run("node", "run", "--dir", home.root, "--hub", "localhost:1")
    assert code == ExitCode.DATA_UNUSABLE
    assert f"no row of {START} is accepted" in said
    assert (home.quality / f"{START}.json").exists()


def test_a_setting_that_does_not_exist(home: NodeHome) -> None:
    home.config.write_text('colour = "blue"\n' + home.config.read_text())
    code, said = run("node", "check", "--dir", home.root)
    assert code == ExitCode.CONFIGURATION
    assert "colour" in said


def test_an_unknown_operator_is_not_signed(shared: Network, tmp_path: Path) -> None:
    assert run("node", "init", "--dir", tmp_path, "--network", "demo", "--operator", "mno9")[0] == ExitCode.OK
    code, said = run(
        "hub",
        "sign",
        "--dir",
        shared.parties.hub.root,
        "--request",
        tmp_path / "node.csr",
        "--operator",
        "mno9",
    )
    assert code == ExitCode.CONFIGURATION
    assert "operator mno9 is not in version 1 of the charter" in said
    assert "mno1, mno2, mno3" in said


def test_a_hub_that_is_not_running(home: NodeHome) -> None:
    code, said = run("node", "run", "--dir", home.root, "--hub", f"localhost:{free_port()}", "--patience", 2)
    assert code == ExitCode.HUB_UNREACHABLE
    assert "does not answer" in said
    assert "start the hub" in said


def test_an_office_without_a_hub(shared: Network) -> None:
    office = shared.parties.office.root
    code, said = run("hub.client.cli", "products", "--dir", office, "--hub", f"localhost:{free_port()}")
    assert code == ExitCode.HUB_UNREACHABLE
    assert "does not answer" in said


def test_a_port_that_is_taken(shared: Network) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = run("hub", "serve", "--dir", shared.parties.hub.root, "--listen", address)
    assert code == ExitCode.RESOURCE
    assert f"cannot listen at {address}" in said


def test_a_second_daemon_on_one_ledger(shared: Network) -> None:
    shared.start_hub()
    shared.start_node("mno1")
    wait_until(lambda: "connected to the hub" in shared.log("mno1"), "the first daemon")
    code, said = run("node", "run", "--dir", shared.home("mno1").root, "--hub", shared.address)
    assert code == ExitCode.LEDGER
    assert "open in another process" in said


def test_a_changed_charter(home: NodeHome) -> None:
    home.charter.write_bytes(home.charter.read_bytes().replace(b"30000000", b"90000000"))
    code, said = run("node", "check", "--dir", home.root)
    assert code == ExitCode.CONFIGURATION
    assert "not the one that was pinned" in said


def test_a_hub_without_its_register(shared: Network, tmp_path: Path) -> None:
    copied = HubHome(tmp_path / "hub")
    shutil.copytree(shared.parties.hub.root, copied.root)
    copied.register.unlink()
    code, said = run("hub", "serve", "--dir", copied.root, "--listen", "localhost:0")
    assert code == ExitCode.CONFIGURATION
    assert "register.csv cannot be read" in said


def test_a_wrong_option() -> None:
    assert run("node", "run", "--colour", "blue")[0] == ExitCode.USAGE
    assert run("deploy.demo", "--scale", "7", "--out", "build/never")[0] == ExitCode.CONFIGURATION


def test_a_directory_that_is_not_a_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    code, _said = run("deploy.demo", "--out", tmp_path)
    assert code == ExitCode.CONFIGURATION
    assert (tmp_path / "thesis.txt").exists()


def test_a_second_hub_in_one_directory(shared: Network) -> None:
    if "hub" not in shared.running:
        shared.start_hub()
    code, said = run("hub", "serve", "--dir", shared.parties.hub.root, "--listen", "localhost:0")
    assert code == ExitCode.RESOURCE
    assert "another hub is at work" in said
    assert shared.parties.hub.address.read_text().strip() == shared.address


@pytest.mark.parametrize("address", ["localhost", "localhost:99999", ":7443", "foo"])
def test_an_address_that_is_none(shared: Network, tmp_path: Path, address: str) -> None:
    copied = HubHome(tmp_path / "hub")
    shutil.copytree(shared.parties.hub.root, copied.root, ignore=shutil.ignore_patterns("hub.db*", "address"))
    code, said = run("hub", "serve", "--dir", copied.root, "--listen", address)
    assert code == ExitCode.CONFIGURATION
    assert "is not an address" in said


def test_a_charter_of_another_network(shared: Network, tmp_path: Path) -> None:
    copied = HubHome(tmp_path / "hub")
    shutil.copytree(shared.parties.hub.root, copied.root, ignore=shutil.ignore_patterns("hub.db*", "address"))
    copied.charter.write_bytes(
        copied.charter.read_bytes().replace(b'"network":"demo"', b'"network":"elsewhere"')
    )
    code, said = run("hub", "serve", "--dir", copied.root, "--listen", "localhost:0")
    assert code == ExitCode.CONFIGURATION
    assert "but the charter is of elsewhere" in said


def test_a_file_for_estimates_that_cannot_be_written_is_told_before_anything_is_asked(
    shared: Network, tmp_path: Path
) -> None:
    words = (
        "request",
        "presence",
        "--from",
        START,
        "--dir",
        shared.parties.office.root,
        "--hub",
        "localhost:1",
    )
    code, said = run("hub.client.cli", *words, "--out", tmp_path / "nowhere" / "presence.csv")
    assert code == ExitCode.CONFIGURATION
    assert "nothing was asked for" in said


def test_operators_that_do_not_answer_in_time(shared: Network, tmp_path: Path) -> None:
    if "hub" not in shared.running:
        shared.start_hub()
    words = ("request", "presence", "--from", START, "--timeout", 1)
    office = ("--dir", shared.parties.office.root, "--hub", shared.address, "--out", tmp_path / "p.csv")
    code, said = run("hub.client.cli", *words, *office)
    assert code == ExitCode.NOT_QUORATE
    assert "which costs nothing" in said


def test_a_revision_of_what_was_never_asked_for(shared: Network, tmp_path: Path) -> None:
    if "hub" not in shared.running:
        shared.start_hub()
    words = ("request", "presence", "--from", START, "--revision", 9, "--timeout", 1)
    office = ("--dir", shared.parties.office.root, "--hub", shared.address, "--out", tmp_path / "p.csv")
    code, said = run("hub.client.cli", *words, *office)
    assert code == ExitCode.REFUSED
    assert f"there is no release presence-{START}-{START}-r8" in said
    assert "ask for revision 8 first" in said
    assert not (tmp_path / "p.csv").exists()


@pytest.mark.parametrize(
    ("product", "day", "means"),
    [("tourists", START, "tourists"), ("presence", "1999-01-01", "no budget outside")],
    ids=["a product", "a day"],
)
def test_what_the_charter_does_not_have_is_put_right_by_who_asks(
    shared: Network, tmp_path: Path, product: str, day: object, means: str
) -> None:
    if "hub" not in shared.running:
        shared.start_hub()
    office = ("--dir", shared.parties.office.root, "--hub", shared.address, "--out", tmp_path / "p.csv")
    code, said = run("hub.client.cli", "request", product, "--from", day, *office)
    assert code == ExitCode.CONFIGURATION
    assert means in said
    assert not (tmp_path / "p.csv").exists()


def test_a_product_in_the_policy_that_the_charter_does_not_have(home: NodeHome) -> None:
    home.policy.write_text(home.policy.read_text().replace('"presence"', '"flows"'))
    pinned = Enrolment.read(home.enrolment)
    repinned = pinned.model_copy(update={"policy": digest(home.policy.read_bytes())})
    home.enrolment.write_bytes(repinned.to_bytes())
    code, said = run("node", "check", "--dir", home.root)
    assert code == ExitCode.CONFIGURATION
    assert "lists flows, which is no product of the charter" in said


def test_a_ledger_that_does_not_hold_or_was_deleted_keeps_the_node_from_starting(home: NodeHome) -> None:
    own = load(home)
    terms = terms_of(own.charter, own.zoning, "presence", (START, START), 0)
    ledger = open_ledger(home, own)
    ledger.commit(Request(terms, "0" * 32, b"bytes", b"snapshot"), START)
    ledger.close()
    with sqlite3.connect(home.ledger) as db:
        db.execute("DELETE FROM spent")
    db.close()
    words = ("node", "run", "--dir", home.root, "--hub", "localhost:1", "--patience", 1)
    assert run(*words)[0] == ExitCode.LEDGER
    for left in home.root.glob("ledger.db*"):
        left.unlink()
    for command in (words, ("node", "check", "--dir", home.root)):
        code, said = run(*command)
        assert code == ExitCode.LEDGER
        assert "lacks 1 release(s) that its witness has" in said
    assert run("node", "ledger", "restore", "--dir", home.root)[0] == ExitCode.OK
    assert run("node", "ledger", "verify", "--dir", home.root)[0] == ExitCode.OK
