"""The zoning of Belgium in 2011, from the register of the tests."""

from __future__ import annotations

import csv
from pathlib import Path

from quorate.contract.zoning import ZONE, Zone, Zoning

_REGISTER = Path(__file__).parent / "reference" / "belgium" / "municipalities.csv"
_PARENTS = {"district": "CD_DSTR_REFNIS", "province": "CD_PROV_REFNIS", "region": "CD_RGN_REFNIS"}


def belgium_zoning() -> Zoning:
    """Return 589 municipalities in 43 districts, 10 provinces and 3 regions; Brussels is in no province."""
    with _REGISTER.open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["CD_MUNTY_REFNIS"])
    zones = tuple(
        Zone(
            code=row["CD_MUNTY_REFNIS"],
            parents={level: row[column] for level, column in _PARENTS.items() if row[column]},
        )
        for row in rows
    )
    return Zoning(name="Belgium", version="2011", levels=(ZONE, *_PARENTS), zones=zones)
