"""What is seen late is brought forward."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.estimation.delay import brought_forward
from hub.estimation.presence import Presence

HOURS = 24


def seen(estimate: list[list[float]], noise: float = 4.0, sampling: float = 9.0) -> Presence:
    values = np.array(estimate)
    return Presence(
        estimate=values,
        noise=np.full(values.shape, noise),
        sampling=np.full(values.shape, sampling),
        assigned=values / 10,
        relative=np.zeros(values.shape[1]),
        disagreement=np.ones(values.shape[1]),
        moving=np.zeros((2, *values.shape)),
        blunted=np.zeros(values.shape),
    )


def test_without_a_delay_everything_stays_as_it_is() -> None:
    found = seen([[1.0, 2.0, 4.0], [5.0, 3.0, 1.0]])
    same = brought_forward(found, 0.0, 0.0)
    for name in ("estimate", "noise", "sampling", "assigned", "relative", "moving", "blunted"):
        assert np.array_equal(getattr(same, name), getattr(found, name)), name


def test_a_delay_of_three_quarters_of_an_hour_takes_three_quarters_of_the_next_hour() -> None:
    found = brought_forward(seen([[100.0, 200.0, 400.0]]), 0.75, 0.5)
    # ¼·100 + ¾·200, ¼·200 + ¾·400, and the last hour stays.
    assert found.estimate.tolist() == [[175.0, 350.0, 400.0]]
    assert found.assigned.tolist() == [[17.5, 35.0, 40.0]]
    # 4·(1/16 + 9/16); in the last hour both parts are one.
    assert found.noise.tolist() == [[2.5, 2.5, 4.0]]
    assert found.sampling.tolist() == [[9.0, 9.0, 9.0]]
    # Half an hour of a change of 100 and of 200 by hour.
    assert found.moving.tolist() == 2 * [[[50.0, 100.0, 0.0]]]
    assert found.variance(0.0).tolist() == [[2.5 + 9 + 2500, 2.5 + 9 + 10_000, 13.0]]


def test_a_delay_of_more_than_an_hour_reaches_over_it() -> None:
    found = brought_forward(seen([[0.0, 10.0, 30.0, 70.0]]), 1.5, 1.0)
    assert found.estimate.tolist() == [[20.0, 50.0, 70.0, 70.0]]
    assert found.moving.tolist() == 2 * [[[20.0, 40.0, 0.0, 0.0]]]


def test_a_delay_of_none_that_is_not_quite_known_may_be_either_way() -> None:
    found = brought_forward(seen([[0.0, 0.0, 60.0, 60.0, 0.0, 12.0]]), 0.0, 0.5)
    # Half an hour more: the next change counts; less: the one before it; at the ends the only one there is.
    assert found.moving.tolist() == [[[0.0, 30.0, 0.0, -30.0, 6.0, 6.0]], [[0.0, 0.0, 30.0, 0.0, -30.0, 6.0]]]
    known = found.noise + found.sampling
    assert (found.variance(0.0) - known).tolist() == [[0.0, 450.0, 450.0, 450.0, 468.0, 36.0]]


@given(st.floats(0.0, 3.0), st.integers(23, 25))
def test_a_presence_that_changes_evenly_is_brought_forward_exactly(delay: float, hours: int) -> None:
    when = np.arange(hours, dtype=np.float64)
    late = 500.0 + 20.0 * (when - delay)
    found = brought_forward(seen([late.tolist()]), delay, 0.25).estimate[0]
    told = when + delay <= hours - 1
    assert found[told] == pytest.approx(500.0 + 20.0 * when[told])


@given(st.floats(0.0, 3.0), st.lists(st.floats(0, 1e6), min_size=HOURS, max_size=HOURS))
def test_who_goes_somewhere_comes_from_elsewhere(delay: float, here: list[float]) -> None:
    there = [1e6 - persons for persons in here]
    found = brought_forward(seen([here, there]), delay, 1.0)
    assert found.estimate.sum(axis=0) == pytest.approx(np.full(HOURS, 1e6))
    assert found.of(np.ones((1, 2))).moving == pytest.approx(np.zeros((2, 1, HOURS)), abs=1e-6)


@pytest.mark.parametrize(("delay", "sd"), [(-0.1, 0.0), (0.5, -1.0)])
def test_a_negative_delay_is_refused(delay: float, sd: float) -> None:
    with pytest.raises(ValueError, match="zero or more"):
        brought_forward(seen([[1.0, 2.0]]), delay, sd)


def test_a_peak_that_the_spread_of_ages_blunts_is_in_the_variance() -> None:
    # One hour has 240 persons more than both of its neighbours; H = 2 hours: H²/24·(−480) = −80.
    found = brought_forward(seen([[100.0, 340.0, 100.0, 100.0]]), 0.0, 0.0, hold=2.0)
    assert found.blunted.tolist() == [[0.0, -80.0, 40.0, 0.0]]
    plain = brought_forward(seen([[100.0, 340.0, 100.0, 100.0]]), 0.0, 0.0)
    assert (found.variance(0.0) - plain.variance(0.0)).tolist() == [[0.0, 6400.0, 1600.0, 0.0]]
