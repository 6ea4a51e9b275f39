"""What the operators of a release counted by zone, and their shares of the market."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hub.config import Agreement
from hub.estimation.period import Period
from hub.estimation.question import Answer, counted

Values = NDArray[np.float64]


def period_of(own: Agreement, answers: Sequence[Answer]) -> Period:
    """Return what operators counted: a row for each operator of the charter, also for those that are missing."""
    names, zones = own.charter.operators, own.register.population.size
    counts, variance = np.zeros((len(names), zones)), np.ones((len(names), zones))
    present = np.zeros(len(names), dtype=bool)
    for answer in answers:
        place, found = names.index(answer.operator), counted(own, answer)
        counts[place], variance[place] = found.zones.sum(axis=1), found.zone_variance * found.zones.shape[1]
        present[place] = True
    return Period(counts, variance, present)


def market_of(own: Agreement, period: Period) -> Values:
    """Return national market shares: those that are known, or counted, with the mean for who was not there."""
    if own.knowledge.market:
        return np.array([own.knowledge.market[name] for name in own.charter.operators])
    counts = np.maximum(period.counts.sum(axis=1), 0.0)
    usual = counts[period.present].mean() if counts[period.present].sum() > 0 else 1.0
    sizes = np.where(period.present & (counts > 0), counts, usual)
    return np.asarray(sizes / sizes.sum())
