"""Writes the files of a simulation, and claims the directory that they are written to."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from deploy.demo.country import Country
from deploy.demo.simulation.cells import Cells
from deploy.demo.simulation.dirt import KINDS, Feed
from deploy.demo.simulation.phones import Phones, Subscriptions
from deploy.demo.simulation.result import Layout, Simulation
from privacy.errors import UsageProblem

MADE_BY = "deploy.demo.simulation"
# Everything that a simulation writes beside settings.json: of an earlier one, these files are removed.
WRITTEN = (
    "operators/*/events/*.parquet",
    "operators/*/cells.parquet",
    "operators/*/subscribers.parquet",
    "register.csv",
    "truth/residents.csv",
    "truth/presence.csv",
    "truth/flows.csv",
    "truth/overlap.csv",
)
EVENT_SCHEMA = pa.schema(
    [("subscriber_id", pa.int64()), ("timestamp_ms", pa.int64()), ("cell_id", pa.int64())]
)


def claim(layout: Layout) -> None:
    """Make the directory ready: new, empty, or cleared of the files of an earlier simulation.

    Raises
    ------
    UsageProblem
        There is something in it and no simulation has made it.
    """
    out = layout.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not _is_ours(layout):
        raise UsageProblem(
            f"{out} exists, is not empty and was not made by the simulation",
            means="Nothing was written.",
            todo="Give another directory, or remove this one.",
        )
    for path in [path for pattern in WRITTEN for path in out.glob(pattern)]:
        path.unlink()
    layout.truth.mkdir(parents=True, exist_ok=True)
    _write_json(layout.settings_file, {"made_by": MADE_BY, "finished": False})


def _is_ours(layout: Layout) -> bool:
    try:
        content = json.loads(layout.settings_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("made_by") == MADE_BY


def write_settings(result: Simulation, country: Country) -> None:
    """Write settings.json, the last file of a simulation."""
    counts = result.counts
    content = {
        "made_by": MADE_BY,
        "finished": True,
        "country": country.name,
        "settings": result.settings.model_dump(mode="json")
        | {"presence_day": result.presence_day.isoformat()},
        "operators": list(result.operator_ids),
        "counts": {
            "register": counts.register,
            "persons": counts.persons,
            "owners": counts.owners,
            "subscriptions": counts.subscriptions,
            "events": counts.events,
        },
        "dirt_rows": counts.dirt,
        "dirt_share": counts.dirt_share,
    }
    _write_json(result.settings_file, content)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file, UTF-8, lines ended by a line feed on every machine."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_areas(path: Path, areas: Sequence[str], periods: Sequence[str], values: NDArray[np.int64]) -> None:
    """Write ref_area,time_period,value; `values` is int64[area, period]."""
    rows = (
        (area, period, value)
        for area, row in zip(areas, values.tolist(), strict=True)
        for period, value in zip(periods, row, strict=True)
    )
    write_csv(path, ("ref_area", "time_period", "value"), rows)


def write_register(
    path: Path, country: Country, population: NDArray[np.int64], phone_owners: NDArray[np.float64]
) -> None:
    """Write the register of t₀: int64[zone] and float64[zone] with three decimals."""
    expected = [f"{value:.3f}" for value in phone_owners.tolist()]
    rows = zip(country.zone_codes, population.tolist(), expected, strict=True)
    write_csv(path, ("zone", "population", "phone_owners"), rows)


def write_cells(path: Path, cells: Cells, country: Country) -> None:
    """Write the cell register of an operator, by cell_id ascending."""
    order = np.argsort(cells.cell_id)
    columns = {
        "cell_id": cells.cell_id[order],
        "zone": pa.array([country.zone_codes[zone] for zone in cells.zone[order]], pa.string()),
        "lon": cells.lon[order],
        "lat": cells.lat[order],
    }
    _write_table(path, pa.table(columns))


def write_subscribers(path: Path, subscriptions: Subscriptions, phones: Phones) -> None:
    """Write the subscribers of an operator with their national identifiers, by subscriber_id ascending."""
    national_id = phones.national_id[subscriptions.person]
    _write_table(path, pa.table({"subscriber_id": subscriptions.subscriber_id, "national_id": national_id}))


def _write_table(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd")


def write_events(path: Path, feeds: Iterable[Feed]) -> tuple[int, NDArray[np.int64]]:
    """Write a day of an operator, one row group per feed; return rows and dirt, int64[kind]."""
    rows, dirt = 0, np.zeros(len(KINDS), dtype=np.int64)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Sorted instants are small as differences; identifiers of subscribers are random and gain from nothing.
    with pq.ParquetWriter(
        path,
        EVENT_SCHEMA,
        compression="zstd",
        use_dictionary=["cell_id"],
        column_encoding={"timestamp_ms": "DELTA_BINARY_PACKED"},
    ) as writer:
        for feed in feeds:
            writer.write_table(_event_table(feed), row_group_size=max(feed.size, 1))
            rows, dirt = rows + feed.size, dirt + feed.dirt
    return rows, dirt


def _event_table(feed: Feed) -> pa.Table:
    columns = [
        pa.array(feed.subscriber_id, pa.int64(), mask=feed.no_subscriber),
        pa.array(feed.timestamp_ms, pa.int64(), mask=feed.no_timestamp),
        pa.array(feed.cell_id, pa.int64(), mask=feed.no_cell),
    ]
    return pa.Table.from_arrays(columns, schema=EVENT_SCHEMA)
