"""The simulated country: movement and the truth of it agree."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from deploy.demo.simulation import Simulation
from deploy.demo.simulation.calendar import local_day
from deploy.demo.simulation.movement import Movement, draw_movement
from deploy.demo.simulation.persons import Persons
from deploy.demo.simulation.truth import moves, presence, with_districts
from deploy.demo.simulation.world import World
from tests.unit.simulation.files import HOUR, MINUTE, WEEK, binomial, rows


def test_workers_leave_in_the_morning_and_come_back(world: World) -> None:
    day = local_day(date(2026, 10, 21), "Europe/Brussels")
    movement = draw_movement(world.persons, world.gravity, day, WEEK)
    out = movement.returns > 0
    workers = world.persons.work >= 0
    assert not (out & ~workers).any()
    binomial(int(out.sum()), int(workers.sum()), 0.85)
    assert (movement.zone[out] == world.persons.work[out]).all()
    assert (movement.zone[~out] == world.persons.home[~out]).all()
    number = int(out.sum())
    leaves, returns = movement.leaves[out] / MINUTE, movement.returns[out] / MINUTE
    assert leaves.mean() == pytest.approx(480, abs=5 * 45 / number**0.5)
    assert returns.mean() == pytest.approx(1035, abs=5 * 60 / number**0.5)
    assert leaves.std() == pytest.approx(45, rel=0.06)
    assert returns.std() == pytest.approx(60, rel=0.06)


def test_each_day_draws_its_own_times(world: World) -> None:
    days = [local_day(date(2026, 10, number), "Europe/Brussels") for number in (20, 21)]
    first, second = (draw_movement(world.persons, world.gravity, day, WEEK) for day in days)
    assert (first.leaves != second.leaves).any()


def test_a_quarter_of_all_aged_ten_and_over_make_a_weekend_trip(world: World) -> None:
    day = local_day(date(2026, 10, 24), "Europe/Brussels")
    movement = draw_movement(world.persons, world.gravity, day, WEEK)
    out = movement.returns > 0
    assert not out[world.persons.age == 0].any()
    binomial(int(out.sum()), int((world.persons.age > 0).sum()), 0.25)
    lasts = (movement.returns - movement.leaves)[out] / HOUR
    assert 1 <= lasts.min() <= lasts.max() <= 7
    assert movement.leaves[out].min() >= 9 * HOUR
    assert movement.returns[out].max() <= 23 * HOUR


def crowd(*excursions: tuple[int, int, int]) -> tuple[Persons, Movement]:
    """Persons of zone 0 who are in a zone from one minute to another."""
    number = len(excursions)
    zone, leaves, returns = np.array(excursions, dtype=np.int32).T
    nobody = np.zeros(number, dtype=np.int32)
    persons = Persons(nobody, nobody.astype(np.int8), nobody)
    day = local_day(date(2026, 10, 21), "Europe/Brussels")
    return persons, Movement(day, zone, leaves * MINUTE, returns * MINUTE, to_work=True)


@pytest.mark.parametrize(
    ("leaves", "returns", "away_hours"),
    [
        (480, 600, [8, 9]),
        (509, 630, [8, 9, 10]),  # the tie of hour 10 is for where it began: away
        (510, 600, [9]),  # the tie of hour 8 is for home, where it began
        (511, 600, [9]),
        (480, 510, [8]),  # away for half an hour from its start
        (485, 515, []),  # away for half an hour from its middle
        (485, 516, [8]),
        (500, 571, [8, 9]),
        (505, 565, [8]),
        (0, 0, []),
    ],
)
def test_presence_is_where_most_of_the_hour_is_spent(
    leaves: int, returns: int, away_hours: list[int]
) -> None:
    persons, movement = crowd((1, leaves, returns))
    counted = presence(persons, movement, 3)
    expected = [0] * 24
    for hour in range(24):
        minutes = range(60 * hour, 60 * hour + 60)
        away = sum(leaves <= minute < returns for minute in minutes)
        starts_away = leaves <= minutes[0] < returns
        expected[hour] = int(away > 30 or (away == 30 and starts_away))
    assert counted[1].tolist() == expected
    assert [hour for hour in range(24) if counted[1, hour]] == away_hours
    assert (counted.sum(axis=0) == 1).all()
    assert counted[2].tolist() == [0] * 24


def test_moves_go_there_and_back() -> None:
    persons, movement = crowd((1, 480, 600), (1, 500, 700), (2, 480, 600), (0, 480, 600), (0, 0, 0))
    pair, count = moves(persons, movement, 3)
    assert pair.tolist() == [1, 2, 3, 6]
    assert count.tolist() == [2, 1, 2, 1]


def test_districts_are_sums_of_their_zones() -> None:
    values = with_districts(np.array([[1, 10], [2, 20], [3, 30]]), np.array([1, 0, 1]), 2)
    assert values.tolist() == [[1, 10], [2, 20], [3, 30], [2, 20], [4, 40]]


def test_presence_of_the_truth_counts_everybody_in_every_hour(week: Simulation) -> None:
    found = rows(week.truth / "presence.csv")
    hours = [f"2026-10-21T{hour:02d}:00:00+02:00" for hour in range(24)]
    areas = [f"Z{number:03d}" for number in range(1, 13)] + ["D1", "D2", "D3"]
    assert [(row["ref_area"], row["time_period"]) for row in found] == [(a, h) for a in areas for h in hours]
    values = np.array([int(row["value"]) for row in found]).reshape(15, 24)
    assert (values[:12].sum(axis=0) == week.counts.persons).all()
    assert (values[12:] == values[:12].reshape(3, 4, 24).sum(axis=1)).all()
    residents = [int(row["value"]) for row in rows(week.truth / "residents.csv")]
    assert values[:, 3].tolist() == residents, "everybody is at home in the night"
    assert values[:, 12].tolist() != residents


def test_flows_of_the_truth_are_excursions_and_returns(week: Simulation, world: World) -> None:
    found = rows(week.truth / "flows.csv")
    assert all(row["origin"] != row["destination"] and int(row["value"]) > 0 for row in found)
    keys = [(row["date"], row["origin"], row["destination"]) for row in found]
    assert keys == sorted(set(keys))
    table = {key: int(row["value"]) for key, row in zip(keys, found, strict=True)}
    for day in week.days:
        for zone in world.country.zone_codes:
            leaves = sum(
                value for key, value in table.items() if key[0] == day.isoformat() and key[1] == zone
            )
            enters = sum(
                value for key, value in table.items() if key[0] == day.isoformat() and key[2] == zone
            )
            assert leaves == enters
    elsewhere = (world.persons.work >= 0) & (world.persons.work != world.persons.home)
    monday = sum(value for key, value in table.items() if key[0] == "2026-10-19")
    binomial(monday // 2, int(elsewhere.sum()), 0.85)
