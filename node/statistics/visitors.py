"""Visitors: how many inbound roamers of each country spent the night in each zone.

An inbound roamer has an origin, the mobile country code of its home network. The night zone is the one with
most dominant hours among the declared night hours of one local date; a roamer seen on the date without a
night zone is `unanchored`. Mobile country codes that the parameters do not name are `other`. Own
subscribers do not count.
Bounds: one cell of at most 1; a roamer with contradictory origins has the smallest one.
Reference: Ahas, Aasa, Roose, Mark and Silm 2008, "Evaluating passive mobile positioning data for tourism
surveys: an Estonian case study", Tourism Management 29(3), 469-486.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from node.statistics import parameters
from node.statistics.anchors import anchored
from node.statistics.asking import Asked
from node.statistics.golden import Golden
from node.tables import COUNT, ORIGIN, ZONE
from quorate.contract.columns import Countries


class Parameters(parameters.Parameters):
    """What the charter fixes.

    Attributes
    ----------
    night_hours
        Clock hours that count as night.
    countries
        Mobile country codes of each country that has a column of its own.
    """

    night_hours: parameters.ClockHours
    countries: Countries


def at_zones(asked: Asked[Parameters]) -> NDArray[np.int64]:
    """Return the exact counts of zones, int64 of shape ((zones + 1)·(countries + 1),): zones by countries."""
    presence = asked.inputs.presence[0]
    roaming = presence.filter(presence[ORIGIN] > 0)
    night, key = asked.elapsed(asked.parameters.night_hours), asked.inputs.key
    found = anchored(roaming, night, key, asked.zones, **{ORIGIN: roaming[ORIGIN].min()})
    table = found.group_by([ZONE, ORIGIN]).aggregate(**{COUNT: found.count()}).to_pyarrow()
    counts = np.zeros((asked.zones + 1, len(asked.parameters.countries) + 1), dtype=np.int64)
    columns = [_column(int(origin), asked.parameters.countries) for origin in table[ORIGIN].to_pylist()]
    np.add.at(counts, (table[ZONE].to_numpy(), columns), table[COUNT].to_numpy())
    return counts.reshape(-1)


def _column(origin: int, countries: Countries) -> int:
    found = [place for place, codes in enumerate(countries.values()) if origin in codes]
    return found[0] if found else len(countries)


GOLDEN = Golden(
    parameters={"night_hours": [0, 1, 2, 3, 4, 5], "countries": {"DE": [262]}},
    vector={"zone": [[0, 0], [1, 0], [0, 0], [0, 1]], "district": [[1, 0], [0, 1]]},
    words="The German spends the night in B; the French visitor, of a country without a column, is unanchored.",
)
