"""The simulated country: its files agree with the truth beside them and with the rules they were made by.

One week of a small country (about 12,000 persons) is simulated once for the module. It ends on the long day.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from click.testing import CliRunner
from numpy.typing import NDArray
from pydantic import ValidationError

from deploy.demo.country import Country, load_country
from deploy.demo.simulation import Settings, Simulation, simulate, write_world
from deploy.demo.simulation.__main__ import main
from deploy.demo.simulation.calendar import local_day, midnight_ms, range_period
from deploy.demo.simulation.cells import cells_per_zone, draw_points
from deploy.demo.simulation.dirt import make_dirty
from deploy.demo.simulation.events import draw_events
from deploy.demo.simulation.movement import Movement, draw_movement
from deploy.demo.simulation.persons import Gravity, Persons, draw_population, worker_shares
from deploy.demo.simulation.phones import Phones, draw_phones, draw_shares, national_shares
from deploy.demo.simulation.streams import Purpose, Rows, round_randomly, stream, unique_ids
from deploy.demo.simulation.truth import moves, overlap, presence, with_districts
from deploy.demo.simulation.world import World, draw_world
from privacy.errors import ExitCode, ResourceProblem, UsageProblem
from tests.small_country import write_small_country

WEEK = Settings(scale=1.0)
BRUSSELS = ZoneInfo("Europe/Brussels")
OWNERSHIP = [0.10, 0.70, 0.98, 0.98, 0.95, 0.85, 0.55]
MINUTE = 60_000
HOUR = 60 * MINUTE
Table = dict[str, NDArray[np.float64]]


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Country:
    return load_country(write_small_country(tmp_path_factory.mktemp("country") / "small"))


@pytest.fixture(scope="module")
def week(country: Country, tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return simulate(country, WEEK, tmp_path_factory.mktemp("week") / "out")


@pytest.fixture(scope="module")
def world(country: Country) -> World:
    return draw_world(country, WEEK)


def digests(out: Path) -> dict[str, str]:
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def events(path: Path) -> Table:
    """A day of an operator as floats, nulls as NaN; identifiers are compared elsewhere, exactly."""
    table = pq.read_table(path)
    return {name: table[name].to_numpy().astype(np.float64) for name in ("timestamp_ms", "cell_id")}


def binomial(hits: int, trials: int, share: float) -> None:
    """Fail if a count is more than five standard deviations away from what it should be."""
    assert abs(hits - trials * share) <= 5 * (trials * share * (1 - share)) ** 0.5 + 1e-9


def epoch(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


# --- the same seed, the same bytes -----------------------------------------------------------------------


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


# --- persons ---------------------------------------------------------------------------------------------


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


# --- phones ----------------------------------------------------------------------------------------------


def test_phones_are_owned_by_age(world: World) -> None:
    owns = world.phones.first >= 0
    for age, share in enumerate(OWNERSHIP):
        of_age = world.persons.age == age
        binomial(int((owns & of_age).sum()), int(of_age.sum()), share)
    assert world.phones.owners == owns.sum()


def test_three_operators_have_forty_thirty_five_and_twenty_five_percent() -> None:
    assert national_shares(3) == pytest.approx([0.40, 0.35, 0.25], abs=1e-15)
    assert national_shares(1).tolist() == [1.0]
    for number in range(2, 13):
        shares = national_shares(number)
        assert shares.sum() == pytest.approx(1)
        assert all(large > small for large, small in pairwise(shares))
        assert shares[-1] / shares[0] == pytest.approx(5 / 8)


def test_owners_choose_operators_by_the_shares_of_their_zone(country: Country, world: World) -> None:
    shares = draw_shares(country, WEEK)
    assert shares.sum(axis=1) == pytest.approx(np.ones(12))
    assert np.ptp(shares[:, 0]) > 0.02
    for zone in range(12):
        first = world.phones.first[(world.persons.home == zone) & (world.phones.first >= 0)]
        for operator in range(3):
            binomial(int((first == operator).sum()), first.size, shares[zone, operator])


def test_second_subscriptions_are_mostly_at_another_operator(country: Country, world: World) -> None:
    phones = world.phones
    owner, second = phones.first >= 0, phones.second >= 0
    assert not (second & ~owner).any()
    binomial(int(second.sum()), int(owner.sum()), 0.12)
    elsewhere = second & (phones.second != phones.first)
    binomial(int(elsewhere.sum()), int(second.sum()), 0.8)
    shares = draw_shares(country, WEEK)
    left = elsewhere & (phones.first == 0)
    to_second = shares[world.persons.home[left], 1] / (1 - shares[world.persons.home[left], 0])
    assert abs((phones.second[left] == 1).sum() - to_second.sum()) < 5 * (left.sum() / 4) ** 0.5


def test_a_single_operator_has_the_second_subscriptions_too(world: World) -> None:
    alone = draw_phones(world.persons, np.ones((12, 1)), Settings(operators=1))
    both = alone.second >= 0
    binomial(int(both.sum()), alone.owners, 0.12)
    assert (alone.second[both] == 0).all()


def test_subscriber_files_show_who_has_two_subscriptions(week: Simulation) -> None:
    holders: Counter[int] = Counter()
    operators: dict[int, set[str]] = {}
    for who in week.operator_ids:
        table = pq.read_table(week.subscribers(who))
        assert table.column_names == ["subscriber_id", "national_id"]
        ids, national = table["subscriber_id"].to_pylist(), table["national_id"].to_pylist()
        assert len(set(ids)) == len(ids) == week.counts.subscriptions[who]
        assert ids == sorted(ids)
        assert min(ids) >= 0
        assert max(ids) > 2**62, "63 bits are used"
        holders.update(national)
        for person in national:
            operators.setdefault(person, set()).add(who)
    assert len(holders) == week.counts.owners
    assert set(holders.values()) == {1, 2}
    binomial(sum(count == 2 for count in holders.values()), len(holders), 0.12)
    sets = Counter("+".join(sorted(who)) for who in operators.values())
    written = {row["operators"]: int(row["persons"]) for row in rows(week.truth / "overlap.csv")}
    assert written.pop("none") == week.counts.persons - week.counts.owners
    assert written == dict(sets)
    assert list(written) == ["mno1", "mno2", "mno3", "mno1+mno2", "mno1+mno3", "mno2+mno3"]


def test_overlap_counts_exact_sets_zeros_included() -> None:
    first = np.array([0, 1, 1, -1, 2, 0], dtype=np.int8)
    second = np.array([-1, 0, 1, -1, -1, 1], dtype=np.int8)
    counted = overlap(Phones(first, second, np.arange(6)), ("a", "b", "c"))
    assert counted == {"a": 1, "a+b": 2, "a+c": 0, "b": 1, "b+c": 0, "c": 1, "none": 1}


def test_identifiers_are_drawn_until_they_are_distinct() -> None:
    ids = unique_ids(np.random.default_rng(1), 100, 100)
    assert sorted(ids.tolist()) == list(range(100))


# --- cells -----------------------------------------------------------------------------------------------


def test_cells_lie_in_their_zone_and_look_like_cell_identities(country: Country, week: Simulation) -> None:
    for who in week.operator_ids:
        table = pq.read_table(week.cells(who))
        assert [str(field.type) for field in table.schema] == ["int64", "string", "double", "double"]
        ids = table["cell_id"].to_pylist()
        assert len(set(ids)) == len(ids)
        assert 0 <= min(ids) <= max(ids) < 2**28
        for zone, lon, lat in zip(*(table[name].to_pylist() for name in ("zone", "lon", "lat")), strict=True):
            polygon = country.polygons[country.zone_codes.index(zone)]
            assert polygon.contains(shapely.Point(lon, lat))
        assert set(table["zone"].to_pylist()) == set(country.zone_codes)


def test_large_zones_have_more_cells() -> None:
    assert cells_per_zone(np.array([0, 25, 100, 275, 100, 100])).tolist() == [1, 2, 4, 7, 4, 4]
    assert cells_per_zone(np.array([1_000_000] + [1] * 99))[0] == 12


def test_a_sliver_gets_a_point_too() -> None:
    sliver = shapely.Polygon([(0, 0), (1, 1), (1, 1 + 1e-13), (0, 0)])
    lon, lat = draw_points(
        np.random.default_rng(1), np.array([sliver, shapely.box(4, 50, 5, 51)], dtype=object)
    )
    assert lon[0] == pytest.approx(lat[0], abs=1e-9)
    assert shapely.box(4, 50, 5, 51).contains(shapely.Point(lon[1], lat[1]))


# --- movement and its truth ------------------------------------------------------------------------------


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


# --- events ----------------------------------------------------------------------------------------------


def test_event_files_are_nullable_integers_in_the_order_of_time(week: Simulation) -> None:
    for who in week.operator_ids:
        for day in week.days:
            schema = pq.read_schema(week.events(who, day))
            assert schema.names == ["subscriber_id", "timestamp_ms", "cell_id"]
            assert all(str(field.type) == "int64" and field.nullable for field in schema)
            start = epoch(f"{day}T00:00:00+02:00")
            stamps = events(week.events(who, day))["timestamp_ms"]
            good = stamps[stamps >= start]
            assert (np.diff(good) >= 0).all()
            length = 25 if day == date(2026, 10, 25) else 24
            assert good[0] < start + HOUR
            assert start + (length - 1) * HOUR < good[-1] < start + length * HOUR


def test_the_dirt_in_the_files_is_what_was_reported(week: Simulation) -> None:
    found: Counter[str] = Counter()
    total = 0
    for who in week.operator_ids:
        known = np.array(pq.read_table(week.cells(who))["cell_id"].to_pylist(), dtype=np.float64)
        for day in week.days:
            table = pq.read_table(week.events(who, day))
            subscriber = table["subscriber_id"]
            day_events = events(week.events(who, day))
            stamp, cell = day_events["timestamp_ms"], day_events["cell_id"]
            start = epoch(f"{day}T00:00:00+02:00")
            broken = ~((stamp >= start) & (stamp < start + 25 * HOUR))
            triples = list(zip(subscriber.to_pylist(), stamp.tolist(), cell.tolist(), strict=True))
            found["duplicate"] += sum(before == after for before, after in pairwise(triples))
            found["unknown_cell"] += int((~np.isin(cell, known) & ~np.isnan(cell)).sum())
            found["broken_timestamp"] += int(broken.sum())
            found["null_subscriber"] += subscriber.null_count
            found["null_cell"] += int(np.isnan(cell).sum())
            total += len(triples)
            kinds = [np.isnan(stamp), stamp == 0, stamp < 0, (stamp > 0) & (stamp < 1e11), stamp < start]
            assert all(kind.any() for kind in kinds), "each way to break a timestamp happens every day"
    assert dict(found) == week.counts.dirt
    assert total == sum(week.counts.events.values())
    clean = total - found["duplicate"]
    shares = {
        "duplicate": 0.01,
        "unknown_cell": 0.003,
        "broken_timestamp": 0.003,
        "null_subscriber": 0.002,
        "null_cell": 0.002,
    }
    for kind, share in shares.items():
        binomial(found[kind], clean, share)
        assert week.counts.dirt_share[kind] == round(found[kind] / clean, 6)


def test_each_day_has_its_own_dirt(week: Simulation) -> None:
    days = [pq.read_table(week.events("mno1", day))["subscriber_id"].slice(0, 5000) for day in week.days[:2]]
    missing = [np.flatnonzero(column.is_null().to_numpy()).tolist() for column in days]
    assert missing[0] != missing[1]


def test_a_broken_timestamp_is_null_zero_negative_in_seconds_or_of_another_year() -> None:
    number = 200_000
    stamp = epoch("2026-10-21T12:00:00+02:00")
    columns = (np.arange(number), np.full(number, stamp), np.zeros(number, dtype=np.int64))
    feed = make_dirty(np.random.default_rng(1), *columns, unknown_id=np.array([7]))
    values = Counter(feed.timestamp_ms[~feed.no_timestamp].tolist())
    year = 365 * 24 * HOUR
    assert set(values) == {stamp, 0, -stamp, stamp // 1000, stamp - year}
    ways = [
        values[0],
        values[-stamp],
        values[stamp // 1000],
        values[stamp - year],
        int(feed.no_timestamp.sum()),
    ]
    for way in ways:
        binomial(way, number, 0.003 / 5)
    assert Counter(feed.cell_id.tolist())[7] == feed.dirt[1]


def test_events_have_the_declared_mean_and_heavy_users(week: Simulation) -> None:
    for who in week.operator_ids:
        counts: Counter[int] = Counter()
        for day in week.days:
            counts.update(
                pq.read_table(week.events(who, day), columns=["subscriber_id"])["subscriber_id"].to_pylist()
            )
        del counts[None]  # the nulls of the dirt
        number = week.counts.subscriptions[who]
        per_person = np.array(list(counts.values()) + [0] * (number - len(counts)))
        # Seven days of 24 hours and one hour more, duplicates in, missing subscribers out.
        mean = 10 * (7 + 1 / 24) * (1 + 0.01 - 0.002)
        spread = (mean + mean**2 / 3) ** 0.5
        assert per_person.mean() == pytest.approx(mean, abs=5 * spread / number**0.5)
        assert per_person.std() == pytest.approx(spread, rel=0.12)


def test_the_night_is_half_as_busy_as_the_day(week: Simulation) -> None:
    hours: Counter[int] = Counter()
    for who in week.operator_ids:
        stamps = events(week.events(who, date(2026, 10, 20)))["timestamp_ms"]
        start = epoch("2026-10-20T00:00:00+02:00")
        elapsed = stamps[stamps >= start] - start
        hours.update((elapsed // HOUR).astype(int).tolist())
    assert set(hours) == set(range(24))
    # Six hours of 0.6 and eighteen of 1.2; duplicates widen the limits a little.
    night, total = sum(hours[hour] for hour in range(6)), sum(hours.values())
    assert night / total == pytest.approx(1 / 7, abs=5 * (1 / 7 * 6 / 7 / total) ** 0.5 * 1.02)


def test_at_night_every_phone_is_seen_in_its_home_zone_only(week: Simulation, world: World) -> None:
    codes = world.country.zone_codes
    for operator, who in zip(world.operators, week.operator_ids, strict=True):
        cells = pq.read_table(week.cells(who))
        zone_of = dict(zip(cells["cell_id"].to_pylist(), cells["zone"].to_pylist(), strict=True))
        home_of = dict(
            zip(
                operator.subscriptions.subscriber_id.tolist(),
                [codes[zone] for zone in world.persons.home[operator.subscriptions.person]],
                strict=True,
            )
        )
        for day in week.days:
            start = epoch(f"{day}T00:00:00+02:00")
            table = pq.read_table(week.events(who, day)).to_pydict()
            seen = 0
            for subscriber, stamp, cell in zip(*table.values(), strict=True):
                if stamp is not None and start <= stamp < start + 3 * HOUR and cell in zone_of:
                    assert subscriber is None or zone_of[cell] == home_of[subscriber]
                    seen += 1
            assert seen > week.counts.subscriptions[who] / 2


def test_phones_are_where_their_persons_are_and_have_favourite_cells(world: World) -> None:
    day = local_day(date(2026, 10, 21), "Europe/Brussels")
    movement = draw_movement(world.persons, world.gravity, day, WEEK)
    operator = world.operators[0]
    drawn = list(draw_events(operator, world.persons, movement, WEEK, chunk=10_000))
    assert len(drawn) > 1, "several chunks"
    subscription, elapsed, cell = (
        np.concatenate([getattr(part, name) for part in drawn])
        for name in ("subscription", "elapsed_ms", "cell")
    )
    person = operator.subscriptions.person[subscription]
    away = (elapsed >= movement.leaves[person]) & (elapsed < movement.returns[person])
    zone = np.where(away, movement.zone[person], world.persons.home[person])
    assert (operator.cells.zone[cell] == zone).all()
    assert np.unique(cell).size == operator.cells.cell_id.size, "every cell is used"
    for there, favourite in ((~away, operator.favourites.at_home), (away, operator.favourites.at_work)):
        hits = int((cell == favourite[subscription])[there].sum())
        expected = float((0.7 + 0.3 / operator.cells.count[zone[there]]).sum())
        assert abs(hits - expected) < 5 * (there.sum() / 4) ** 0.5


def test_chunks_change_nothing_but_the_cells_drawn(world: World) -> None:
    movement = draw_movement(world.persons, world.gravity, WEEK.local_days[0], WEEK)
    whole = list(draw_events(world.operators[0], world.persons, movement, WEEK))
    parts = list(draw_events(world.operators[0], world.persons, movement, WEEK, chunk=5000))
    assert len(whole) == 1
    for name in ("subscription", "elapsed_ms"):
        assert np.array_equal(
            np.concatenate([getattr(part, name) for part in parts]), getattr(whole[0], name)
        )


# --- local days ------------------------------------------------------------------------------------------


def test_the_long_day_has_twenty_five_hours(country: Country, world: World, tmp_path: Path) -> None:
    long_day = date(2026, 10, 25)
    settings = WEEK.model_copy(update={"start": long_day, "days": 1})
    result = simulate(country, settings, tmp_path / "long")
    assert result.presence_day == long_day
    labels = [row["time_period"] for row in rows(result.truth / "presence.csv")][:25]
    assert labels[1:5] == [
        "2026-10-25T01:00:00+02:00",
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]
    assert labels[24] == "2026-10-25T23:00:00+01:00"
    assert len(rows(result.truth / "presence.csv")) == 15 * 25
    stamps = np.concatenate(
        [events(result.events(who, long_day))["timestamp_ms"] for who in result.operator_ids]
    )
    hours = Counter(((stamps[stamps > 1e12] - 1_792_879_200_000) // HOUR).astype(int).tolist())
    assert set(range(25)) <= set(hours)
    assert [hour for hour, count in hours.items() if count > 100 and not 0 <= hour < 25] == []
    # Seven night hours of 0.6 and eighteen of 1.2.
    night = sum(hours[hour] for hour in range(7))
    total = sum(hours[hour] for hour in range(25))
    assert night / total == pytest.approx(4.2 / 25.8, abs=5 * (0.16 * 0.84 / total) ** 0.5 * 1.02)
    activity = sum(float(operator.subscriptions.activity.sum()) for operator in world.operators)
    expected = 10 * 25 / 24 * activity
    events_drawn = sum(result.counts.events.values()) - result.counts.dirt["duplicate"]
    assert abs(events_drawn - expected) < 5 * expected**0.5


def test_the_short_day_has_twenty_three_hours(country: Country, tmp_path: Path) -> None:
    settings = WEEK.model_copy(update={"start": date(2026, 3, 28), "days": 2})
    result = simulate(country, settings, tmp_path / "short")
    assert result.presence_day == date(2026, 3, 29)
    found = rows(result.truth / "presence.csv")
    labels = [row["time_period"] for row in found][:23]
    assert labels[1:3] == ["2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"]
    assert labels[22] == "2026-03-29T23:00:00+02:00"
    assert len(found) == 15 * 23
    values = np.array([int(row["value"]) for row in found]).reshape(15, 23)
    assert (values[:12].sum(axis=0) == result.counts.persons).all()
    assert {row["time_period"] for row in rows(result.truth / "residents.csv")} == {
        "2026-03-28T00:00:00+01:00/P2D"
    }
    first, last = epoch("2026-03-29T00:00:00+01:00"), epoch("2026-03-30T00:00:00+02:00")
    assert last - first == 23 * HOUR
    for who in result.operator_ids:
        stamps = events(result.events(who, date(2026, 3, 29)))["timestamp_ms"]
        assert ((stamps >= first) & (stamps < last)).sum() > 0.99 * stamps.size
        assert not ((stamps >= last) | ((stamps < first) & (stamps > first - 24 * HOUR))).any()


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 10, 21), 24), (date(2026, 10, 25), 25), (date(2026, 3, 29), 23)]
)
def test_elapsed_times_show_the_clock_time_they_came_from(day: date, hours: int) -> None:
    described = local_day(day, "Europe/Brussels")
    assert described.hours == hours
    assert described.length_ms == hours * HOUR
    assert described.is_weekend == (day != date(2026, 10, 21))
    clock = np.arange(0, 24 * HOUR, 7 * MINUTE, dtype=np.int64)
    elapsed = described.elapsed_ms(clock)
    assert (np.diff(elapsed[clock >= 3 * HOUR]) > 0).all()
    for shown, instant in zip(clock.tolist(), elapsed.tolist(), strict=True):
        local = datetime.fromtimestamp((described.start_ms + instant) / 1000, UTC).astimezone(BRUSSELS)
        minutes = shown // MINUTE
        if hours == 23 and minutes // 60 == 2:
            minutes += 60  # two o'clock does not exist
        assert (local.date(), local.hour * 60 + local.minute) == (day, minutes)
        assert local.fold == 0, "the first of two"


def test_midnights_and_ranges_follow_the_time_zone() -> None:
    assert midnight_ms(date(2026, 10, 19), "Europe/Brussels") == 1_792_360_800_000
    assert midnight_ms(date(2026, 10, 19), "UTC") == 1_792_368_000_000
    assert range_period(date(2026, 1, 31), 28, "Asia/Kolkata") == "2026-01-31T00:00:00+05:30/P28D"
    kolkata = local_day(date(2026, 1, 31), "Asia/Kolkata")
    assert kolkata.hour_periods()[8] == "2026-01-31T08:00:00+05:30"
    for number in range(1, 366):
        day = date(2025, 12, 31) + timedelta(days=number)
        described = local_day(day, "Europe/Brussels")
        following = midnight_ms(day + timedelta(days=1), "Europe/Brussels")
        assert described.start_ms + described.length_ms == following


def test_an_excursion_ends_after_it_began_though_the_clock_is_changed(world: World) -> None:
    day = local_day(date(2026, 3, 29), "Europe/Brussels")
    movement = draw_movement(world.persons, world.gravity, day, WEEK)
    out = movement.returns > 0
    assert (movement.returns[out] > movement.leaves[out]).all()
    assert movement.leaves[out].min() >= 8 * HOUR, "nine o'clock comes after eight elapsed hours"
    assert movement.returns.max() <= 22 * HOUR


def test_a_return_that_the_clock_puts_before_the_departure_is_a_minute_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.demo.simulation.movement.TRIP_START_HOURS", (2.5, 2.5))
    monkeypatch.setattr("deploy.demo.simulation.movement.TRIP_HOURS", (0.6, 0.7))
    day = local_day(date(2026, 3, 29), "Europe/Brussels")
    movement = draw_movement(world.persons, world.gravity, day, WEEK)
    out = movement.returns > 0
    assert out.any()
    assert set(movement.leaves[out].tolist()) == {150 * MINUTE}, "half past two is shown as half past three"
    assert set(movement.returns[out].tolist()) == {151 * MINUTE}


# --- settings, output directory, command line ------------------------------------------------------------


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
