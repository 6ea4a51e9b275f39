"""The command line from a new directory to a node that is ready, and the days it offers."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli import commands
from node.config import Home
from node.daemon import check, offered_days
from node.enrolment import load
from node.own_keys import exchange_key_of
from node.statistics.registry import algorithms
from privacy.errors import DataUnavailable
from quorate.contract.exchange import exchange_public
from quorate.contract.identity import load_signing_key
from quorate.contract.signing import public_key
from tests.keys import exchange_pem_for, pem_for
from tests.support_node import (
    FIRST_DAY,
    LAST_DAY,
    NAME,
    NETWORK,
    POLICY_TOML,
    UNAVAILABLE,
    Network,
    agreement,
    config_text,
    enrolled,
    instant,
    write_cells,
    write_events,
)

DAY = FIRST_DAY


def quorate_node(root: Path, *words: str) -> Result:
    result = CliRunner().invoke(commands, [*words, "--dir", str(root)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_new_directory_becomes_a_node_that_is_ready(network: Network, tmp_path: Path) -> None:
    home = Home(tmp_path / "node")
    said = quorate_node(home.root, "init", "--network", NETWORK, "--operator", NAME).output
    assert f"quorate-hub sign --request {home.request}" in said
    assert f"keys.operators.{NAME} = {public_key(load_signing_key(home.operator_key.read_bytes()))}" in said
    assert f"keys.exchange.{NAME} = {exchange_public(exchange_key_of(home))}" in said
    home.operator_key.write_bytes(pem_for(NAME))
    home.exchange_key.write_bytes(exchange_pem_for(NAME))
    home.certificate.write_bytes(network.certificate(home))
    home.hub_root.write_bytes(network.hub.root_certificate.read_bytes())
    home.charter.write_bytes(network.charter.to_bytes())
    home.zoning.write_bytes(network.zoning.to_bytes())
    home.policy.write_text(POLICY_TOML)
    home.config.write_text(config_text((DAY, DAY)))
    write_cells(home, [(1, "Z001")])
    write_events(home, DAY, [(7, instant(DAY, 60), 1)])
    enrolment = ("--network", NETWORK, "--operator", NAME, "--fingerprint", network.fingerprint)
    assert network.charter.digest() in quorate_node(home.root, "enrol", *enrolment).output
    assert quorate_node(home.root, "check").output.startswith("ok: charter, zoning, policy and certificate")
    assert len(json.loads(quorate_node(home.root, "check", "--json").output)["ready"]) == 5
    assert "presence of 1 day(s) is ready" in quorate_node(home.root, "ingest").output
    assert (home.presence / f"{DAY}.parquet").exists()
    shown = json.loads(quorate_node(home.root, "ledger", "show", "--json").output)
    assert (shown["entries"], shown["charges"]) == (0, [])
    assert quorate_node(home.root, "ledger", "verify").output.startswith("ok: 0 entries")


def test_a_check_names_the_day_that_is_not_there(network: Network, tmp_path: Path) -> None:
    home = enrolled(network, tmp_path / "node", config=config_text((DAY, DAY + timedelta(days=1))))
    write_events(home, DAY, [(7, instant(DAY, 60), 1)])
    with pytest.raises(DataUnavailable, match=f"{DAY + timedelta(days=1)}.parquet is not there"):
        check(home, load(home))


def test_the_installed_statistics_are_listed_with_their_digests() -> None:
    listed = CliRunner().invoke(commands, ["algorithms", "--json"])
    assert json.loads(listed.output) == algorithms()


def test_the_days_on_offer_are_those_of_the_source_but_for_the_unavailable() -> None:
    offered = offered_days(agreement())
    assert offered == tuple(
        day
        for day in map(date.fromordinal, range(FIRST_DAY.toordinal(), LAST_DAY.toordinal() + 1))
        if day != UNAVAILABLE
    )
    assert len(offered) == 13
