"""The simulated country: persons, their homes, workplaces and trips are those of the census."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deploy.demo.country import Country
from deploy.demo.simulation import Settings, Simulation, simulate
from deploy.demo.simulation.persons import Gravity, draw_population, worker_shares
from deploy.demo.simulation.streams import Rows, round_randomly
from deploy.demo.simulation.world import World
from privacy.errors import UsageProblem
from tests.unit.simulation.files import OWNERSHIP, WEEK, binomial, rows


def test_the_register_at_full_scale_is_the_population(country: Country, week: Simulation) -> None:
    for index, row in enumerate(rows(week.register)):
        ages = country.population[index]
        assert row["zone"] == country.zone_codes[index]
        assert int(row["population"]) == ages.sum()
        expected = sum(share * int(count) for share, count in zip(OWNERSHIP, ages, strict=True))
        assert row["phone_owners"] == f"{expected:.3f}"


def test_random_rounding_keeps_the_expectation() -> None:
    rounded = round_randomly(np.random.default_rng(1), np.full(100_000, 2.3))
    assert set(rounded.tolist()) == {2, 3}
    binomial(int((rounded == 3).sum()), 100_000, 0.3)
    assert round_randomly(np.random.default_rng(1), np.array([0.0, 7.0])).tolist() == [0, 7]


def test_zones_grow_apart_from_the_register_by_the_declared_spread() -> None:
    register = np.full((4000, 7), 1_000_000)
    growth = np.log(draw_population(register, WEEK).sum(axis=1) / register.sum(axis=1))
    assert abs(growth.mean()) < 5 * 0.0185 / 4000**0.5
    assert growth.std() == pytest.approx(0.0185, rel=0.06)


def test_residents_of_the_truth_are_the_actual_population(week: Simulation, world: World) -> None:
    found = rows(week.truth / "residents.csv")
    areas = [row["ref_area"] for row in found]
    assert areas == [f"Z{number:03d}" for number in range(1, 13)] + ["D1", "D2", "D3"]
    assert {row["time_period"] for row in found} == {"2026-10-19T00:00:00+02:00/P7D"}
    values = [int(row["value"]) for row in found]
    assert sum(values[:12]) == sum(values[12:]) == week.counts.persons == world.persons.size
    assert values[12:] == [sum(values[0:4]), sum(values[4:8]), sum(values[8:12])]
    assert values[0] == (world.persons.home == 0).sum()
    assert values[:12] != [int(row["population"]) for row in rows(week.register)]


def test_workers_are_of_working_age_in_the_share_of_their_district(country: Country, world: World) -> None:
    persons = world.persons
    works = persons.work >= 0
    assert set(np.unique(persons.age[works])) == {2, 3, 4}
    district = country.district_index[persons.home]
    for index in range(3):
        of_age = (district == index) & (persons.age >= 2) & (persons.age <= 4)
        residents = int(country.population[country.district_index == index, 2:5].sum())
        commuters = int(country.commuting[index].sum())
        binomial(int((of_age & works).sum()), int(of_age.sum()), commuters / residents)


def test_the_share_of_workers_is_clipped(country: Country) -> None:
    crowded = replace(country, commuting=country.commuting * 100)
    assert worker_shares(crowded).tolist() == [0.9, 0.9, 0.9]


def test_workplaces_follow_the_commuting_table_and_the_home_zone_rule(country: Country, world: World) -> None:
    persons = world.persons
    worker = np.flatnonzero(persons.work >= 0)
    home, work = persons.home[worker], persons.work[worker]
    from_district, to_district = country.district_index[home], country.district_index[work]
    for origin in range(3):
        for goal in range(3):
            share = country.commuting[origin, goal] / country.commuting[origin].sum()
            leaving = from_district == origin
            binomial(int((leaving & (to_district == goal)).sum()), int(leaving.sum()), share)
    of_age = country.population[:, 2:5].sum(axis=1)
    near = to_district == from_district
    in_district = np.bincount(country.district_index, of_age)[from_district]
    stays = 0.4 + 0.6 * of_age[home] / in_district
    spread = np.sqrt((stays * (1 - stays))[near].sum())
    assert abs((near & (work == home)).sum() - stays[near].sum()) < 5 * spread


def test_work_is_where_people_of_working_age_live_and_trips_go_where_anybody_lives(country: Country) -> None:
    population = country.population.copy()
    population[0, 2:5] = 0  # a zone of children and pensioners
    gravity = Gravity.of(replace(country, population=population))
    home = np.full(5000, 1, dtype=np.int32)
    assert not (gravity.draw_work_zones(np.random.default_rng(1), home) == 0).any()
    trips = gravity.draw_trip_zones(np.random.default_rng(1), home)
    near = country.commuting[0, 0] / country.commuting[0].sum()
    binomial(int((trips == 0).sum()), 5000, near * population[0].sum() / population[:4].sum())


def test_a_district_without_commuters_makes_its_trips_at_home(country: Country) -> None:
    commuting = country.commuting.copy()
    commuting[1] = 0
    gravity = Gravity.of(replace(country, commuting=commuting))
    goal = gravity.draw_trip_zones(np.random.default_rng(1), np.full(500, 5, dtype=np.int32))
    assert set(goal.tolist()) == {4, 5, 6, 7}


def test_rows_are_drawn_by_their_weights_and_never_where_the_weight_is_zero() -> None:
    weights = Rows(np.array([0.0, 1.0, 3.0, 0.0, 0.0, 0.0]), np.array([4, 2]))
    drawn = weights.draw(np.random.default_rng(1), np.repeat([0, 1], 10_000))
    first, second = Counter(drawn[:10_000].tolist()), Counter(drawn[10_000:].tolist())
    assert set(first) == {1, 2}
    assert set(second) == {4, 5}, "a row of zeros is drawn from uniformly"
    binomial(first[1], 10_000, 0.25)
    binomial(second[4], 10_000, 0.5)


def test_a_scale_that_leaves_nobody_is_refused(country: Country, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="has no inhabitant"):
        simulate(country, Settings(scale=1e-9), tmp_path / "nobody")
