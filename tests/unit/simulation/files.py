"""What tests of the simulated country share: its settings, and how its files are read."""

from __future__ import annotations

import csv
import hashlib
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from deploy.demo.simulation import Settings

WEEK = Settings(scale=1.0)
BRUSSELS = ZoneInfo("Europe/Brussels")
OWNERSHIP = [0.10, 0.70, 0.98, 0.98, 0.95, 0.85, 0.55]
MINUTE = 60_000
HOUR = 60 * MINUTE
Table = dict[str, NDArray[np.float64]]


def digests(out: Path) -> dict[str, str]:
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def events(path: Path) -> Table:
    """A day of an operator as floats, nulls as NaN; identifiers are compared elsewhere, exactly."""
    table = pq.read_table(path)
    return {name: table[name].to_numpy().astype(np.float64) for name in ("timestamp_ms", "cell_id")}


def binomial(hits: int, trials: int, share: float) -> None:
    """Fail if a count is more than five standard deviations away from what it should be."""
    assert abs(hits - trials * share) <= 5 * (trials * share * (1 - share)) ** 0.5 + 1e-9


def epoch(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000
