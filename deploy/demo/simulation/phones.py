"""Gives persons phones: who owns one, at which operator, who has a second one, and the identifiers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deploy.demo.country import Country
from deploy.demo.simulation.persons import Persons
from deploy.demo.simulation.settings import Settings
from deploy.demo.simulation.streams import Purpose, Rows, stream, unique_ids

# Share of persons with a phone by age band, in the order of AGE_BANDS.
OWNERSHIP = (0.10, 0.70, 0.98, 0.98, 0.95, 0.85, 0.55)
SHARE_SD_DISTRICT = 0.20
SHARE_SD_ZONE = 0.15
SECOND_SUBSCRIPTION = 0.12
SECOND_AT_ANOTHER_OPERATOR = 0.8
# Activity of subscriptions: a gamma distribution of mean 1.
ACTIVITY_SHAPE = 3.0
NO_OPERATOR = -1
ID_BOUND = 2**63


@dataclass(frozen=True, eq=False)
class Phones:
    """Who has which subscriptions.

    Attributes
    ----------
    first
        Operator index of the first subscription, `NO_OPERATOR` for who owns no phone, int8[person].
    second
        Operator index of the second subscription, `NO_OPERATOR` if there is none, int8[person].
    national_id
        63-bit random identifier, distinct, int64[person].
    """

    first: NDArray[np.int8]
    second: NDArray[np.int8]
    national_id: NDArray[np.int64]

    @property
    def owners(self) -> int:
        """Number of persons with a phone."""
        return int(np.count_nonzero(self.first != NO_OPERATOR))


@dataclass(frozen=True, eq=False)
class Subscriptions:
    """The subscriptions of one operator, by subscriber_id ascending.

    Attributes
    ----------
    person
        Index of the person who holds it, int32[subscription].
    subscriber_id
        63-bit random identifier, distinct within the operator, int64[subscription].
    activity
        Factor on the mean number of events, float64[subscription], mean 1.
    """

    person: NDArray[np.int32]
    subscriber_id: NDArray[np.int64]
    activity: NDArray[np.float64]

    @classmethod
    def of(
        cls, person: NDArray[np.int32], ids: NDArray[np.int64], activity: NDArray[np.float64]
    ) -> Subscriptions:
        """Put subscriptions in order; all arrays are [subscription]."""
        order = np.argsort(ids)
        return cls(person[order], ids[order], activity[order])

    @property
    def size(self) -> int:
        """Number of subscriptions."""
        return int(self.person.size)


def national_shares(operators: int) -> NDArray[np.float64]:
    """Market shares of k operators, float64[operator], descending.

    Operator i = 0 … k−1 weighs 1 − (3/8)·i(i+1)/(k(k−1)): the last has 5/8 of the first, and three operators
    have exactly 40, 35 and 25 %.
    """
    index = np.arange(operators)
    weights = 1 - 3 / 8 * index * (index + 1) / max(operators * (operators - 1), 1)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def draw_shares(country: Country, settings: Settings) -> NDArray[np.float64]:
    """Draw the market shares of each zone, float64[zone, operator], rows of sum 1.

    National shares × exp(N(0, `SHARE_SD_DISTRICT`²) by district + N(0, `SHARE_SD_ZONE`²) by zone).
    """
    rng = stream(settings.seed, Purpose.SHARES)
    by_district = rng.normal(0.0, SHARE_SD_DISTRICT, (len(country.district_codes), settings.operators))
    by_zone = rng.normal(0.0, SHARE_SD_ZONE, (len(country.zone_codes), settings.operators))
    raw = national_shares(settings.operators) * np.exp(by_district[country.district_index] + by_zone)
    return np.asarray(raw / raw.sum(axis=1, keepdims=True), dtype=np.float64)


def draw_phones(
    persons: Persons,
    shares: NDArray[np.float64],
    settings: Settings,
    second: NDArray[np.float64] | float = SECOND_SUBSCRIPTION,
) -> Phones:
    """Draw owners and the operators of their subscriptions.

    Parameters
    ----------
    persons, settings
        Of the simulation.
    shares
        Of each operator, float64[zone, operator].
    second
        Part of the phone owners who have a second one, for all zones or float64[zone].
    """
    owns = stream(settings.seed, Purpose.PHONES).random(persons.size) < np.array(OWNERSHIP)[persons.age]
    owner = np.flatnonzero(owns)
    home = persons.home[owner].astype(np.int64)
    rng = stream(settings.seed, Purpose.SUBSCRIPTIONS)
    at_first = np.full(persons.size, NO_OPERATOR, dtype=np.int8)
    at_second = at_first.copy()
    at_first[owner] = _draw_operators(rng, shares, home)
    has_second = rng.random(owner.size) < np.broadcast_to(second, shares.shape[0])[home]
    elsewhere = rng.random(owner.size) < SECOND_AT_ANOTHER_OPERATOR
    same = owner[has_second]
    at_second[same] = at_first[same]
    if settings.operators > 1:
        other = has_second & elsewhere
        at_second[owner[other]] = _draw_others(rng, shares, home[other], at_first[owner[other]])
    ids = unique_ids(stream(settings.seed, Purpose.NATIONAL_IDS), persons.size, ID_BOUND)
    return Phones(at_first, at_second, ids)


def _draw_operators(
    rng: np.random.Generator, shares: NDArray[np.float64], zone: NDArray[np.int64]
) -> NDArray[np.int8]:
    zones, operators = shares.shape
    rows = Rows(shares.ravel(), np.full(zones, operators, dtype=np.int64))
    return (rows.draw(rng, zone) - rows.starts[zone]).astype(np.int8)


def _draw_others(
    rng: np.random.Generator,
    shares: NDArray[np.float64],
    zone: NDArray[np.int64],
    first: NDArray[np.int8],
) -> NDArray[np.int8]:
    """Draw an operator other than `first`, by the shares of the others in the zone, int8[person]."""
    zones, operators = shares.shape
    others = shares[:, None, :] * (1 - np.eye(operators))
    return _draw_operators(rng, others.reshape(zones * operators, operators), zone * operators + first)


def draw_subscriptions(phones: Phones, operator: int, settings: Settings) -> Subscriptions:
    """List one operator's subscriptions under random identifiers; a person can be there twice."""
    person, _second = holders(phones, operator)
    ids = unique_ids(stream(settings.seed, Purpose.SUBSCRIBER_IDS, operator), person.size, ID_BOUND)
    activity = draw_activity(stream(settings.seed, Purpose.ACTIVITY, operator), person.size)
    # Activities are drawn for subscriptions in their order.
    found = Subscriptions.of(person, ids, activity)
    return replace(found, activity=activity)


def holders(phones: Phones, operator: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return who holds each subscription of an operator, and whether it is the second (1) or the first (0)."""
    found = [np.flatnonzero(which == operator) for which in (phones.first, phones.second)]
    return np.concatenate(found).astype(np.int32), np.repeat([0, 1], [part.size for part in found])


def draw_activity(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Draw the activity of subscriptions, float64[size]."""
    return rng.gamma(ACTIVITY_SHAPE, 1 / ACTIVITY_SHAPE, size)
