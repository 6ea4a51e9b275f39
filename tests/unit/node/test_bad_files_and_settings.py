"""Bad files, keys and settings of a node each end with a typed error that says what to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives import serialization

from node.config import Home, NodeConfig, parse_toml
from node.daemon import check
from node.enrolment import enrol, load
from node.jobs import BuildJob, WorkerFailed, run
from node.statistics.registry import Inputs, algorithms, exact_vector
from node.worker import build
from privacy.errors import DataProblem, ExitCode, QuorateError, UsageProblem
from quorate.contract.identity import parse_identity
from quorate.contract.zoning import Zoning
from tests.support_node import (
    BRUSSELS,
    LONG_DAY,
    NAME,
    NETWORK,
    Network,
    agreement,
    config_text,
    enrolled,
    instant,
    network_at,
    order_of,
    prepare,
    write_events,
    zoning_of,
)

EVENTS = [(5, instant(LONG_DAY, 10), 1), (6, instant(LONG_DAY, 7200), 2)]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return network_at(tmp_path_factory.mktemp("n") / "hub")


@pytest.fixture
def home(network: Network, tmp_path: Path) -> Home:
    home = enrolled(network, tmp_path / "node", config=config_text((LONG_DAY, LONG_DAY)))
    write_events(home, LONG_DAY, EVENTS)
    return home


def test_too_little_memory_says_so(network: Network, tmp_path: Path) -> None:
    text = config_text((LONG_DAY, LONG_DAY), memory="1MB")
    home = enrolled(network, tmp_path / "node", config=text)
    write_events(home, LONG_DAY, EVENTS * 1000)
    with pytest.raises(QuorateError) as caught:
        run(BuildJob(home=home.root, charter=load(home).charter_digest, days=(LONG_DAY,)), lambda _: None)
    assert "memory" in caught.value.todo
    assert caught.value.exit_code != ExitCode.INTERNAL or type(caught.value) is WorkerFailed


@pytest.mark.parametrize("content", [None, b"", b"short"])
def test_a_lost_or_cut_secret_is_a_problem_that_names_it(home: Home, content: bytes | None) -> None:
    home.secret.unlink()
    if content is not None:
        home.secret.write_bytes(content)
    with pytest.raises(UsageProblem, match=r"secret\.key"):
        build(BuildJob(home=home.root, charter=load(home).charter_digest, days=(LONG_DAY,)), lambda _: None)


def broken_pages(path: Path, table: pa.Table) -> None:
    pq.write_table(table, path, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[20:2000] = b"\xff" * 1980
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", ["pages"])
def test_damaged_events_are_unusable_data_and_not_a_defect_of_quorate(home: Home, damage: str) -> None:
    path = home.root / "events" / f"{LONG_DAY}.parquet"
    table = pq.read_table(path)
    if damage == "pages":
        broken_pages(path, pa.concat_tables([table] * 500))
    else:
        pq.write_table(table.set_column(0, "subscriber_id", pa.array([2**64 - 1, 1], pa.uint64())), path)
    with pytest.raises(DataProblem) as caught:
        run(BuildJob(home=home.root, charter=load(home).charter_digest, days=(LONG_DAY,)), lambda _: None)
    assert caught.value.exit_code == ExitCode.DATA_UNUSABLE


@pytest.mark.parametrize("damage", ["pages", "list", "binary"])
def test_a_damaged_cell_table_is_unusable_data_and_not_a_defect_of_quorate(home: Home, damage: str) -> None:
    path = home.root / "cells.parquet"
    if damage == "pages":
        broken_pages(path, pa.table({"cell_id": list(range(1000)), "zone": ["Z001"] * 1000}))
    else:
        zones = {"list": pa.array([["Z001"]]), "binary": pa.array([b"\xff"])}
        pq.write_table(pa.table({"cell_id": [1], "zone": zones[damage]}), path)
    with pytest.raises(DataProblem):
        check(home, load(home))


def test_a_key_with_a_password_is_a_problem_that_says_so(home: Home) -> None:
    key = serialization.load_pem_private_key(home.key.read_bytes(), None)
    home.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
    )
    with pytest.raises(UsageProblem):
        load(home)


def test_a_check_changes_nothing(home: Home) -> None:
    before = sorted(home.root.rglob("*"))
    check(home, load(home))
    assert sorted(home.root.rglob("*")) == before


def test_a_check_of_other_code_is_no_defect_and_says_what_to_do(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.daemon.algorithms", lambda: dict.fromkeys(algorithms(), "0" * 64))
    with pytest.raises(QuorateError) as caught:
        check(home, load(home))
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    assert caught.value.todo


@pytest.mark.parametrize("line", ['{"progr', "not json", '{"error": 1}'])
def test_a_worker_that_dies_within_a_line_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    program = tmp_path / "worker"
    program.write_text(f"#!/bin/sh\ncat > /dev/null; printf '%s' '{line}'; kill -9 $$\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(WorkerFailed):
        run(BuildJob(home=tmp_path, charter="0" * 64, days=()), lambda _: None)


@pytest.mark.parametrize(
    "text",
    [
        config_text((date(2026, 10, 25), date(2026, 10, 12))),
        config_text(source='columns = {subscriber = "a", time = "a", cell = "b"}'),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem):
        parse_toml(text.encode(), NodeConfig, Path("node.toml"))


def test_one_identity_has_one_uri() -> None:
    with pytest.raises(UsageProblem):
        parse_identity("spiffe://testnet/operator/alpha/node/007")


@pytest.mark.parametrize(
    "change",
    [
        lambda z: z.update(levels=["zone", "district", "district"]),
        lambda z: z["zones"][0].update(parents={"district": ""}),
        lambda z: z["zones"][0].update(parents={"district": "D1,D2\n"}),
    ],
)
def test_levels_are_named_once_and_areas_have_codes(change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(zoning_of().to_bytes())
    change(document)
    with pytest.raises(UsageProblem):
        Zoning.from_bytes(json.dumps(document).encode(), "zoning")


def test_a_certificate_of_another_root_is_refused_at_enrolment(network: Network, tmp_path: Path) -> None:
    home = prepare(network, tmp_path / "node")
    home.certificate.write_bytes(network_at(tmp_path / "other").certificate(home))
    with pytest.raises(UsageProblem):
        enrol(home, NAME, NETWORK, network.fingerprint)


def test_night_hours_are_hours_of_the_clock() -> None:
    own = agreement()
    terms = order_of(own, "residents", (LONG_DAY, LONG_DAY)).terms.model_copy(
        update={"parameters": {"night_hours": [99], "min_nights": 1}}
    )
    with pytest.raises(UsageProblem):
        exact_vector(terms, Inputs([], own.zoning, BRUSSELS, 1))
