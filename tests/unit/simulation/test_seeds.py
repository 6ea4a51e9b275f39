"""The simulated country: the same seed gives the same bytes, whatever else changes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from deploy.demo.country import Country
from deploy.demo.simulation import Simulation, simulate
from deploy.demo.simulation.streams import Purpose, stream
from tests.unit.simulation.files import WEEK, digests


def test_the_same_seed_gives_the_same_bytes_in_another_directory(
    country: Country, week: Simulation, tmp_path: Path
) -> None:
    again = simulate(country, WEEK, tmp_path / "elsewhere" / "again")
    assert digests(again.out) == digests(week.out)
    assert len(digests(week.out)) == 3 * (7 + 2) + 4 + 2


def test_the_number_of_threads_changes_nothing(
    country: Country, week: Simulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.demo.simulation.run.MAX_THREADS", 1)
    assert digests(simulate(country, WEEK, tmp_path / "alone").out) == digests(week.out)


def test_another_seed_gives_another_country(country: Country, week: Simulation, tmp_path: Path) -> None:
    # At scale 1 the register is the population itself, whatever the seed.
    other = digests(simulate(country, WEEK.model_copy(update={"seed": 2}), tmp_path / "other").out)
    same = {name for name, digest in digests(week.out).items() if other[name] == digest}
    assert same == {"register.csv"}


def test_fewer_days_change_no_person_and_no_other_day(
    country: Country, week: Simulation, tmp_path: Path
) -> None:
    settings = WEEK.model_copy(
        update={"days": 2, "start": date(2026, 10, 20), "presence_day": date(2026, 10, 21)}
    )
    two = digests(simulate(country, settings, tmp_path / "two").out)
    seven = digests(week.out)
    changed = {name for name, digest in two.items() if seven[name] != digest}
    assert changed == {"settings.json", "truth/flows.csv", "truth/residents.csv"}
    assert "operators/mno2/events/2026-10-21.parquet" in two


def test_more_events_change_no_person(country: Country, week: Simulation, tmp_path: Path) -> None:
    settings = WEEK.model_copy(update={"days": 1, "events_per_day": 3.0})
    busy = digests(simulate(country, settings, tmp_path / "busy").out)
    for name in ("operators/mno1/subscribers.parquet", "operators/mno3/cells.parquet", "truth/overlap.csv"):
        assert busy[name] == digests(week.out)[name]


def test_streams_of_different_purposes_operators_and_days_differ() -> None:
    keys: list[tuple[Purpose, tuple[int, ...]]] = [
        (Purpose.EVENTS, (0, 1)),
        (Purpose.EVENTS, (1, 0)),
        (Purpose.EVENTS, ()),
        (Purpose.DIRT, (0, 1)),
    ]
    drawn = {int(stream(1, purpose, *key).integers(2**62)) for purpose, key in keys}
    assert len(drawn) == 4
    assert len(set(Purpose)) == 14


def test_the_result_names_every_file(week: Simulation) -> None:
    assert week.operator_ids == ("mno1", "mno2", "mno3")
    assert (week.timezone, week.start) == ("Europe/Brussels", date(2026, 10, 19))
    assert (week.days[0], week.days[-1]) == (date(2026, 10, 19), date(2026, 10, 25))
    assert week.presence_day == date(2026, 10, 21)
    named = [week.events(who, day) for who in week.operator_ids for day in week.days]
    named += [file for who in week.operator_ids for file in (week.cells(who), week.subscribers(who))]
    named += [week.register, week.settings_file]
    named += [week.truth / f"{name}.csv" for name in ("residents", "presence", "flows", "overlap")]
    assert sorted(str(path.relative_to(week.out)) for path in named) == sorted(digests(week.out))
