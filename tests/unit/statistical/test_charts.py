"""Charts of scores: what is drawn is what was found, and files are small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.statistical.charts import Chart, by_tenth, coverage, errors, save
from tests.statistical.evaluate import main


def texts(chart: Chart) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)", chart.svg())


def fills(chart: Chart) -> list[str]:
    return re.findall(r'fill="([^"]*)"', chart.svg())


def test_coverage_that_is_too_low_is_drawn_in_another_colour_than_one_that_is_right() -> None:
    low, right = "#b35806", "#e8efe6"
    chart = by_tenth({"here": [80.0] * 3 + [95.0] * 7})
    # The legend has each colour once more.
    assert fills(chart).count(low) == 3 + 1
    assert fills(chart).count(right) == 7 + 1
    assert chart.description == (
        "Coverage of 95 % intervals by tenth of the areas in 1 scenarios, lowest 80.0 % (here, tenth 1)."
    )


def test_errors_stand_beside_what_is_to_be_beaten() -> None:
    chart = errors(
        {"one": 1.0, "two": 2.0}, "error, %", {"register": 1.4}, ("before", {"one": 3.0, "two": 4.0})
    )
    shown = texts(chart)
    assert {"one", "two", "register", "error, %", "Quorate", "before"} <= set(shown)
    assert "register 1.40; one 1.00; two 2.00; before in one 3.00" in chart.description


def test_an_error_of_nought_has_no_place_on_a_logarithmic_axis() -> None:
    with pytest.raises(ValueError, match="above zero"):
        errors({"one": 0.0}, "error, %")


def test_coverage_far_below_the_band_is_still_drawn() -> None:
    chart = coverage({"one": 62.0, "two": 95.0})
    assert "60" in texts(chart)


def test_files_are_named_and_small(tmp_path: Path) -> None:
    many = {f"scenario {i}": [95.0] * 10 for i in range(25)}
    assert save({"coverage": by_tenth(many)}, tmp_path / "new", "today-") == ["today-coverage.svg"]
    assert (tmp_path / "new" / "today-coverage.svg").stat().st_size < 60_000


def test_the_harness_draws_what_it_scored(tmp_path: Path) -> None:
    command = [
        "--of",
        "residents",
        "--replications",
        "1",
        "--scenario",
        "one operator",
        "--plots",
        str(tmp_path),
    ]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "residents-coverage.svg",
        "residents-error.svg",
    ]
    assert "one operator" in (tmp_path / "residents-error.svg").read_text(encoding="utf-8")
