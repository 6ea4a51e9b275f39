"""docs/statistics.md says what the code says: every statistic, parameter, bound, golden vector and special area."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from node.statistics.golden import POSITIONS
from node.statistics.registry import STATISTICS
from privacy import statistics as declared
from quorate.contract.columns import LAYOUTS
from tests.unit.node.statistics.pages import written_out

PAGE = (Path(__file__).parents[4] / "docs" / "statistics.md").read_text(encoding="utf-8")
SECTIONS = {
    found[1]: found[2] for found in re.finditer(r"^## `([a-z-]+)`.*?\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
}


def test_there_is_a_section_for_every_statistic_in_the_order_of_the_registry() -> None:
    assert list(SECTIONS) == list(STATISTICS)


@pytest.mark.parametrize("statistic", sorted(STATISTICS))
def test_a_section_has_definition_parameters_bounds_reference_and_golden_example(statistic: str) -> None:
    section, module = SECTIONS[statistic], STATISTICS[statistic].module
    for heading in (
        "**Definition.**",
        "**Parameters.**",
        "**Bounds.**",
        "**Reference.**",
        "**Golden example.**",
    ):
        assert section.count(heading) == 1
    named = set(re.findall(r"^\| `(\w+)` \|", section, re.M))
    assert named == set(module.Parameters.model_fields)
    special = LAYOUTS[statistic].special
    assert f"`{special}`" in section if special else "special" in section
    words = " ".join(section.split())
    assert " ".join(module.GOLDEN.words.split()) in words
    assert f"```\n{written_out(statistic, module.GOLDEN)}\n```" in section
    if module.GOLDEN.parameters:
        assert f"`{json.dumps(module.GOLDEN.parameters)}`" in words


@pytest.mark.parametrize("statistic", sorted(STATISTICS))
def test_the_bounds_of_a_section_are_the_declared_ones(statistic: str) -> None:
    said = re.search(r"\*\*Bounds\.\*\* (.*?)\n\n", SECTIONS[statistic], re.S)
    assert said
    assert declared.STATISTICS[statistic].reason in " ".join(said[1].split())


@pytest.mark.parametrize("statistic", sorted(STATISTICS))
def test_the_reference_of_a_section_is_that_of_the_file(statistic: str) -> None:
    """Title and journal, word by word; a page may say more."""
    docstring = " ".join(str(STATISTICS[statistic].module.__doc__).split())
    titles = re.findall(r'"([^"]+)"', docstring)
    words = " ".join(SECTIONS[statistic].split())
    assert titles
    assert all(title in words for title in titles)


def test_the_day_of_the_examples_is_the_golden_one() -> None:
    for name, (x, y) in zip("ABC", POSITIONS, strict=True):
        assert f"{name} ({x}, {y})" in PAGE
