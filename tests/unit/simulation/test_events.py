"""The simulated country: event files agree with the truth beside them and with the dirt that was reported."""

from __future__ import annotations

from collections import Counter
from datetime import date
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest

from deploy.demo.simulation import Simulation
from deploy.demo.simulation.calendar import local_day
from deploy.demo.simulation.dirt import make_dirty
from deploy.demo.simulation.events import draw_events
from deploy.demo.simulation.movement import draw_movement
from deploy.demo.simulation.world import World
from tests.unit.simulation.files import HOUR, WEEK, binomial, epoch, events


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
