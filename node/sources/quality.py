"""Quality of a day: rows by reason, and indicators of its clean events.

The figures are exact, so all of them stay inside the operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from ibis.expr.types import Table
from numpy.typing import NDArray

from node.engine import small_sum
from node.sources.events import Day
from node.sources.reasons import OUT_OF_SCOPE, Reason, reason_of
from node.tables import CELL, COUNT, HOUR, ORIGIN, REASON, SUBSCRIBER, TIME
from quorate.contract.calendar import HOUR_US

_SLOT_US = 60_000_000


@dataclass(frozen=True)
class Noted:
    """When a day's clean events were, and at how many cells.

    Attributes
    ----------
    minutes
        Events of every elapsed minute of the day, int64 of shape (minutes,).
    cells
        Number of cells with an event.
    cells_by_hour
        Number of cells with an event in every elapsed hour, int64 of shape (hours,).
    """

    minutes: NDArray[np.int64]
    cells: int
    cells_by_hour: NDArray[np.int64]


def noted(events: Table, day: Day) -> Noted:
    """Return when a day's clean events were, and at how many cells.

    Parameters
    ----------
    events
        Clean events: t_us, cell.
    day
        The local day.
    """
    return Noted(_by_minute(events, day), _count(events.select(CELL).distinct()), _active_cells(events, day))


def counted(rows: Table) -> dict[Reason, int]:
    """Return the number of rows by reason; those without a row are missing."""
    table = rows.group_by(REASON).aggregate(**{COUNT: rows.count()}).to_pyarrow().to_pylist()
    return {reason_of(int(row[REASON])): int(row[COUNT]) for row in table}


def counts(rows: Mapping[Reason, int], unreadable: int) -> dict[str, int]:
    """Return the number of rows by reason, with `accepted`, `out_of_scope` and `total`.

    Parameters
    ----------
    rows
        Rows by reason, judged by all rules.
    unreadable
        Lines that were no rows.
    """
    found = {**rows, Reason.UNREADABLE_LINE: unreadable}
    return {
        "total": sum(found.values()),
        "accepted": found.pop(Reason.ACCEPTED, 0),
        "out_of_scope": sum(found.get(reason, 0) for reason in OUT_OF_SCOPE),
        **{reason.label: found.get(reason, 0) for reason in Reason if reason is not Reason.ACCEPTED},
    }


def rejected_share(found: Mapping[str, int]) -> tuple[int, int]:
    """Return rejected rows and those that they are a share of: rows that were not asked for are in neither."""
    relevant = found["total"] - found["out_of_scope"]
    return relevant - found["accepted"], relevant


def indicators(presence: Table, when: Noted, cells: int, found: Mapping[str, int]) -> dict[str, Any]:
    """Return the indicators of a day, for its quality file.

    Parameters
    ----------
    presence
        Of the day.
    when
        When its clean events were, and at how many cells.
    cells
        Number of cells that are valid on this day.
    found
        Rows by reason.
    """
    people = _activity(presence)
    rejected, relevant = rejected_share(found)
    return {
        "subscribers": int(people.size),
        "events_per_subscriber": _spread(people),
        "inbound_subscribers": _count(presence.filter(presence[ORIGIN] > 0).select(SUBSCRIBER).distinct()),
        "cells": {
            "registered": cells,
            "active": when.cells,
            "active_by_hour": when.cells_by_hour.tolist(),
        },
        "events_by_hour": [
            int(hour.sum()) for hour in np.split(when.minutes, range(60, when.minutes.size, 60))
        ],
        "longest_gap_minutes": _longest_gap(when.minutes),
        "rejected_permille": rejected * 1000 / relevant if relevant else 0.0,
        "rejected_permille_by_reason": {
            reason.label: found[reason.label] * 1000 / relevant
            for reason in Reason
            if reason and found.get(reason.label) and relevant and reason not in OUT_OF_SCOPE
        },
    }


def _activity(presence: Table) -> NDArray[np.int64]:
    """Return the number of events of every subscriber, ascending, int64 of shape (subscribers,)."""
    people = presence.group_by(SUBSCRIBER).aggregate(**{COUNT: small_sum(presence[COUNT])})
    # Only how many subscribers have how many events leaves the engine.
    spread = people.group_by(COUNT).aggregate(people=people.count()).order_by(COUNT).to_pyarrow()
    return np.repeat(spread[COUNT].to_numpy().astype(np.int64), spread["people"].to_numpy().astype(np.int64))


def _spread(amounts: NDArray[np.int64]) -> dict[str, float]:
    if not amounts.size:
        return {"mean": 0.0, "median": 0.0, "p90": 0.0, "max": 0.0}
    at = {
        name: float(amounts[int(share * (amounts.size - 1))])
        for name, share in (("median", 0.5), ("p90", 0.9))
    }
    return {"mean": float(amounts.mean()), **at, "max": float(amounts[-1])}


def _by_minute(events: Table, day: Day) -> NDArray[np.int64]:
    """Return the number of events in every elapsed minute of the day, int64 of shape (minutes,)."""
    found = np.zeros(-(-(day.end_us - day.start_us) // _SLOT_US), dtype=np.int64)
    slots = events.select(minute=(events[TIME] - day.start_us) // _SLOT_US)
    table = slots.group_by("minute").aggregate(**{COUNT: slots.count()}).to_pyarrow()
    found[table["minute"].to_numpy().astype(np.int64)] = table[COUNT].to_numpy()
    return found


def _active_cells(events: Table, day: Day) -> NDArray[np.int64]:
    """Return the number of cells with an event in every elapsed hour."""
    hours = np.zeros(-(-(day.end_us - day.start_us) // HOUR_US), dtype=np.int64)
    pairs = events.select(CELL, **{HOUR: (events[TIME] - day.start_us) // HOUR_US}).distinct()
    for row in pairs.group_by(HOUR).aggregate(**{COUNT: pairs.count()}).to_pyarrow().to_pylist():
        hours[int(row[HOUR])] = int(row[COUNT])
    return hours


def _longest_gap(minutes: NDArray[np.int64]) -> int:
    """Return the largest number of consecutive minutes without an event."""
    busy: Sequence[int] = np.flatnonzero(minutes).tolist()
    edges = [-1, *busy, minutes.size]
    return max(after - before - 1 for before, after in pairwise(edges))


def _count(table: Table) -> int:
    return int(table.count().to_pyarrow().as_py())
