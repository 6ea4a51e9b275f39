"""Every test that docs/faults.md names is there, and nothing is said to be tested without a name."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    line.strip("|").split("|")
    for line in (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ")
][1:]


def test_every_test_of_the_page_is_there() -> None:
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = {name for _fault, _outcome, tests in ROWS for name in re.findall(r"`(test_\w+)`", tests)}
    assert named - there == set()
    assert len(named) > 20


def test_a_fault_has_tests_or_is_a_gap() -> None:
    for fault, outcome, tests in ROWS:
        assert "`test_" in tests or tests.strip() == "–", fault
        assert outcome.strip(), fault
