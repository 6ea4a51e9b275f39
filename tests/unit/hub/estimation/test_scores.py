"""The harness over tables and visitors: it prints what it measured."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tests.statistical.evaluate import main


@pytest.mark.parametrize(
    ("subject", "scenario"), [("commuting", "no distances"), ("visitors", "all totals known")]
)
def test_a_scenario_is_scored_and_printed(subject: str, scenario: str) -> None:
    asked = ["--of", subject, "--scenario", scenario, "--replications", "1"]
    found = CliRunner().invoke(main, [*asked, "--json"])
    score = json.loads(found.stdout)[subject][0]
    assert scenario in score["scenario"]
    assert 0 < score["wmape"] < score["national"]
    table = CliRunner().invoke(main, asked).stdout
    assert f"| {score['scenario']} |" in table
