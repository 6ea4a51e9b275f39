"""The simulated country of two dates: who stays, who changes the operator, and what is written where."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from numpy.typing import NDArray

from deploy.demo.country import load_country
from deploy.demo.simulation import Settings
from deploy.demo.simulation.phones import NO_OPERATOR, Phones
from tests.statistical.chain.people import Market, Times, changed, draw_times, subscriptions_at_home
from tests.statistical.scenarios import belgium

PERSONS = 300_000
BEFORE = np.array([[0.5, 0.3, 0.2], [0.2, 0.4, 0.4]])
AFTER = np.array([[0.4, 0.3, 0.3], [0.2, 0.4, 0.4]])


def phones_of(chance: np.random.Generator, home: NDArray[np.int32], second: float) -> Phones:
    """Return phones of which a tenth has none, and a part a second subscription at the next operator or the same."""
    draws = np.array([chance.choice(3, PERSONS, p=shares) for shares in BEFORE])
    first = np.where(chance.random(PERSONS) < 0.1, NO_OPERATOR, draws[home, np.arange(PERSONS)])
    others = BEFORE[home].copy()
    others[np.arange(PERSONS), np.maximum(first, 0)] = 0
    ends = np.cumsum(others, axis=1)
    elsewhere = (chance.random(PERSONS)[:, None] * ends[:, -1:] >= ends).sum(axis=1)
    chosen = np.where(chance.random(PERSONS) < 0.8, elsewhere, first)
    has = (first != NO_OPERATOR) & (chance.random(PERSONS) < second)
    return Phones(
        first.astype(np.int8),
        np.where(has, chosen, NO_OPERATOR).astype(np.int8),
        np.arange(PERSONS, dtype=np.int64),
    )


@pytest.fixture(scope="module")
def change() -> tuple[NDArray[np.int32], Phones, Phones]:
    chance = np.random.default_rng(5)
    home = np.repeat(np.arange(2, dtype=np.int32), PERSONS // 2)
    before = phones_of(chance, home, second=0.10)
    markets = Market(BEFORE, np.array([0.10, 0.10])), Market(AFTER, np.array([0.19, 0.05]))
    return home, before, changed(chance, before, home, markets)


def shares(home: NDArray[np.int32], which: NDArray[np.int8], zone: int) -> NDArray[np.float64]:
    counts = np.bincount(which[(home == zone) & (which != NO_OPERATOR)], minlength=3)
    return np.asarray(counts / counts.sum())


def test_later_the_operators_have_their_later_shares(
    change: tuple[NDArray[np.int32], Phones, Phones],
) -> None:
    home, _before, after = change
    for zone in (0, 1):
        # 135,000 owners in each zone: a standard deviation of 0.0014.
        assert shares(home, after.first, zone) == pytest.approx(AFTER[zone], abs=0.006)


def test_no_more_subscribers_change_than_the_shares_need(
    change: tuple[NDArray[np.int32], Phones, Phones],
) -> None:
    home, before, after = change
    owner, moved = before.first != NO_OPERATOR, before.first != after.first
    # In the first zone a tenth of all goes from the first operator to the third; in the second nobody goes.
    assert moved[owner & (home == 0)].mean() == pytest.approx(0.1, abs=0.004)
    assert not moved[home == 1].any()
    went = moved & owner
    assert (before.first[went] == 0).all()
    assert (after.first[went] == 2).all()


def test_who_has_no_phone_gets_none_and_identities_stay(
    change: tuple[NDArray[np.int32], Phones, Phones],
) -> None:
    _home, before, after = change
    nobody = before.first == NO_OPERATOR
    assert ((after.first == NO_OPERATOR) == nobody).all()
    assert (after.second[nobody] == NO_OPERATOR).all()
    assert (before.national_id == after.national_id).all()


def test_second_subscriptions_become_more_or_fewer_as_the_coverage_drifts(
    change: tuple[NDArray[np.int32], Phones, Phones],
) -> None:
    home, before, after = change
    owner = before.first != NO_OPERATOR
    had, has = before.second != NO_OPERATOR, after.second != NO_OPERATOR
    assert has[owner & (home == 0)].mean() == pytest.approx(0.19, abs=0.006)
    assert has[owner & (home == 1)].mean() == pytest.approx(0.05, abs=0.004)
    assert has[had & (home == 0)].all(), "where there are more, nobody gives one up"
    assert not (has & ~had & (home == 1)).any(), "where there are fewer, nobody takes one"
    elsewhere = after.second != after.first
    assert elsewhere[has].mean() == pytest.approx(0.8, abs=0.02)


SCALE = 0.02


@pytest.fixture(scope="module")
def times() -> Times:
    settings = Settings(scale=SCALE, days=1, start=date(2026, 10, 10))
    return draw_times(load_country(), settings, settings.model_copy(update={"start": date(2026, 10, 11)}))


def test_both_dates_have_the_population_of_their_register(times: Times) -> None:
    country = belgium()
    for world, register in zip(times.worlds, (country.then, country.now), strict=True):
        people = np.bincount(world.persons.home, minlength=register.size)
        assert people.sum() == pytest.approx(SCALE * register.sum(), rel=0.002)
        # Seven age bands are rounded by chance, once at the first date and once more at the second.
        assert np.abs(people - SCALE * register).max() < 10


def test_who_stays_keeps_home_workplace_and_activity(times: Times) -> None:
    (first, second) = times.worlds
    _ids, then, later = np.intersect1d(
        first.phones.national_id, second.phones.national_id, return_indices=True
    )
    assert then.size > 0.95 * first.persons.size
    assert (first.persons.home[then] == second.persons.home[later]).all()
    assert (first.persons.work[then] == second.persons.work[later]).all()
    assert (first.phones.first[then] != second.phones.first[later]).mean() < 0.06
    for before, after in zip(first.operators, second.operators, strict=True):
        _ids, one, other = np.intersect1d(
            before.subscriptions.subscriber_id, after.subscriptions.subscriber_id, return_indices=True
        )
        assert one.size > 0.85 * before.subscriptions.size
        assert (before.subscriptions.activity[one] == after.subscriptions.activity[other]).all()
        assert (before.cells.cell_id == after.cells.cell_id).all()


def test_every_subscription_is_counted_at_the_home_of_its_holder(times: Times) -> None:
    for world in times.worlds:
        found = subscriptions_at_home(world)
        assert found.sum(axis=1).tolist() == [operator.subscriptions.size for operator in world.operators]
        # A person with two subscriptions at one operator is there twice.
        twice = (world.phones.first != NO_OPERATOR).astype(int) + (world.phones.second != NO_OPERATOR)
        expected = np.bincount(world.persons.home, twice, found.shape[1])
        assert (found.sum(axis=0) == expected).all()
