"""The simulated country: phones, operators and second subscriptions are shared out as declared."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest

from deploy.demo.country import Country
from deploy.demo.simulation import Settings, Simulation
from deploy.demo.simulation.phones import Phones, draw_phones, draw_shares, national_shares
from deploy.demo.simulation.streams import unique_ids
from deploy.demo.simulation.truth import overlap
from deploy.demo.simulation.world import World
from tests.unit.simulation.files import OWNERSHIP, WEEK, binomial, rows


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
