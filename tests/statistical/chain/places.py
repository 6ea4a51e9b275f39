"""The districts of a country as zones: a zoning, and the operators' data of one day in it."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from deploy.demo.agreement import zoning_of
from deploy.demo.country import Country
from deploy.demo.simulation import Settings, Simulation, files
from deploy.demo.simulation.result import Layout
from quorate.contract.zoning import ZONE, Zone, Zoning


def districts_of(country: Country) -> Zoning:
    """Return the zoning whose zones are the districts of a country; a centre is that of one of its zones."""
    fine = zoning_of(country)
    zones = [
        Zone(
            code=code,
            parents={"region": fine.zones[members[0]].parents["region"]},
            centre_e6=fine.zones[members[0]].centre_e6,
        )
        for code, members in fine.members("district").items()
    ]
    return Zoning(name=f"{country.name}, districts", version="1", levels=(ZONE, "region"), zones=tuple(zones))


def in_districts(
    country: Country, events: Layout, later: Simulation, settings: Settings, out: Path
) -> Simulation:
    """Give the operators cells in districts, and the register of the second date; the events stay as they are.

    Parameters
    ----------
    country
        Of both.
    events
        Where the operators' data are.
    later
        The second date.
    settings
        With the days that are wanted.
    out
        New directory.
    """
    found, district = Layout(out), dict(zip(country.zone_codes, country.district, strict=True))
    for operator in settings.operator_ids:
        target = found.cells(operator)
        target.parent.mkdir(parents=True)
        cells = pq.read_table(events.cells(operator))
        merged = pa.array([district[zone] for zone in cells["zone"].to_pylist()], pa.string())
        pq.write_table(cells.set_column(cells.schema.get_field_index("zone"), "zone", merged), target)
        for day in settings.local_days:
            path = found.events(operator, day.date)
            path.parent.mkdir(exist_ok=True)
            path.hardlink_to(events.events(operator, day.date))
    _write_register(found.register, later.register, district)
    return Simulation.of(found, settings, later.counts)


def _write_register(out: Path, register: Path, district: dict[str, str]) -> None:
    sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    with register.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for place, column in enumerate(("population", "phone_owners")):
                sums[district[row["zone"]]][place] += float(row[column])
    rows = ((code, f"{persons:.0f}", f"{owners:.3f}") for code, (persons, owners) in sorted(sums.items()))
    files.write_csv(out, ("zone", "population", "phone_owners"), rows)
