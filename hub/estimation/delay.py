r"""Presence is seen late: an event says where a phone is until the next one, so what is seen at t is from t − A.

A is the age of the event that holds, between zero and the charter's hold. If people move independently of their
events, the presence that is seen is an average over A of the presence that was, P_seen(t) = E[P(t − A)], and to first
order

    P_seen(t) = P(t − d),    d = E[A],    so    P̂(t) = P_seen(t + d)

between two hours by linear interpolation. With events at a rate of λ and a hold H the mean age over the time in which
an event holds is d = 1/λ − H/(e^{λH} − 1); operators can measure it in their own data. Phones that make an event
whenever they move are seen at once, d = 0. It is declared, with its standard deviation: mobile data do not tell where
somebody was between two events. The spread of A blunts a peak by ½·Var(A)·P″ more, Var(A) ≤ H²/12: that is not given
back, because twice the noise would come with it, but it is in the variance.
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
        How long an event holds at most, in hours.

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
        moving=sd * (found.estimate @ _slopes(found.estimate.shape[1], delay)),
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


def _slopes(hours: int, delay: float) -> Values:
    """Return the change by hour at the same places, as of `_weights`; none beyond the last hour."""
    before, after, _part = _between(hours, delay)
    slopes = np.zeros((hours, hours))
    np.add.at(slopes, (before, np.arange(hours)), -1.0)
    np.add.at(slopes, (after, np.arange(hours)), 1.0)
    return slopes


def _between(hours: int, delay: float) -> tuple[NDArray[np.int64], NDArray[np.int64], Values]:
    """Return the hour before and after each hour plus the delay, and which part of the way it is."""
    wanted = np.arange(hours) + delay
    before = np.floor(wanted).astype(np.int64)
    last = hours - 1
    return np.minimum(before, last), np.minimum(before + 1, last), wanted - before
