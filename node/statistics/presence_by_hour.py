"""Presence by hour: how many subscribers had a zone as their dominant one in each elapsed hour of a day.

A subscriber seen on that day but without a zone in an hour counts as `unobserved` in that hour, so that each
subscriber fills exactly one cell in every hour. Only own subscribers count. Bounds: H cells of at most 1, H the
elapsed hours of the day.
Reference: Deville et al. 2014, "Dynamic population mapping using mobile phone data", PNAS 111(45), 15888-15893.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from ibis.expr.types import IntegerScalar, IntegerValue, Table
from numpy.typing import NDArray

from node.engine import small_sum
from node.statistics.asking import Asked
from node.statistics.counting import scattered, subscribers
from node.statistics.golden import Golden
from node.statistics.parameters import Parameters
from node.tables import MASK, ZONE
from privacy.errors import PrivacyProblem

__all__ = ["GOLDEN", "Parameters", "at_zones"]


def there(mask: IntegerValue, hour: int) -> IntegerValue:
    """Return 1 where the zone is dominant in an elapsed hour, otherwise 0."""
    return (mask >> hour) & 1


def at_zones(asked: Asked[Parameters]) -> NDArray[np.int64]:
    """Return the exact counts of zones, int64 of shape ((zones + 1)·hours,): zones, then `unobserved`."""
    return vector(asked.own(), asked.zones, asked.hours)


def vector(presence: Table, zones: int, hours: int) -> NDArray[np.int64]:
    """Return the exact counts, int64 of shape ((zones + 1)·hours,), of presence of own subscribers."""
    sums = by_zone(presence, {_name(hour): small_sum(there(presence[MASK], hour)) for hour in range(hours)})
    return completed(sums, zones, hours, subscribers(presence))


def by_zone(presence: Table, sums: Mapping[str, IntegerScalar]) -> pa.Table:
    """Return sums of the rows of each zone."""
    return presence.group_by(ZONE).aggregate(**sums).to_pyarrow()


def completed(sums: pa.Table, zones: int, hours: int, everybody: int) -> NDArray[np.int64]:
    """Return sums by zone and hour with what is missing to everybody as `unobserved`, int64, flat.

    Raises
    ------
    PrivacyProblem
        If more were in the zones of an hour than were seen.
    """
    counts = np.zeros((zones + 1, hours), dtype=np.int64)
    for hour in range(hours):
        counts[:zones, hour] = scattered(sums, [ZONE], _name(hour), (zones,))
    return with_unobserved(counts, everybody)


def with_unobserved(counts: NDArray[np.int64], everybody: int) -> NDArray[np.int64]:
    """Return counts of shape (zones + 1, hours) with `unobserved` filled in, flat; raises as `completed`."""
    counts[-1] = silent(np.array(everybody), counts[:-1].sum(axis=0))
    return counts.reshape(-1)


def silent(everybody: NDArray[np.int64], observed: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what is missing to everybody in each hour, int64 of shape (…, hours).

    Parameters
    ----------
    everybody
        Sum over all subscribers, int64 of shape (…).
    observed
        Sum over those who have a zone in the hour, int64 of shape (…, hours).

    Raises
    ------
    PrivacyProblem
        If more were in zones than were seen.
    """
    missing: NDArray[np.int64] = everybody[..., np.newaxis] - observed
    if (missing < 0).any():
        raise two_zones()
    return missing


def two_zones() -> PrivacyProblem:
    """Return what is raised of presence that breaks the bound of one zone in an hour."""
    return PrivacyProblem("presence has a subscriber in two zones at one hour; build it again")


def _name(hour: int) -> str:
    return f"hour_{hour}"


def _row(*runs: tuple[int, int]) -> Sequence[int]:
    return [count for count, hours in runs for _hour in range(hours)]


GOLDEN = Golden(
    vector={
        "zone": [
            _row((1, 8), (0, 10), (1, 6)),
            _row((1, 8), (2, 4), (1, 1), (2, 5), (1, 6)),
            _row((0, 12), (2, 1), (1, 1), (0, 10)),
            _row((1, 12), (0, 2), (1, 10)),
        ],
        "district": [
            _row((2, 12), (1, 1), (2, 11)),
            _row((1, 12), (0, 2), (1, 10)),
        ],
    },
    words="Subscribers 1 to 3 make a sum of 3 in every hour; 3 is unobserved but in hours 12 and 13. C is in no "
    "district, so hours in C are in none.",
)
