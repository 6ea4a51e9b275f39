r"""Presence is seen late or early: an event says where a phone is while it is the nearest one.

What is seen at t is from t − A, A the age of the event that holds: between zero and the charter's hold, or
negative where an event holds before it too. If people move independently of their events, the presence that is
seen is an average over A of the presence that was, P_seen(t) = E[P(t − A)], and to first order

    P_seen(t) = P(t − d),    d = E[A],    so    P̂(t) = P_seen(t + d)

between two hours by linear interpolation. Where holds reach equally far both ways, d = 0. Where an event holds
until the next one alone, with events at a rate of λ and a hold H, the mean age over the time in which an event
holds is d = 1/λ − H/(e^{λH} − 1); operators can measure it in their own data. Phones that make an event
whenever they move are seen at once, d = 0. It is declared, with its standard deviation: mobile data do not tell
where somebody was between two events. The spread of A blunts a peak by ½·Var(A)·P″ more, Var(A) about (H +
B)²/12 at most with a hold of B before events: that is not given back, because twice the noise would come with
it, but it is in the variance. (A is the age of a Poisson process, truncated at H; Cox 1962, Renewal Theory,
chapter 5. The expansion is Taylor's.)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hub.estimation.presence import Presence

Values = NDArray[np.float64]


def brought_forward(found: Presence, delay: float, sd: float, hold: float = 0.0) -> Presence:
    """Return where people are, of where they were seen.

    Parameters
    ----------
    found
        As it was seen.
    delay, sd
        Mean of the delay and its standard deviation, in hours.
    hold
        Hours of which one event can say where somebody is, before and after it together.

    Raises
    ------
    ValueError
        If one of them is negative.

    Notes
    -----
    What is beyond the last hour of the day is taken as in the last hour. Noise is independent between hours; who is a
    subscriber is not, so its variance is not smaller for two hours than for one.
    """
    if delay < 0 or sd < 0:
        raise ValueError("a delay and its standard deviation are zero or more")
    later = _weights(found.estimate.shape[1], delay)
    return replace(
        found,
        estimate=found.estimate @ later,
        noise=found.noise @ later**2,
        sampling=found.sampling @ later,
        assigned=found.assigned @ later,
        relative=found.relative @ later,
        moving=sd * np.stack([found.estimate @ slopes for slopes in _slopes(found.estimate.shape[1], delay)]),
        blunted=hold**2 / 24.0 * _bend(found.estimate),
    )


def _bend(values: Values) -> Values:
    """Return the second difference by hour, zero at the first and the last one."""
    found = np.zeros_like(values)
    found[:, 1:-1] = values[:, :-2] - 2.0 * values[:, 1:-1] + values[:, 2:]
    return found


def _weights(hours: int, delay: float) -> Values:
    """Return how much of each hour that was seen (rows) is in each hour that is meant (columns)."""
    before, after, part = _between(hours, delay)
    weights = np.zeros((hours, hours))
    np.add.at(weights, (before, np.arange(hours)), 1.0 - part)
    np.add.at(weights, (after, np.arange(hours)), part)
    return weights


def _slopes(hours: int, delay: float) -> tuple[Values, Values]:
    """Return the change by hour at the same places, as of `_weights`: after them, and before them.

    They differ only where such a place is an hour. After the last hour the change is that before it, and before the
    first one that after it; beyond the last hour there is none.
    """
    wanted = np.arange(hours) + delay
    later = np.floor(wanted).astype(np.int64)
    earlier = np.ceil(wanted).astype(np.int64) - 1
    return _change(hours, np.where(wanted == hours - 1, later - 1, later)), _change(
        hours, np.maximum(earlier, 0)
    )


def _change(hours: int, since: NDArray[np.int64]) -> Values:
    """Return the change from some hours to the ones after them; none where there is no hour after."""
    change, there = np.zeros((hours, hours)), np.flatnonzero((since >= 0) & (since + 1 < hours))
    np.add.at(change, (since[there], there), -1.0)
    np.add.at(change, (since[there] + 1, there), 1.0)
    return change


def _between(hours: int, delay: float) -> tuple[NDArray[np.int64], NDArray[np.int64], Values]:
    """Return the hour before and after each hour plus the delay, and which part of the way it is."""
    wanted = np.arange(hours) + delay
    before = np.floor(wanted).astype(np.int64)
    last = hours - 1
    return np.minimum(before, last), np.minimum(before + 1, last), wanted - before
