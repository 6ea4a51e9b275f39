"""A made-up operator for the node's benchmark: 2 M subscribers, 5,000 cells, 500 zones, any number of events."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from node.sources.daycells import BORDER, cells_of
from node.sources.events import Day
from node.sources.register import METRES_OF_LAT, METRES_OF_LON, Version

Integers = NDArray[np.int64]

SUBSCRIBERS = 2_000_000
CELLS, COLUMNS, SPACING_M = 5_000, 100, 3_000
ZONES = 500
DAY = Day.of(date(2026, 10, 21), "Europe/Brussels")
HOME_MCC = 206
#: Countries of the inbound roamers, three in a hundred subscribers.
FOREIGN_MCC = (204, 208, 234, 262, 270)
#: Share of the day's events in each hour, unscaled.
CLOCK = (2, 1, 1, 1, 1, 2, 4, 7, 9, 9, 9, 9, 10, 9, 9, 9, 10, 11, 10, 9, 8, 7, 5, 3)
SLICES_PER_HOUR = 8
#: Which files this module writes; part of their names, so that files of an older version are not reused.
VERSION = 2


@dataclass(frozen=True)
class World:
    """Files of one day.

    Attributes
    ----------
    events
        Parquet (subscriber_id, timestamp_ms, cell_id), ordered by time.
    cells
        Parquet, columns as of `cells`.
    rows
        Number of events asked for; the file has about 1 in 500 more, which are repeated.
    """

    events: Path
    cells: Path
    rows: int


def world(root: Path, rows: int, seed: int = 1) -> World:
    """Return a day's files, made if they are not there yet; the same numbers give the same files."""
    root.mkdir(parents=True, exist_ok=True)
    name = f"events-{rows}-{seed}-v{VERSION}-{DAY.local}.parquet"
    found = World(root / name, root / f"cells-v{VERSION}.parquet", rows)
    if not found.cells.exists():
        pq.write_table(cells(), found.cells)
    if not found.events.exists():
        part = found.events.with_suffix(".part")
        with pq.ParquetWriter(part, _SCHEMA, compression="zstd") as writer:
            for table in _slices(rows, seed):
                writer.write_table(table)
        part.replace(found.events)
    return found


_SCHEMA = pa.schema([(name, pa.int64()) for name in ("subscriber_id", "timestamp_ms", "cell_id")])


def versions() -> list[Version]:
    """Return the register: cells on a grid, zones of five by two cells."""
    cell = np.arange(CELLS)
    column, row = cell % COLUMNS, cell // COLUMNS
    zone = row // 2 * (COLUMNS // 5) + column // 5
    lon = 4 + column * (SPACING_M / METRES_OF_LON / math.cos(math.radians(51)))
    lat = 50 + row * (SPACING_M / METRES_OF_LAT)
    columns = (cell, _cell_id(cell), zone, lon, lat)
    return [
        Version(number + 1, (str(code),), where, x, y, None, None, date.min, date.max, ())
        for number, code, where, x, y in zip(*(values.tolist() for values in columns), strict=True)
    ]


def cells() -> pa.Table:
    """Return the register: cell_id, code of the zone, lon, lat; and as the door joins it: cell, zone, x_m, y_m."""
    register = versions()
    found = cells_of(register, DAY.local).table
    found = found.rename_columns({"key_0": "cell_id"}).drop_columns([BORDER])
    more = {
        "code": [f"Z{one.zone:03d}" for one in register],
        "lon": [one.lon for one in register],
        "lat": [one.lat for one in register],
    }
    for name, values in more.items():
        found = found.append_column(name, [values])
    return found


def _cell_id(cell: Integers) -> Integers:
    return np.asarray(cell * 256 + 20_601_001, dtype=np.int64)


def _slices(rows: int, seed: int) -> Iterator[pa.Table]:
    shares = np.repeat(np.array(CLOCK, dtype=float), SLICES_PER_HOUR)
    edges = np.round(np.concatenate([[0.0], np.cumsum(shares / shares.sum())]) * rows).astype(np.int64)
    length = (DAY.end_us - DAY.start_us) // 1000 // shares.size
    for place, count in enumerate(np.diff(edges).tolist()):
        random = np.random.default_rng((seed, place))
        time = np.sort(random.integers(0, length, count)) + place * length
        subscriber = random.integers(0, SUBSCRIBERS, count)
        cell = _cell(subscriber, time // 3_600_000, random)
        code = np.where(random.random(count) < 0.001, 7, _cell_id(cell))
        instant = DAY.start_us // 1000 + time
        instant[random.random(count) < 0.001] -= 10 * 86_400_000
        again = np.sort(np.concatenate([np.arange(count), random.integers(0, count, count // 500)]))
        columns = (_imsi(subscriber)[again], instant[again], code[again])
        yield pa.table(dict(zip(_SCHEMA.names, columns, strict=True)), schema=_SCHEMA)


def _imsi(subscriber: Integers) -> Integers:
    """Return 15 digits: country, then a network and number that no two subscribers of a country share."""
    foreign = np.array((*FOREIGN_MCC, *[HOME_MCC] * (33 * len(FOREIGN_MCC) - len(FOREIGN_MCC))))
    country = foreign[_mixed(subscriber, 9) % foreign.size]
    return country * 10**12 + subscriber * 495_003 % 10**12


def _cell(subscriber: Integers, hour: Integers, random: np.random.Generator) -> Integers:
    """Return where events happen: at home, at work, sometimes elsewhere, next door, or by a glitch anywhere."""
    home = _mixed(subscriber, 1) % CELLS
    work = _near(home, subscriber, 2, 8)
    working = (hour >= 8) & (hour < 17) & (_mixed(subscriber, 3) % 10 < 6)
    trip = _mixed(subscriber * 32 + hour, 4) % 100 < 12
    place = np.where(trip, _near(home, subscriber * 32 + hour, 5, 12), np.where(working, work, home))
    place = np.where(
        random.random(place.size) < 0.1, _near(place, random.integers(0, 2**40, place.size), 6, 1), place
    )
    return np.where(random.random(place.size) < 0.002, random.integers(0, CELLS, place.size), place)


def _near(cell: Integers, item: Integers, salt: int, reach: int) -> Integers:
    word, span = _mixed(item, salt), 2 * reach + 1
    column = np.clip(cell % COLUMNS + word % span - reach, 0, COLUMNS - 1)
    row = np.clip(cell // COLUMNS + word // span % span - reach, 0, CELLS // COLUMNS - 1)
    return np.asarray(row * COLUMNS + column, dtype=np.int64)


def _mixed(item: Integers, salt: int) -> Integers:
    """Return 40 well mixed bits of an item (the finaliser of splitmix64)."""
    word = item.astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (word >> np.uint64(24)).astype(np.int64)
