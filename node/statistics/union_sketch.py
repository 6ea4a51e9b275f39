"""Union sketch: persons of a period in m public bins, so that operators can tell how many persons they share.

A person is present if a subscriber of theirs is: own, seen on a day of the period, and with a national identifier
that day. Subscribers without one are in no bin, and neither are subscribers whose identifier changes within the
period: with the identifier of some days, one day less could move them to another bin. The bin of a person is that of
`privacy.sketch`, under a key of the period that the nodes know and the hub does not. A person counts once, however
many subscriptions there are. By zone, there is a sketch of each area: of a subscriber's areas at most `limit` count,
drawn by a keyed hash before subscribers are joined to persons, and a person counts once in an area. Only own
subscribers count. Bounds: one bin, which a part of the days can only empty or fill; by zone L, and 2L by day.
Reference: Alon, Gibbons, Matias and Szegedy 2002, "Tracking join and self-join sizes in limited storage", Journal of
Computer and System Sciences 64(3), 719-747 (inner products of sketches).
"""

from __future__ import annotations

from typing import Annotated, Self

import ibis
import numpy as np
from ibis.expr.types import Table
from numpy.typing import NDArray
from pydantic import Field, model_validator

from node.engine import batches
from node.statistics import parameters
from node.statistics.asking import Asked
from node.statistics.counting import PLACE, distinct_cells, limited
from node.statistics.golden import Golden
from node.statistics.levels import AREA, areas_of
from node.tables import PERSON, SUBSCRIBER, ZONE
from privacy.errors import DataUnavailable
from privacy.sketch import bins_of, require_sketch
from quorate.contract.columns import MOST_CELLS

#: Rows that are hashed and counted at a time.
BATCH_ROWS = 2**16


class Parameters(parameters.Parameters):
    """What the charter fixes.

    Attributes
    ----------
    bins
        m, the number of bins.
    by_zone
        Whether there is a sketch of each area, or one for the whole country.
    limit
        L, the most areas of one subscriber; only for sketches by zone.
    """

    bins: Annotated[int, Field(strict=True, ge=2, le=MOST_CELLS)]
    by_zone: Annotated[bool, Field(strict=True)]
    limit: parameters.Limit | None = None

    @model_validator(mode="after")
    def _limited(self) -> Self:
        if self.by_zone != (self.limit is not None):
            raise ValueError("a sketch by zone has a limit, and no other has")
        return self


def identified(asked: Asked[Parameters]) -> Table:
    """Return (subscriber, person) of the own subscribers of the period that have one person on all their days.

    What is said of a subscriber depends on that subscriber's own rows alone. With fewer of them it can only be
    that there is nobody, or somebody where there was nobody, but never another person.
    """
    days = []
    for place, persons in enumerate(asked.inputs.persons):
        own = asked.own(place).select(SUBSCRIBER).distinct()
        days.append(own.inner_join(persons.select(SUBSCRIBER, PERSON), SUBSCRIBER).select(SUBSCRIBER, PERSON))
    every = ibis.union(*days) if len(days) > 1 else days[0]
    found = every.group_by(SUBSCRIBER).aggregate(least=every[PERSON].min(), most=every[PERSON].max())
    return found.filter(found.least == found.most).select(SUBSCRIBER, **{PERSON: found.least})


def visited(asked: Asked[Parameters], level: str) -> Table:
    """Return (subscriber, place): the areas in which own subscribers were seen in the period, at most L of each."""
    areas, limit = areas_of(asked.inputs.zoning, level), asked.parameters.limit
    days = [asked.own(place).select(SUBSCRIBER, ZONE) for place in range(len(asked.days))]
    every = ibis.union(*days) if len(days) > 1 else days[0]
    rows = every.inner_join(areas, ZONE)
    known = rows.filter(rows[AREA] < len(asked.inputs.zoning.members(level)))
    return limited(distinct_cells(known, known[AREA]), limit or 1, asked.inputs.sampling_key)


def sketched(asked: Asked[Parameters], level: str) -> Table:
    """Return (person, place), each pair once: the rows of the level in which a person counts."""
    persons = identified(asked)
    if asked.parameters.by_zone:
        rows = visited(asked, level).inner_join(persons, SUBSCRIBER)
    else:
        rows = persons.mutate(**{PLACE: ibis.literal(0, "int64")})
    return rows.select(PERSON, PLACE).distinct()


def at_level(asked: Asked[Parameters], level: str) -> NDArray[np.int64]:
    """Return the exact counts of a level, int64 of shape (rows·bins,).

    Raises
    ------
    DataUnavailable
        If there is no period key.
    PrivacyProblem
        If it is none.
    """
    key, bins = asked.inputs.period_key, asked.parameters.bins
    if key is None:
        raise DataUnavailable("the node has no key of this product and period", todo="wait until it has come")
    require_sketch(key, bins)
    rows = len(asked.inputs.zoning.members(level)) if asked.parameters.by_zone else 1
    counts = np.zeros(rows * bins, np.int64)
    for batch in batches(sketched(asked, level), PERSON, BATCH_ROWS):
        # In order of person: whoever is in several areas is hashed once.
        persons, which = np.unique(batch[PERSON].to_numpy(), return_inverse=True)
        np.add.at(counts, batch[PLACE].to_numpy() * bins + bins_of(persons, key, bins)[which], 1)
    return counts


GOLDEN = Golden(
    parameters={"bins": 4, "by_zone": True, "limit": 2},
    persons={1: 1001, 2: 1001, 3: 1002, 4: 1003},
    vector={
        "zone": [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 2]],
        "district": [[0, 0, 0, 1]],
    },
    words="Subscribers 1 and 2 are one person, who was in A, B and C, and is in bin 3; subscriber 3 is another in C, "
    "whom chance puts into the same bin. Subscriber 4 roams, and does not count.",
)
