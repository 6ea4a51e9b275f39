"""The noise in what arrives at the hub is the noise that the operators' ledgers say."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from deploy.demo.country import load_country
from deploy.demo.simulation import Settings, simulate
from node.enrolment import load
from privacy.ledger import Entry, verify
from privacy.ledger.store import Ledger
from quorate.contract.charter import Charter
from quorate.contract.payload import decode
from tests.exact import exact_of
from tests.harness import Network, World, network

START = date(2026, 10, 19)
REPETITIONS = 200
OPERATORS = 2
PERIODS = {"residents": (START, date(2026, 10, 20)), "presence": (START, START)}


def plenty(charter: Charter) -> Charter:
    """Return the charter with room for every repetition."""
    budgets = charter.budgets.model_copy(update={"day": 10**11, "month": 10**11})
    publication = charter.publication.model_copy(update={"min_operators": OPERATORS})
    return charter.model_copy(update={"budgets": budgets, "publication": publication})


def errors_of(net: Network, operator: str) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return (arrived − exact)/σ of every release of an operator, σ as its ledger says."""
    home, arrived = net.home(operator), set(net.contributions().values())
    own = load(home)
    ledger = Ledger(home.ledger, own.ledger_identity, own.budgets)
    entries: list[Entry] = list(ledger.entries())
    ledger.close()
    results = net.ledger_results(operator)
    assert set(results) <= arrived, "what arrived is what was charged"
    exact = {entry.terms.product: exact_of(home, entry.terms) for entry in entries[:2]}
    return [
        (decode(result, exact[entry.terms.product].size) - exact[entry.terms.product])
        / (entry.terms.levels[0].scale_milli / 1000)
        for entry, result in zip(entries, results, strict=True)
    ]


@pytest.mark.full
def test_standardised_errors_have_mean_zero_and_variance_one(tmp_path: Path) -> None:
    country = load_country(None)
    settings = Settings(scale=0.001, seed=11, days=2, operators=OPERATORS, start=START)
    world = World(country, simulate(country, settings, tmp_path / "world"))
    with network(world, tmp_path / "network", plenty) as net:
        net.start_hub()
        for operator in net.parties.nodes:
            net.start_node(operator)
        with net.office() as office:
            for revision in range(REPETITIONS // OPERATORS):
                releases = [office.request(product, *days, revision) for product, days in PERIODS.items()]
                for release in releases:
                    office.wait(release, 120, lambda _seen: None)
        net.stop()
        for operator, home in net.parties.nodes.items():
            assert verify(home.ledger)[0] == REPETITIONS, operator
        pooled = np.concatenate(
            [error for operator in net.parties.nodes for error in errors_of(net, operator)]
        )
    cells = 200 * (590 * 24 + 590)
    assert pooled.size == cells
    print(f"\n{cells} cells: mean {pooled.mean():+.5f}, variance {pooled.var():.5f}")
    assert abs(pooled.mean()) < 4 / np.sqrt(cells)
    assert abs(pooled.var() - 1) < 0.015
