"""The simulated country at length: Belgium in large numbers, many seeds, every time zone (make test-full)."""

from __future__ import annotations

import hashlib
import resource
import subprocess
import sys
import zoneinfo
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from deploy.demo.country import Country, load_country
from deploy.demo.simulation import Settings, simulate
from deploy.demo.simulation.calendar import HOUR_MS, local_day, midnight_ms
from deploy.demo.simulation.events import draw_events
from deploy.demo.simulation.movement import draw_movement
from deploy.demo.simulation.phones import draw_shares
from deploy.demo.simulation.truth import presence
from deploy.demo.simulation.world import World, draw_world
from privacy.errors import UsageProblem
from tests.small_country import write_small_country

pytestmark = pytest.mark.full
# A correct simulation fails one of these tests about once in a million.
RARE = 1e-7


@pytest.fixture(scope="module")
def belgium() -> Country:
    return load_country()


@pytest.fixture(scope="module")
def world(belgium: Country) -> World:
    return draw_world(belgium, Settings(scale=0.1))


def p_value(observed: NDArray[np.int64], expected: NDArray[np.float64]) -> float:
    """Chi-square of counts against expectations of at least five, the rest put together."""
    large = expected >= 5
    pooled = [np.append(counts[large], counts[~large].sum()) for counts in (observed, expected)]
    if pooled[1][-1] < 5:
        pooled = [counts[:-1] for counts in pooled]
    scaled = pooled[1] * pooled[0].sum() / pooled[1].sum()
    return float(stats.chisquare(pooled[0], scaled).pvalue)


def test_the_default_week_is_reproducible(belgium: Country, tmp_path: Path) -> None:
    digests = []
    for name in ("first", "second"):
        out = simulate(belgium, Settings(), tmp_path / name).out
        files = sorted(path for path in out.rglob("*") if path.is_file())
        digests.append(
            [(path.relative_to(out), hashlib.sha256(path.read_bytes()).digest()) for path in files]
        )
    assert digests[0] == digests[1]
    assert len(digests[0]) == 3 * 9 + 6


def test_a_million_subscriptions_take_less_than_a_minute_and_four_gigabytes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.demo.simulation", "--scale", "0.1", "--days", "1"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, "--out", str(tmp_path / "out")], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 60
    assert after.ru_maxrss * (1 if sys.platform == "darwin" else 1024) < 4 * 2**30


def test_workers_of_every_district_follow_their_commuting_row(belgium: Country, world: World) -> None:
    works = world.persons.work >= 0
    origin = belgium.district_index[world.persons.home[works]]
    goal = belgium.district_index[world.persons.work[works]]
    table = np.zeros((43, 43), dtype=np.int64)
    np.add.at(table, (origin, goal), 1)
    for district in range(43):
        row = belgium.commuting[district]
        expected = row * table[district].sum() / row.sum()
        assert p_value(table[district], expected) > RARE


def test_market_shares_spread_by_district_and_zone_as_declared(belgium: Country) -> None:
    between, within, national = [], [], []
    number = np.bincount(belgium.district_index)
    for seed in range(20):
        shares = draw_shares(belgium, Settings(seed=seed))
        national.append(shares.mean(axis=0))
        # The renormalisation cancels in the ratio of two shares.
        ratio = np.log(shares[:, 0] / shares[:, 1]) - np.log(0.40 / 0.35)
        mean = np.bincount(belgium.district_index, ratio) / number
        within.append(((ratio - mean[belgium.district_index]) ** 2).sum() / (589 - 43))
        between.append((mean**2 - 2 * 0.15**2 / number).mean())
    assert np.mean(within) == pytest.approx(2 * 0.15**2, rel=0.05)
    assert np.mean(between) == pytest.approx(2 * 0.20**2, rel=0.15)
    assert np.mean(national, axis=0) == pytest.approx([0.40, 0.35, 0.25], abs=0.02)


