"""Builds presence and visits of one day after the other: a day is whole, or it is not there.

The order of writing makes it so: old files go first, new ones are complete on the disk before they get their names,
and the quality file says last that the day is built. Whatever stops the process, the next start builds the day again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import ibis

from node.config import Home
from node.engine import connect, hash_key
from node.enrolment import Agreement, secret_of
from node.presence.build import presence, visits
from node.sources.cleaning import Cleaned, Cleaner, problem_of
from node.sources.gate import drift, passed
from node.sources.quality import indicators
from node.sources.reading import Place
from node.sources.reasons import Reason
from node.sources.register import Version
from node.statistics.registry import presence_code
from node.tables import REASON
from privacy.errors import DataProblem


def cleaner_of(home: Home, own: Agreement, scratch: Path) -> Cleaner:
    """Return what cleans the days of a node."""
    engine = own.config.engine
    place = Place(home.root, scratch, engine.threads, engine.memory_limit)
    return Cleaner(own.config.source, place, own.charter.time_zone, secret_of(home))


@dataclass(frozen=True)
class Builder:
    """Builds days.

    Attributes
    ----------
    own, home
        The node's agreement and directory.
    cleaner
        Reads and cleans.
    versions
        The cell register.
    scratch
        Directory for spilling and for files that are not complete yet.
    """

    own: Agreement
    home: Home
    cleaner: Cleaner
    versions: list[Version]
    scratch: Path

    def build(self, day: date) -> list[str]:
        """Build a day, unless it is there and made of the same data by the same rules; return warnings.

        Raises
        ------
        DataProblem
            If the day cannot be used; its figures are in the quality file.
        """
        record, origin = self.home.quality / f"{day}.json", self.origin(day)
        targets = {kind: directory / f"{day}.parquet" for kind, directory in self._directories().items()}
        before = stored(record)
        there = all(path.exists() for path in targets.values())
        if there and before and before["built"] and before["built_from"] == origin:
            return list(before["warnings"])
        for path in targets.values():
            path.unlink(missing_ok=True)
        # One engine per day: its memory and its temporary tables end with it.
        with connect(self.own.config.engine, self.scratch) as db:
            cleaned = self.cleaner.clean(db, self.versions, day)
            quality = self.quality(cleaned, day) | {"built_from": origin, "built": False}
            self._quarantine(cleaned, day)
            write_json(record, quality)
            if quality["blocked"]:
                what, means, todo = quality["blocked"]
                raise DataProblem(what, means=means, todo=todo)
            self._write(cleaned, day, targets)
            write_json(record, quality | {"built": True})
        return list(quality["warnings"])

    def _directories(self) -> dict[str, Path]:
        return {"visits": self.home.visits, "presence": self.home.presence}

    def quality(self, cleaned: Cleaned, day: date) -> dict[str, Any]:
        """Return rows by reason, indicators, control limits, and what the gate says."""
        found: dict[str, Any] = {"rows": cleaned.found, "warnings": [], "blocked": None}
        found["indicators"] = indicators(
            cleaned.events, self.cleaner.day(day), cleaned.cells.valid, cleaned.found
        )
        found["drift"] = drift(found["indicators"], self.home.quality, day)
        try:
            found["warnings"] = passed(found, self.own.config.source.gate, day)
        except DataProblem as error:
            found["blocked"] = (error.what, error.means, error.todo)
        return found

    def _write(self, cleaned: Cleaned, day: date, targets: Mapping[str, Path]) -> None:
        hold, local = self.own.charter.presence.max_hold_minutes, self.cleaner.day(day)
        key = hash_key(secret_of(self.home), f"presence|{day}")
        self._keep(visits(cleaned.events, local, hold), targets["visits"])
        self._keep(presence(cleaned.events, local, hold, key), targets["presence"])

    def _quarantine(self, cleaned: Cleaned, day: date) -> None:
        """Keep the rejected rows of a day, or remove those of an earlier delivery."""
        directory = self.home.quality / "quarantine"
        if not self.own.config.source.quarantine:
            (directory / f"{day}.parquet").unlink(missing_ok=True)
            return
        directory.mkdir(mode=0o700, exist_ok=True)
        rejected = cleaned.rows.filter(cleaned.rows[REASON] != int(Reason.ACCEPTED))
        self._keep(rejected, directory / f"{day}.parquet")

    def _keep(self, table: ibis.Table, target: Path) -> None:
        """Write a table whole: it gets its name when every byte of it is on the disk."""
        fresh = self.scratch / target.name
        try:
            table.to_parquet(str(fresh), compression="zstd")
        except duckdb.Error as error:
            raise problem_of(error, f"the day {target.stem}") from None
        fresh.chmod(0o600)
        publish(fresh, target)

    def origin(self, day: date) -> dict[str, str]:
        """Return digests of all that presence of a day depends on."""
        return {**self.cleaner.origin(day), "charter": self.own.charter_digest, "code": presence_code()}


def register_of(own: Agreement, cleaner: Cleaner) -> list[Version]:
    """Return the versions of the cell register, read by an engine of its own."""
    with connect(own.config.engine, cleaner.place.scratch) as db:
        return cleaner.register(db, own.zoning.codes)


def stored(record: Path) -> dict[str, Any] | None:
    """Return what a quality file says, None if there is none of this version."""
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "built" in found else None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file whole, for its owner alone."""
    fresh = path.with_name(f".{path.name}")
    with os.fdopen(
        os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        json.dump(content, file, indent=1)
    publish(fresh, path)


def publish(fresh: Path, target: Path) -> None:
    """Give a complete file its name: first its bytes are on the disk, then its name is."""
    _sync(fresh, os.O_RDONLY)
    fresh.replace(target)
    _sync(target.parent, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
