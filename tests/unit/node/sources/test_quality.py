"""Counts, indicators, control limits and the gate."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table

from node.cli import commands
from node.config import Home
from node.presence.build import presence
from node.presence.hold import Hold
from node.sources.events import Day
from node.sources.gate import drift, limits, passed
from node.sources.quality import counted, counts, indicators, noted
from node.sources.reasons import Reason
from node.sources.rules import Gate
from privacy.errors import DataProblem, ExitCode, PrivacyProblem
from tests.support_node import BRUSSELS, LONG_DAY, SHORT_DAY, instant
from tests.unit.node.two_days import DAYS, ingest, laid_out
from tests.unit.node.worlds import HOURS, ORDINARY_DAY, WORLDS, loaded

DAY = ORDINARY_DAY


def rows(db: Backend, *reasons: Reason) -> Any:
    return loaded(db, "counted", {"reason": [int(reason) for reason in reasons]})


def test_rows_are_counted_by_reason(db: Backend) -> None:
    found = counts(counted(rows(db, Reason.ACCEPTED, Reason.ACCEPTED, Reason.GHOST, Reason.MACHINE)), 3)
    assert {name: count for name, count in found.items() if count} == {
        "total": 7,
        "accepted": 2,
        "out_of_scope": 1,
        "unreadable_line": 3,
        "ghost": 1,
        "machine": 1,
    }
    assert set(found) == {"total", "accepted", "out_of_scope", *(r.label for r in Reason if r)}


def test_a_reason_of_other_code_is_a_defect(db: Backend) -> None:
    with pytest.raises(PrivacyProblem):
        counted(loaded(db, "counted", {"reason": [99]}))


def of_events(events: Table, day: Day, found: dict[str, int]) -> dict[str, Any]:
    """Return the indicators of clean events at seven cells."""
    return indicators(presence(events, day, Hold(120), 1), noted(events, day), 7, found)


@pytest.mark.parametrize("day", [ORDINARY_DAY, SHORT_DAY, LONG_DAY])
def test_indicators_are_those_of_the_clean_events(db: Backend, day: Any) -> None:
    events = [(1, 0, 10), (1, 60, 10), (1, 3600, 11), (2, 3 * 3600, 10), (3, 3 * 3600 + 59, 12)]
    table = {
        "subscriber": [who for who, _t, _c in events],
        "t_us": [instant(day, since) for _w, since, _c in events],
        "cell": [cell for _w, _t, cell in events],
        "zone": [0] * 5,
        "origin": [0, 0, 0, 208, 0],
    }
    found = counts(counted(rows(db, *[Reason.ACCEPTED] * 5, Reason.NULL_CELL, Reason.MACHINE)), 2)
    result = of_events(loaded(db, "clean", table), Day.of(day, BRUSSELS), found)
    hours = HOURS[day]
    assert result == {
        "subscribers": 3,
        "events_per_subscriber": {"mean": 5 / 3, "median": 1.0, "p90": 1.0, "max": 3.0},
        "inbound_subscribers": 1,
        "cells": {"registered": 7, "active": 3, "active_by_hour": [1, 1, 0, 2, *[0] * (hours - 4)]},
        "events_by_hour": [2, 1, 0, 2, *[0] * (hours - 4)],
        "longest_gap_minutes": (hours - 3) * 60 - 1,
        "rejected_permille": 3 * 1000 / 8,
        "rejected_permille_by_reason": {"unreadable_line": 2 * 1000 / 8, "null_cell": 1000 / 8},
    }


def test_a_day_without_clean_events_has_indicators_too(db: Backend) -> None:
    names = ("subscriber", "t_us", "cell", "zone", "origin")
    events = loaded(db, "clean", {name: [] for name in names})
    found = of_events(events, Day.of(DAY, BRUSSELS), counts(counted(rows(db)), 0))
    assert (found["subscribers"], found["longest_gap_minutes"], found["rejected_permille"]) == (0, 1440, 0.0)


def quality(**more: Any) -> dict[str, Any]:
    found = {
        "rows": {"total": 1000, "accepted": 900, "out_of_scope": 0},
        "indicators": {"longest_gap_minutes": 10, "cells": {"active": 80, "registered": 100}},
        "drift": {},
    }
    return found | more


@WORLDS
@given(
    total=st.integers(1, 10**9),
    share=st.fractions(0, 1, max_denominator=2000),
    outside=st.integers(0, 1000),
    permille=st.integers(0, 1000),
)
def test_the_gate_opens_up_to_the_declared_share_of_rejected_rows(
    total: int, share: Fraction, outside: int, permille: int
) -> None:
    rejected = int(total * share)
    found = quality(rows={"total": total + outside, "accepted": total - rejected, "out_of_scope": outside})
    gate = Gate(max_rejected_permille=permille)
    if rejected < total and Fraction(rejected, total) <= Fraction(permille, 1000):
        assert passed(found, gate, DAY) == []
    else:
        with pytest.raises(DataProblem):
            passed(found, gate, DAY)


@pytest.mark.parametrize(
    ("found", "gate", "what"),
    [
        (quality(rows={"total": 0, "accepted": 0, "out_of_scope": 0}), {}, "2026-10-20 has no rows"),
        (
            quality(rows={"total": 9, "accepted": 0, "out_of_scope": 9}),
            {},
            "no row of 2026-10-20 is accepted",
        ),
        (quality(), {"max_rejected_permille": 99}, "more than 9.9 % of the rows of 2026-10-20 are rejected"),
        (quality(), {"max_gap_minutes": 9}, "2026-10-20 has more than 9 minutes without any event"),
        (
            quality(),
            {"min_active_cells_permille": 801},
            "fewer than 80.1 % of the cells have events on 2026-10-20",
        ),
    ],
)
def test_a_closed_gate_says_which_rule_and_never_a_count(found: Any, gate: dict[str, int], what: str) -> None:
    with pytest.raises(DataProblem) as caught:
        passed(found, Gate.model_validate(gate), DAY)
    assert caught.value.what == what
    assert caught.value.exit_code == ExitCode.DATA_UNUSABLE
    assert caught.value.todo
    if found["rows"]["total"]:
        assert "quality/2026-10-20.json" in caught.value.means


def test_limits_that_are_met_open_the_gate() -> None:
    gate = Gate(max_rejected_permille=100, max_gap_minutes=10, min_active_cells_permille=800)
    assert passed(quality(), gate, DAY) == []


@given(value=st.integers(0, 1000), before=st.lists(st.integers(0, 1000), max_size=28))
@WORLDS
def test_control_limits_are_those_of_an_individuals_chart(value: int, before: list[int]) -> None:
    found = limits(value, before)
    if len(before) < 8:
        assert found is None
        return
    assert found is not None
    ranges = [abs(b - a) for a, b in pairwise(before)]
    assert math.isclose(found.mean, fmean(before))
    assert math.isclose(found.high - found.mean, 3 * fmean(ranges) / 1.128)
    assert math.isclose(found.mean - found.low, 3 * fmean(ranges) / 1.128)
    assert found.outside == (not found.low <= value <= found.high)


def stored(folder: Path, back: int, subscribers: int, *, blocked: bool = False) -> None:
    content = {
        "indicators": figures(subscribers),
        "blocked": ["x", "y", "z"] if blocked else None,
    }
    (folder / f"{DAY - timedelta(days=back)}.json").write_text(json.dumps(content))


def figures(subscribers: int) -> dict[str, Any]:
    return {
        "subscribers": subscribers,
        "events_per_subscriber": {"mean": 10.0},
        "cells": {"active": 50},
        "rejected_permille": 5.0,
    }


def test_drift_is_told_against_the_days_that_were_used(tmp_path: Path) -> None:
    for back in range(1, 10):
        stored(tmp_path, back, 1000 + 10 * (back % 2))
    stored(tmp_path, 10, 9, blocked=True)
    stored(tmp_path, 29, 9)
    found = drift(figures(1100), tmp_path, DAY)
    assert {name: chart["outside"] for name, chart in found.items()} == {
        "subscribers": True,
        "events_per_subscriber": False,
        "active_cells": False,
        "rejected_permille": False,
    }
    assert found["subscribers"]["days"] == 9
    warned = quality(drift=found)
    assert passed(warned, Gate(), DAY) == ["subscribers is outside its control limits"]
    assert passed(warned, Gate(drift="off"), DAY) == []
    with pytest.raises(DataProblem, match="subscribers of 2026-10-20 is outside the control limits"):
        passed(warned, Gate(drift="block"), DAY)


def test_too_few_days_give_no_limits(tmp_path: Path) -> None:
    for back in range(1, 8):
        stored(tmp_path, back, 1000)
    assert drift(figures(5), tmp_path, DAY) == {}


def profile(home: Home, *more: str) -> str:
    words = ["source", "profile", "--dir", str(home.root), "--day", str(DAYS[1]), *more]
    result = CliRunner().invoke(commands, words, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_a_profile_is_the_same_before_and_after_the_day_is_built(network: Any, tmp_path: Path) -> None:
    home = laid_out(network, tmp_path / "node")
    before = json.loads(profile(home, "--json"))
    assert not home.presence.exists()
    ingest(home)
    assert json.loads(profile(home, "--json")) == before
    assert (before["rows"]["total"], before["indicators"]["subscribers"]) == (600, 40)
    text = profile(home)
    assert "40  subscribers" in text
    assert "the gate is open" in text


def test_a_warning_is_told_when_the_day_is_built(network: Any, tmp_path: Path) -> None:
    home = laid_out(network, tmp_path / "node")
    home.quality.mkdir(mode=0o700)
    for back in range(1, 9):
        path = home.quality / f"{DAYS[0] - timedelta(days=back)}.json"
        path.write_text(json.dumps({"indicators": figures(1000), "blocked": None}))
    said = ingest(home, DAYS[0])
    assert said[0] == str(DAYS[0])
    assert f"{DAYS[0]}; the gate warns: subscribers is outside its control limits" in said
