"""Presence by hour against its reference, and how far one subscriber can move it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend
from numpy.typing import NDArray

from node.presence.hold import Hold
from node.statistics import presence_by_hour
from privacy.errors import PrivacyProblem
from privacy.statistics import PRESENCE_BY_HOUR, declare
from tests.reference.days import Dominant, Seen, presence_counts
from tests.support_node import instant
from tests.unit.node.worlds import (
    FEW_WORLDS,
    HOURS,
    ORDINARY_DAY,
    WORLDS,
    ZONES,
    World,
    built,
    dominants,
    loaded,
    stored,
    worlds,
)

days = st.sampled_from((23, 24, 25)).flatmap(lambda hours: st.tuples(st.just(hours), dominants(hours)))


def through_the_node(db: Backend, world: World) -> NDArray[np.int64]:
    """Return the counts from events to vector, as the worker makes them."""
    presence = db.create_table("presence", built(db, world), temp=True, overwrite=True)
    return presence_by_hour.vector(presence, ZONES, HOURS[world.day])


@WORLDS
@given(day=days)
def test_it_counts_what_the_reference_counts(db: Backend, day: tuple[int, Dominant]) -> None:
    hours, found = day
    vector = presence_by_hour.vector(stored(db, found), ZONES, hours)
    assert vector.dtype == np.int64
    assert vector.shape == ((ZONES + 1) * hours,)
    assert vector.tolist() == presence_counts(found, ZONES, hours)
    seen = len({subscriber for subscriber, _hour in found})
    assert vector.reshape(ZONES + 1, hours).sum(axis=0).tolist() == [seen] * hours


@FEW_WORLDS
@given(world=worlds)
def test_the_events_of_one_subscriber_move_it_by_what_is_declared(db: Backend, world: World) -> None:
    declared = declare(PRESENCE_BY_HOUR, {}, HOURS[world.day])
    vector = through_the_node(db, world)
    assert vector.tolist() == presence_counts(world.dominant, ZONES, HOURS[world.day])
    somebody = max(event.subscriber for event in world.events)
    moved = int(((vector - through_the_node(db, world.without(somebody))) ** 2).sum())
    assert moved == HOURS[world.day] == declared.period_squared == declared.day_squared


def test_somebody_seen_once_is_unobserved_in_the_other_hours(db: Backend) -> None:
    event = Seen(9, instant(ORDINARY_DAY, 12 * 3600), 1, 0)
    vector = through_the_node(db, World(ORDINARY_DAY, frozenset({event}), Hold(60), 1)).reshape(ZONES + 1, 24)
    assert vector[0].tolist() == [0] * 12 + [1] + [0] * 11
    assert vector[ZONES].tolist() == [1] * 12 + [0] + [1] * 11
    assert vector[1:ZONES].sum() == 0


def test_presence_that_is_damaged_is_not_counted(db: Backend) -> None:
    """One subscriber in two zones at one hour would fill more cells than the bounds say."""
    rows = {"subscriber": [7, 7], "zone": [0, 1], "hours_mask": [0b10, 0b11]}
    with pytest.raises(PrivacyProblem, match="a subscriber in two zones at one hour"):
        presence_by_hour.vector(loaded(db, "presence", rows), ZONES, 24)


def test_a_day_without_anybody_is_all_zeros(db: Backend) -> None:
    assert presence_by_hour.vector(stored(db, {}), ZONES, 24).tolist() == [0] * (ZONES + 1) * 24
