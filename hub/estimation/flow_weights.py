"""How many persons a subscriber who travels stands for, by origin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation import presence
from hub.estimation.od_table import Known

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
_ONE_WEIGHT = "Presence is not known: one weight of the country stands in for that of each origin."


@dataclass(frozen=True)
class Weights:
    """Persons for each subscriber, by origin.

    Attributes
    ----------
    value, error
        Weights, above zero, and the variance of each as a part of its square; float64 of shape (zones + 1,), that of
        `elsewhere` last.
    present
        Subscribers who are about there, shape (zones,): what flows from a zone are about proportional to.
    imputed
        Zones in which the count of subscribers is within its noise, shape (zones,).
    scope
        What was assumed.
    """

    value: Values
    error: Values
    present: Values
    imputed: Mask
    scope: tuple[str, ...] = ()


def by_presence(persons: Known, subscribers: Values, noise: Values) -> Weights:
    """Return weights from the persons who were in each zone on the day.

    Parameters
    ----------
    persons
        With a phone, in each zone on the day (or at its busiest hour), shape (zones,).
    subscribers, noise
        Noisy count of the same operators' subscribers on the same concept, and the variance of its noise, shape
        (zones,).

    Raises
    ------
    ValueError
        If no zone stands out of its noise.
    """
    found = presence.weights(persons.persons, subscribers, noise, np.inf)
    if not found.value.any():
        raise ValueError("subscribers who are present cannot be told from noise in any zone")
    known = persons.persons > 0
    square = np.where(known, persons.persons, 1.0) ** 2
    error = found.sd**2 + np.where(known, persons.variance / square, 0.0)
    middle = float(persons.persons.sum()) / float(subscribers.sum())
    # Elsewhere has no presence: its weight is one like those of zones.
    further = float(np.average((found.value / middle - 1.0) ** 2, weights=persons.persons))
    return Weights(
        np.append(found.value, middle),
        np.append(error, further),
        persons.persons / found.value,
        subscribers <= presence.GATE * np.sqrt(noise),
    )


def nationally(
    persons: tuple[float, float], subscribers: tuple[float, float], zones: Values, spread: float
) -> Weights:
    """Return one weight of the country for all origins.

    Parameters
    ----------
    persons, subscribers
        In the country, each with its variance; both above zero.
    zones
        To which flows from a zone are about proportional (residents), shape (zones,).
    spread
        Standard deviation of weights between zones, as a part: what one weight for all does not know; declared.

    Raises
    ------
    ValueError
        If there are no persons or no subscribers.
    """
    (people, of_people), (counted, of_counted) = persons, subscribers
    if people <= 0 or counted <= 0:
        raise ValueError("a weight needs persons and subscribers")
    error = of_people / people**2 + of_counted / counted**2 + spread**2
    size = zones.size + 1
    return Weights(
        np.full(size, people / counted),
        np.full(size, error),
        zones * (counted / max(float(zones.sum()), 1.0)),
        np.zeros(zones.size, dtype=np.bool_),
        (_ONE_WEIGHT,),
    )
