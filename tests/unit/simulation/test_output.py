"""The simulated country: settings, the output directory and the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from deploy.demo.country import Country
from deploy.demo.simulation import Settings, Simulation, simulate, write_world
from deploy.demo.simulation.__main__ import main
from deploy.demo.simulation.world import draw_world
from privacy.errors import ExitCode, ResourceProblem, UsageProblem
from tests.small_country import write_small_country
from tests.unit.simulation.files import digests, rows


def test_defaults_are_those_of_the_demo() -> None:
    settings = Settings()
    assert (settings.scale, settings.seed, settings.days, settings.operators) == (0.02, 1, 7, 3)
    assert (settings.start, settings.events_per_day) == (date(2026, 10, 19), 10.0)
    assert settings.presence_date == date(2026, 10, 21)
    assert Settings(days=2).presence_date == date(2026, 10, 20)
    assert Settings(presence_day=date(2026, 10, 25)).presence_date == date(2026, 10, 25)
    with pytest.raises(ValidationError):
        settings.scale = 0.5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"scale": 0}, "setting scale: Input should be greater than 0, got 0"),
        ({"scale": 1.01}, "setting scale: Input should be less than or equal to 1, got 1.01"),
        ({"scale": float("nan")}, "setting scale: "),
        ({"seed": -1}, "setting seed: Input should be greater than or equal to 0, got -1"),
        ({"seed": 2**63}, "setting seed: Input should be less than"),
        ({"days": 0}, "setting days: "),
        ({"days": 32}, "setting days: "),
        ({"operators": 0}, "setting operators: "),
        ({"operators": 13}, "setting operators: "),
        ({"events_per_day": 0}, "setting events_per_day: "),
        ({"events_per_day": 1001}, "setting events_per_day: "),
        ({"start": date(1999, 12, 31)}, "setting start: "),
        ({"start": "soon"}, "setting start: "),
        ({"colour": "red"}, "setting colour: Extra inputs are not permitted"),
        ({"timezone": "Europe/Nowhere"}, "'Europe/Nowhere' is not a time zone known to this machine"),
        ({"timezone": "../etc"}, "'../etc' is not a time zone known to this machine"),
        ({"presence_day": date(2026, 10, 26)}, "setting presence_day: 2026-10-26 is not between"),
        (
            {"timezone": "Australia/Lord_Howe", "start": date(2026, 4, 5), "days": 1},
            "2026-04-05 in Australia/Lord_Howe is not made of 23, 24 or 25 whole hours",
        ),
    ],
)
def test_a_setting_out_of_bounds_is_named(values: dict[str, object], what: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        Settings.of(**values)
    assert caught.value.what.startswith(what)
    assert caught.value.todo


def test_settings_and_counts_are_written(week: Simulation) -> None:
    written = json.loads(week.settings_file.read_text(encoding="utf-8"))
    assert written["finished"] is True
    assert written["country"] == "Small"
    assert written["settings"]["start"] == "2026-10-19"
    assert written["settings"]["presence_day"] == "2026-10-21"
    counts = written["counts"]
    assert counts["persons"] == week.counts.persons
    assert counts["register"] == sum(int(row["population"]) for row in rows(week.register))
    for who in week.operator_ids:
        files = [pq.ParquetFile(week.events(who, day)) for day in week.days]
        assert counts["events"][who] == sum(file.metadata.num_rows for file in files)
        assert counts["subscriptions"][who] == pq.read_metadata(week.subscribers(who)).num_rows
    assert written["dirt_rows"] == week.counts.dirt


SMALL = Settings(scale=0.05, days=1)


def test_a_directory_of_somebody_else_is_refused(country: Country, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("do not lose", encoding="utf-8")
    with pytest.raises(UsageProblem, match="was not made by the simulation"):
        simulate(country, SMALL, out)
    (out / "settings.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageProblem, match="was not made by the simulation"):
        simulate(country, SMALL, out)
    with pytest.raises(UsageProblem, match="was not made by the simulation"):
        simulate(country, SMALL, out / "thesis.txt")
    assert [path.name for path in sorted(out.iterdir())] == ["settings.json", "thesis.txt"]


def test_an_earlier_simulation_is_replaced_and_nothing_else(country: Country, tmp_path: Path) -> None:
    out = tmp_path / "again"
    out.mkdir()
    simulate(country, SMALL.model_copy(update={"operators": 5, "days": 2}), out)
    (out / "notes.txt").write_text("keep", encoding="utf-8")
    simulate(country, SMALL, out)
    fresh = simulate(country, SMALL, tmp_path / "fresh")
    left = digests(out)
    assert left.pop("notes.txt")
    assert left == digests(fresh.out)


def test_an_unfinished_simulation_says_so_and_can_be_replaced(country: Country, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(label: str, _share: float) -> None:
        if label.startswith("events"):
            raise Stop

    with pytest.raises(Stop):
        simulate(country, SMALL, tmp_path / "out", stop)
    assert json.loads((tmp_path / "out" / "settings.json").read_text(encoding="utf-8"))["finished"] is False
    assert simulate(country, SMALL, tmp_path / "out").counts.persons > 0


def test_a_place_that_cannot_be_written_to_is_named(country: Country, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ResourceProblem, match="cannot be written") as caught:
        simulate(country, SMALL, tmp_path / "file" / "out")
    assert str(tmp_path / "file") in caught.value.what


def test_progress_goes_from_nothing_to_done(country: Country, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    simulate(country, SMALL, tmp_path / "out", lambda label, share: told.append((label, share)))
    assert told[0] == ("drawing persons and their phones", 0.0)
    assert told[-1] == ("done", 1.0)
    assert [label for label, _ in told[1:-1]] == [
        f"events of mno{number}, 2026-10-19" for number in (1, 2, 3)
    ]
    assert all(before[1] <= after[1] for before, after in pairwise(told))


def test_an_operator_without_subscriptions_still_has_its_files(country: Country, tmp_path: Path) -> None:
    settings = Settings(scale=0.0005, days=1, operators=12)
    result = simulate(country, settings, tmp_path / "few")
    empty = [who for who, number in result.counts.subscriptions.items() if number == 0]
    assert empty
    for who in empty:
        table = pq.read_table(result.events(who, result.start))
        assert table.num_rows == 0
        assert table.column_names == ["subscriber_id", "timestamp_ms", "cell_id"]
        assert pq.read_table(result.subscribers(who)).num_rows == 0


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    write_small_country(tmp_path / "small")

    def invoke(*options: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["--country", str(tmp_path / "small"), *options])
        return result.exit_code, result.output

    return invoke


def test_the_command_line_simulates(run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said = run(
        "--days", "1", "--scale", "0.05", "--start", "2026-03-29", "--operators", "2", "--out", str(out)
    )
    assert code == 0
    assert "subscriptions at 2 operators, " in said
    assert (out / "operators" / "mno2" / "events" / "2026-03-29.parquet").is_file()


def test_the_command_line_explains_what_is_wrong(run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    code, said = run("--scale", "2", "--out", str(tmp_path / "out"))
    assert code == ExitCode.CONFIGURATION
    assert said.startswith("error: setting scale: Input should be less than or equal to 1, got 2.0\n")
    assert "what to do:" in said
    assert not (tmp_path / "out").exists()


def test_the_days_of_another_world_are_written_beside_those_of_the_operators(
    country: Country, tmp_path: Path
) -> None:
    first = Settings(scale=1.0, days=2)
    second = first.model_copy(update={"start": date(2026, 10, 21), "days": 1})
    then = simulate(country, first, tmp_path / "then")
    before = {path: path.read_bytes() for path in (tmp_path / "then").rglob("*") if path.is_file()}
    later = write_world(draw_world(country, second), tmp_path / "later", operators=then)
    alone = simulate(country, second, tmp_path / "alone")
    for path, content in before.items():
        assert path.read_bytes() == content, path
    for operator in then.operator_ids:
        days = sorted(path.stem for path in (then.operator(operator) / "events").iterdir())
        assert days == ["2026-10-19", "2026-10-20", "2026-10-21"]
        day = date(2026, 10, 21)
        assert then.events(operator, day).read_bytes() == alone.events(operator, day).read_bytes()
    assert not (tmp_path / "later" / "operators").exists()
    for name in ("register.csv", "truth/residents.csv", "truth/presence.csv", "truth/flows.csv"):
        assert (tmp_path / "later" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert later.counts == alone.counts
