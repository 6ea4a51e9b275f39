"""The acceptance table of presence over real commuting between districts: 200 replications, 67 in `make test`."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tests.effort import tried
from tests.statistical.presence_world import WORLDS
from tests.statistical.score_presence import Score, evaluate
from tests.statistical.score_residents import scored

NAMED = {world.name: world for world in WORLDS}
#: What is declared of silent phones is for the worst case, and one operator cannot tell how far off it is.
CAREFUL = {name for name in NAMED if "silent" in name or "one operator" in name or "commute more" in name}


@cache
def score(name: str) -> Score:
    return evaluate(NAMED[name], tried(200))


@pytest.mark.parametrize("name", NAMED)
def test_errors_are_at_most_six_in_a_thousand_and_five_times_below_scaling_by_zone_of_presence(
    name: str,
) -> None:
    assert score(name).wmape <= 0.6
    assert score(name).times_below >= 5
    assert score(name).skill > 0.9


@pytest.mark.parametrize("name", NAMED)
def test_intervals_hold_as_often_as_they_say_or_more_often_where_they_are_careful(name: str) -> None:
    most = 100 if name in CAREFUL else 97
    assert score(name).coverage_95 >= 93
    assert score(name).coverage_95 <= most
    assert score(name).coverage_95_night >= 93


def test_an_interval_is_scored_by_its_width_and_by_what_is_outside() -> None:
    ends = np.array([90.0, 90.0]), np.array([110.0, 110.0])
    # 20 wide; the second truth is 10 above it, which costs 2/.05 times as much.
    found = scored(ends, np.array([100.0, 120.0]))
    assert found == pytest.approx((0.2 + (20 + 40 * 10) / 120) / 2)
