"""What a statistic is given: the tables of its days, the zoning, and the parameters of its product."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Generic

import ibis
import numpy as np
import pyarrow as pa
from ibis.expr.types import Table
from numpy.typing import NDArray

from node.statistics.parameters import P
from node.tables import ORIGIN, ZONE, X, Y
from privacy.errors import UsageProblem
from quorate.contract.calendar import clock_hours, hours_of
from quorate.contract.keyset import Keyset
from quorate.contract.zoning import Zoning

#: Farthest coordinate in metres: squares of distances stay so small that their roots are exact to the metre.
FARTHEST_M = 10**7


@dataclass(frozen=True)
class Files:
    """Where the tables are as Parquet files, one per local day of the terms, in order.

    Attributes
    ----------
    presence, visits
        Of the C-layer. Statistics that do not need visits accept none.
    """

    presence: Sequence[Path]
    visits: Sequence[Path] = ()


@dataclass(frozen=True)
class Inputs:
    """What a statistic reads.

    Attributes
    ----------
    presence, visits
        Tables of the C-layer, one per local day of the terms, in order; all of one engine. Statistics that do not
        need visits accept none.
    zoning, time_zone
        The charter's.
    key
        31-bit key of the tie-breaking hash.
    sampling_key
        31-bit key of the hash that chooses the cells of a subscriber who has more than the limit
        (`privacy.truncation.sampling_key`).
    positions
        Zone, x_m and y_m of every zone, int64: metres on a local plane.
    weights
        Weight of the subscribers anchored in each zone, then of the unanchored: int64 of shape (zones + 1,).
    persons
        (subscriber, person) of each local day of the terms, in order. Statistics that do not need them accept none.
    rejected
        (subscriber,) of each local day of the terms, in order: who had a rejected row (`node.sources.rejected`).
        Statistics that do not need them accept none.
    period_key
        32 bytes, the key of the bins of a sketch; shown nowhere.
    files
        Where the same tables are, if compiled passes may read them; None for engines other than the embedded one.
    """

    presence: Sequence[Table]
    zoning: Zoning
    time_zone: str
    key: int
    sampling_key: int = 0
    visits: Sequence[Table] = ()
    positions: pa.Table | None = None
    weights: NDArray[np.int64] | None = None
    persons: Sequence[Table] = ()
    rejected: Sequence[Table] = ()
    period_key: bytes | None = field(default=None, repr=False)
    files: Files | None = None


@dataclass(frozen=True)
class Asked(Generic[P]):
    """A statistic that is asked for.

    Attributes
    ----------
    parameters
        Of the product.
    days
        Local days, in order.
    keyset
        Cells that are wanted.
    inputs
        Of these days.
    """

    parameters: P
    days: Sequence[date]
    keyset: Keyset
    inputs: Inputs

    @property
    def zones(self) -> int:
        """Number of zones, which is also the index of the special area."""
        return len(self.inputs.zoning.zones)

    @property
    def hours(self) -> int:
        """Elapsed hours of the first day."""
        return hours_of(self.days[0], self.inputs.time_zone)

    def elapsed(self, clock: Collection[int], day: date | None = None) -> list[int]:
        """Return the elapsed hours of a day (the first one) at whose start the clock shows one of some hours."""
        shown = clock_hours(day or self.days[0], self.inputs.time_zone)
        return [hour for hour, found in enumerate(shown) if found in clock]

    def own(self, day: int = 0) -> Table:
        """Return presence of own subscribers on one of the days."""
        return _own(self.inputs.presence[day])

    def own_visits(self) -> Table:
        """Return visits of own subscribers on the first day."""
        return _own(self.inputs.visits[0])

    def positions(self) -> Table:
        """Return (zone, x_m, y_m) of every zone; raises as `coordinates`."""
        x, y = self.coordinates()
        return ibis.memtable(pa.table({ZONE: np.arange(self.zones), X: x, Y: y}))

    def coordinates(self) -> NDArray[np.int64]:
        """Return x_m and y_m of every zone, int64 of shape (2, zones).

        Raises
        ------
        UsageProblem
            If there are none, or they are not exactly one of each zone within 10,000 km of the middle.
        """
        found = self.inputs.positions
        if found is None or found[ZONE].to_pylist() != list(range(self.zones)):
            raise UsageProblem(
                "the positions of the zones are not known",
                means="without them no distance can be computed",
                todo="give every zone of the zoning its centre",
            )
        coordinates = np.stack([found[X].to_numpy(), found[Y].to_numpy()])
        if coordinates.min() < -FARTHEST_M or coordinates.max() > FARTHEST_M:
            raise UsageProblem(
                f"a zone is farther than {FARTHEST_M // 1000} km from the middle of the plane",
                todo="correct the centres of the zones",
            )
        return coordinates


def _own(rows: Table) -> Table:
    return rows.filter(rows[ORIGIN] == 0)
