"""Hubs and nodes are killed at random: every release is published, nothing is lost, doubled or noised twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.chaos import POSTGRESQL, SQLITE, Plan, fight


@pytest.mark.full
@pytest.mark.timeout(2400)
@pytest.mark.parametrize(
    ("database", "hubs"),
    [(SQLITE, 1), (POSTGRESQL, 1), (POSTGRESQL, 3)],
    ids=["sqlite", "postgresql", "hubs"],
)
def test_fifty_releases_under_a_hundred_kills_are_whole_at_both_ends(
    tmp_path: Path, database: str, hubs: int
) -> None:
    plan = Plan(hubs=hubs)
    outcome = fight(tmp_path, database, plan, print)
    assert sum(outcome.kills.values()) == plan.kills
    assert len(outcome.kills) == 3 + hubs, "every process was killed"
    assert not outcome.missing
