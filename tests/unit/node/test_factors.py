"""Calibration factors come with the orders of weighted releases, and stay with their operator."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from node.cli import commands
from node.config import Home
from node.factors import Factors, factors_in, keep, kept, read
from privacy.errors import UsageProblem
from quorate.contract.order import digest_of_weights
from tests.unit.node.test_weights import GOOD, OWN, order

ZONES = OWN.zoning.codes
RELEASE = "weighted-2026-10-25-2026-10-25-r0"


def found() -> Factors:
    asked = order(GOOD, digest_of_weights(GOOD))
    told = factors_in(asked, ZONES)
    assert told is not None
    return told


def test_factors_are_the_weights_in_persons_without_that_of_the_unanchored() -> None:
    assert found().value == [weight / 1000 for weight in GOOD[:-1]]
    assert found().zones == ZONES
    day = order(GOOD, digest_of_weights(GOOD)).terms.first_day
    assert found().release == f"weighted-{day}-{day}-r0"


def test_an_order_without_weights_has_no_factors() -> None:
    assert factors_in(order(None, None, "presence"), ZONES) is None


def test_kept_factors_are_a_private_table_that_never_changes(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert kept(home) == []
    keep(home.factors, Factors(RELEASE, ["A", "B"], [2.5, 0.0004]))
    keep(home.factors, Factors(RELEASE, ["A", "B"], [9.0, 9.0]))
    assert kept(home) == [RELEASE]
    assert read(home, RELEASE) == "zone,factor\nA,2.5000\nB,0.0004\n"
    path = home.factors / f"{RELEASE}.csv"
    assert (stat.S_IMODE(home.factors.stat().st_mode), stat.S_IMODE(path.stat().st_mode)) == (0o700, 0o600)
    assert [entry.name for entry in home.factors.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["other", "../secret", ".hidden", ""])
def test_factors_that_are_not_kept_are_told_so(tmp_path: Path, name: str) -> None:
    keep(tmp_path / "factors", Factors(RELEASE, ["A"], [1.0]))
    with pytest.raises(UsageProblem, match="no factors of"):
        read(Home(tmp_path), name)


def test_the_command_lists_prints_and_gives_json(tmp_path: Path) -> None:
    def run(*words: str) -> str:
        done = CliRunner().invoke(commands, ["factors", "--dir", str(tmp_path), *words])
        assert done.exit_code == 0, done.output
        return done.output

    assert run() == "no factors yet: they come with orders of weighted releases\n"
    keep(tmp_path / "factors", Factors(RELEASE, ["A", "B"], [2.5, 1.25]))
    assert run() == f"{RELEASE}\n"
    assert json.loads(run("--json")) == [RELEASE]
    assert run(RELEASE) == "zone,factor\nA,2.5000\nB,1.2500\n"
    assert json.loads(run(RELEASE, "--json")) == {"A": 2.5, "B": 1.25}


def test_fetching_needs_a_release(tmp_path: Path) -> None:
    done = CliRunner().invoke(commands, ["factors", "--dir", str(tmp_path), "--from-hub"])
    assert done.exit_code == 2
    assert "--from-hub needs the name of a release" in done.output
