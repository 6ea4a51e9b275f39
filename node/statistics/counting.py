"""Counting into public cells: rows by cell, bins, and at most L cells of one subscriber."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import ibis
import numpy as np
import pyarrow as pa
from ibis.expr.types import IntegerValue, Table
from numpy.typing import NDArray

from node.engine import keyed_hash
from node.tables import COUNT, SUBSCRIBER
from privacy.errors import PrivacyProblem

#: Column of a cell's place in its level.
PLACE = "place"


def counted(rows: Table, keys: Sequence[str], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return how many rows there are of each combination of keys.

    Parameters
    ----------
    rows
        With int64 columns of the names `keys`, each from 0 to below the length of its axis.
    keys, shape
        Axes of the result and their lengths.

    Returns
    -------
    ndarray
        int64 of shape `shape`.

    Raises
    ------
    PrivacyProblem
        If a key is outside the public cells.
    """
    found = rows.group_by(list(keys)).aggregate(**{COUNT: rows.count()}).to_pyarrow()
    return scattered(found, keys, COUNT, shape)


def scattered(found: pa.Table, keys: Sequence[str], values: str, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the values of a small table in the cells that its keys name, int64 of shape `shape`."""
    places = [found[key].to_numpy() for key in keys]
    for place, length in zip(places, shape, strict=True):
        if place.size and not 0 <= place.min() <= place.max() < length:
            raise unknown_zone()
    cells = np.zeros(shape, dtype=np.int64)
    cells[tuple(places)] = found[values].to_numpy()
    return cells


def added(found: pa.Table, key: str, values: Sequence[str], length: int) -> NDArray[np.int64]:
    """Return the sums of some columns of a small table over the rows with each key.

    Parameters
    ----------
    found
        With int64 columns.
    key
        Column with numbers from 0 to below `length`.
    values
        Columns that are summed.

    Returns
    -------
    ndarray
        int64 of shape (length, values).

    Raises
    ------
    PrivacyProblem
        If a key is outside the public cells.
    """
    places = found[key].to_numpy()
    if places.size and not 0 <= places.min() <= places.max() < length:
        raise unknown_zone()
    sums = np.zeros((length, len(values)), dtype=np.int64)
    for column, name in enumerate(values):
        np.add.at(sums[:, column], places, found[name].to_numpy())
    return sums


def unknown_zone() -> PrivacyProblem:
    """Return what is raised of data in a zone that the zoning does not have."""
    return PrivacyProblem(
        "the data are in a zone that the zoning does not have",
        means="they would fill a cell that is not public",
        todo="build presence of these days again",
    )


def binned(amount: IntegerValue, edges: Sequence[int]) -> IntegerValue:
    """Return the bin of a number that is not negative; edges are those where bins begin, the first is 0."""
    none = ibis.literal(0, "int64")
    return reduce(lambda place, edge: place + ibis.ifelse(amount >= edge, 1, 0), edges[1:], none)


def distinct_cells(rows: Table, cell: IntegerValue) -> Table:
    """Return (subscriber, place): each cell of a subscriber once."""
    cells = rows.select(SUBSCRIBER, **{PLACE: cell})
    return cells.group_by([SUBSCRIBER, PLACE]).aggregate(**{COUNT: cells.count()}).drop(COUNT)


def limited(cells: Table, limit: int, key: int) -> Table:
    """Return at most `limit` cells of each subscriber: those with the smallest keyed hashes, then places.

    What is kept of a subscriber depends on this subscriber's own cells and the key alone. The same choice as
    `privacy.truncation.kept`; bounding contributions by sampling is that of Wilson et al. 2020, "Differentially
    private SQL with bounded user contribution".

    Parameters
    ----------
    cells
        (subscriber, place), no pair twice.
    limit
        L.
    key
        Of `privacy.truncation.sampling_key`.
    """
    drawn = cells.mutate(drawn=keyed_hash(cells[SUBSCRIBER], cells[PLACE], key))
    # Two keys on purpose: DuckDB 2.0 turns one-key row numbers below L into a form that runs out of memory.
    rank = ibis.row_number().over(ibis.window(group_by=SUBSCRIBER, order_by=[drawn.drawn, drawn[PLACE]]))
    ranked = drawn.mutate(rank=rank)
    return ranked.filter(ranked["rank"] < limit).select(SUBSCRIBER, PLACE)


def subscribers(rows: Table) -> int:
    """Return the number of different subscribers."""
    return int(rows.select(SUBSCRIBER).distinct().count().to_pyarrow().as_py())