def test_each_subscription_has_poisson_events_around_its_own_mean(world: World) -> None:
    day = local_day(date(2026, 10, 25), "Europe/Brussels")
    movement = draw_movement(world.persons, world.gravity, day, world.settings)
    operator = world.operators[0]
    counts = np.zeros(operator.subscriptions.size, dtype=np.int64)
    hours = np.zeros(25, dtype=np.int64)
    remainders = np.zeros(60, dtype=np.int64)
    for part in draw_events(operator, world.persons, movement, world.settings):
        counts += np.bincount(part.subscription, minlength=counts.size)
        hours += np.bincount(part.elapsed_ms // HOUR_MS, minlength=25)
        remainders += np.bincount(part.elapsed_ms % HOUR_MS // 60_000, minlength=60)
    activity = operator.subscriptions.activity
    assert stats.kstest(activity, stats.gamma(3, scale=1 / 3).cdf).pvalue > RARE
    mean = 10 * 25 / 24 * activity
    large = mean > 1
    dispersion = ((counts - mean)[large] ** 2 / mean[large]).mean()
    assert dispersion == pytest.approx(1, abs=0.02)
    rates = np.array([0.6] * 7 + [1.2] * 18)
    assert p_value(hours, rates / rates.sum() * counts.sum()) > RARE
    assert p_value(remainders, np.full(60, counts.sum() / 60)) > RARE


def test_events_in_the_middle_of_an_hour_agree_with_the_truth_of_presence(world: World) -> None:
    """Phones of an operator in a zone, seen and counted, follow where the persons who own them are."""
    day = local_day(date(2026, 10, 21), "Europe/Brussels")
    movement = draw_movement(world.persons, world.gravity, day, world.settings)
    operator = world.operators[1]
    person = operator.subscriptions.person
    seen = np.zeros((589, 24), dtype=np.int64)
    for part in draw_events(operator, world.persons, movement, world.settings):
        zone = operator.cells.zone[part.cell]
        np.add.at(seen, (zone, part.elapsed_ms // HOUR_MS), 1)
    # Nobody leaves or returns between noon and one but a few workers: presence is constant then.
    activity = operator.subscriptions.activity
    away = (movement.leaves[person] <= 12 * HOUR_MS) & (movement.returns[person] >= 13 * HOUR_MS)
    at_noon = np.where(away, movement.zone[person], world.persons.home[person])
    expected = np.bincount(at_noon, activity, minlength=589).astype(np.float64) * 10 * 1.2 / 25.2
    assert p_value(seen[:, 12], expected) > RARE
    truth = presence(world.persons, movement, 589)[:, 12]
    large = truth > 200
    assert np.corrcoef(np.log(truth[large]), np.log(seen[large, 12]))[0, 1] > 0.9


def test_many_seeds_keep_dirt_and_second_subscriptions_at_their_shares(tmp_path: Path) -> None:
    country = load_country(write_small_country(tmp_path / "small"))
    events, dirt, second, owners = 0, dict.fromkeys(("duplicate", "unknown_cell"), 0), 0, 0
    for seed in range(30):
        result = simulate(country, Settings(scale=1.0, days=1, seed=seed), tmp_path / "out")
        events += sum(result.counts.events.values()) - result.counts.dirt["duplicate"]
        dirt = {kind: count + result.counts.dirt[kind] for kind, count in dirt.items()}
        second += sum(result.counts.subscriptions.values()) - result.counts.owners
        owners += result.counts.owners
    for count, number, share in (
        (dirt["duplicate"], events, 0.01),
        (dirt["unknown_cell"], events, 0.003),
        (second, owners, 0.12),
    ):
        assert stats.binomtest(count, number, share).pvalue > RARE


def test_local_days_of_every_time_zone_are_gapless_or_refused() -> None:
    refused = 0
    for timezone in sorted(zoneinfo.available_timezones()):
        for number in range(365):
            day = date(2026, 1, 1) + timedelta(days=number)
            try:
                described = local_day(day, timezone)
            except UsageProblem:
                refused += 1
                continue
            assert described.start_ms + described.length_ms == midnight_ms(day + timedelta(days=1), timezone)
            if described.hours != 24:
                assert len(set(described.hour_periods())) == described.hours
    assert 0 < refused < 100
