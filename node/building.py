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

from ibis.backends.duckdb import Backend

from node.config import Home
from node.engine import connect, read_one
from node.enrolment import Agreement, secret_of
from node.making import Made, Maker
from node.presence.hold import Hold
from node.sources.cleaning import Cleaner
from node.sources.gate import drift, passed
from node.sources.quality import indicators
from node.sources.reading import Place
from node.statistics.registry import presence_code
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
    maker
        Makes days in scratch.
    """

    own: Agreement
    home: Home
    maker: Maker

    def build(self, day: date) -> list[str]:
        """Build a day, unless it is there and made of the same data by the same rules; return warnings.

        Raises
        ------
        DataProblem
            If the day cannot be used; its figures are in the quality file.
        """
        record, origin = self._record(day), self.origin(day)
        places = [self.home.visits, self.home.presence, self.home.rejected]
        places += [self.home.persons] if self.own.config.source.columns.national_id else []
        targets = [directory / f"{day}.parquet" for directory in places]
        before = stored(record)
        there = all(path.exists() for path in targets)
        if there and before and before["built"] and before["built_from"] == origin:
            return list(before["warnings"])
        for path in (*targets, self.home.persons / f"{day}.parquet"):
            path.unlink(missing_ok=True)
        with self.maker.made(day, rejected=self.own.config.source.quarantine) as (db, made):
            quality = self._quality(db, made, day) | {"built_from": origin, "built": False}
            self._quarantine(made, day)
            write_json(record, quality)
            if quality["blocked"]:
                what, means, todo = quality["blocked"]
                raise DataProblem(what, means=means, todo=todo)
            fresh = [made.visits, made.presence, made.rejecting, *([made.persons] if made.persons else [])]
            for path, target in zip(fresh, targets, strict=True):
                publish(path, target)
            write_json(record, quality | {"built": True})
        return list(quality["warnings"])

    def profile(self, day: date) -> dict[str, Any]:
        """Return the quality of a day, as it was built or as it is made now and thrown away; errors as of `build`."""
        known = stored(self._record(day))
        if known is not None and known["built_from"] == self.origin(day):
            return known
        with self.maker.made(day, rejected=False) as (db, made):
            return self._quality(db, made, day)

    def origin(self, day: date) -> dict[str, str]:
        """Return digests of all that presence of a day depends on."""
        cleaner = self.maker.cleaner
        return {**cleaner.origin(day), "charter": self.own.charter_digest, "code": presence_code()}

    def _record(self, day: date) -> Path:
        return self.home.quality / f"{day}.json"

    def _quality(self, db: Backend, made: Made, day: date) -> dict[str, Any]:
        """Return rows by reason, indicators, control limits, and what the gate says."""
        found: dict[str, Any] = {"rows": made.found, "warnings": [], "blocked": None}
        found["indicators"] = indicators(read_one(db, made.presence), made.when, made.cells, made.found)
        found["drift"] = drift(found["indicators"], self.home.quality, day)
        try:
            found["warnings"] = passed(found, self.own.config.source.gate, day)
        except DataProblem as error:
            found["blocked"] = (error.what, error.means, error.todo)
        return found

    def _quarantine(self, made: Made, day: date) -> None:
        """Keep the rejected rows of a day, or remove those of an earlier delivery."""
        directory = self.home.quality / "quarantine"
        if made.rejected is None:
            (directory / f"{day}.parquet").unlink(missing_ok=True)
            return
        directory.mkdir(mode=0o700, exist_ok=True)
        publish(made.rejected, directory / f"{day}.parquet")


def builder_of(home: Home, own: Agreement, scratch: Path) -> Builder:
    """Return what builds the days of a node; reads the cell register (DataProblem)."""
    cleaner, engine = cleaner_of(home, own, scratch), own.config.engine
    with connect(engine, scratch) as db:
        versions = cleaner.register(db, own.zoning.codes)
    rules = own.charter.presence
    hold = Hold(rules.max_hold_minutes, rules.max_hold_back_minutes)
    return Builder(own, home, Maker(cleaner, versions, engine, hold, secret_of(home), scratch))


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
