"""The worker process: the only place where exact counts exist. Reads one job, writes one answer, ends."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import ibis
import pyarrow as pa
from ibis.backends.duckdb import Backend

from node.config import Home
from node.engine import connect, hash_key
from node.enrolment import Agreement, load, secret_of
from node.jobs import JOB, Answer, BuildJob, ReleaseJob
from node.presence.build import presence
from node.sources.events import (
    INTEGERS,
    Day,
    accepted,
    check_parquet,
    counts,
    events_path,
    gate,
    judged,
    read_cells,
)
from node.statistics.levels import by_level
from node.statistics.registry import Inputs, exact_vector, presence_code
from privacy.errors import (
    DataProblem,
    DataUnavailable,
    PrivacyProblem,
    QuorateError,
    ResourceProblem,
    UsageProblem,
    place_of,
)
from privacy.levels import noised_levels
from privacy.terms import Terms
from quorate.contract.calendar import days_between
from quorate.contract.order import keyset_for
from quorate.contract.payload import encode

Say = Callable[[Answer], None]
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Builder:
    """Builds presence of one day after the other.

    Attributes
    ----------
    cells
        The operator's cells with their zones.
    own, home
        The node's agreement and directory.
    scratch
        Directory for spilling and for files that are not complete yet.
    """

    cells: pa.Table
    own: Agreement
    home: Home
    scratch: Path

    def build(self, day: date) -> None:
        """Build presence of a day, unless it is there and made of the same files by the same rules.

        Raises
        ------
        DataProblem
            If the day cannot be used; its counts by reason are in the quality file.
        """
        quality, target = self.home.quality / f"{day}.json", self.home.presence / f"{day}.parquet"
        built_from = self._origin(day)
        if (
            target.exists()
            and quality.exists()
            and json.loads(quality.read_text())["built_from"] == built_from
        ):
            return
        target.unlink(missing_ok=True)
        # One engine per day: its memory and its temporary tables end with it.
        with connect(self.own.config.engine, self.scratch) as db:
            events, found = self._clean(db, day)
            quality.write_text(json.dumps({"built_from": built_from, "rows": found}, indent=1))
            gate(found, self.own.config.source, day)
            self._write(self._presence(events, day), target)

    def _clean(self, db: Backend, day: date) -> tuple[ibis.Table, dict[str, int]]:
        cells = db.create_table("cells", self.cells, temp=True)
        rows = judged(db, self.own.config.source, self.home.root, self._local(day), cells)
        try:
            events = db.create_table("events", accepted(rows), temp=True)
            return events, counts(rows, int(events.count().to_pyarrow().as_py()))
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error:
            # Its text may quote data.
            raise DataProblem(
                f"the event file of {day} cannot be read to its end", todo="deliver it again"
            ) from None

    def _presence(self, events: ibis.Table, day: date) -> ibis.Table:
        key = hash_key(secret_of(self.home), f"presence|{day}")
        return presence(events, self._local(day), self.own.charter.presence.max_hold_minutes, key)

    def _write(self, table: ibis.Table, target: Path) -> None:
        fresh = self.scratch / target.name
        table.to_parquet(str(fresh), compression="zstd")
        fresh.chmod(0o600)
        fresh.replace(target)

    def _local(self, day: date) -> Day:
        return Day.of(day, self.own.charter.time_zone)

    def _origin(self, day: date) -> dict[str, str]:
        source = self.own.config.source
        check_parquet(events_path(source, self.home.root, day), source.columns.model_dump(), INTEGERS)
        return {
            "events": _file_digest(events_path(source, self.home.root, day)),
            "cells": _file_digest(self.home.root / source.cells),
            "source": source.model_dump_json(),
            "charter": self.own.charter_digest,
            "code": presence_code(),
        }


def build(job: BuildJob, say: Say) -> None:
    """Build presence of every day of the job that is not built from the same files and rules yet."""
    home = Home(job.home)
    own = _agreed(home, job.charter)
    home.presence.mkdir(mode=0o700, exist_ok=True)
    home.quality.mkdir(mode=0o700, exist_ok=True)
    for left in home.presence.glob(f"{tempfile.gettempprefix()}*"):
        # Of a worker that was killed: what the engine had spilled is personal data.
        shutil.rmtree(left)
    cells = read_cells(own.config.source, home.root, own.zoning.codes)
    with tempfile.TemporaryDirectory(dir=home.presence) as scratch:
        builder = Builder(cells, own, home, Path(scratch))
        for day in job.days:
            say(Answer(progress=day.isoformat()))
            builder.build(day)


def release(job: ReleaseJob) -> tuple[Answer, bytes]:
    """Return what is told of a release, with the snapshot's digest, and the noised bytes."""
    home, terms = Home(job.home), job.terms
    own = _agreed(home, job.charter)
    keyset = keyset_for(own.charter, own.zoning, terms)
    days = days_between(terms.first_day, terms.last_day)
    paths = [home.presence / f"{day}.parquet" for day in days]
    for path in paths:
        if not path.exists():
            raise DataUnavailable(f"presence of {path.stem} is not built", todo="run quorate-node ingest")
    with (
        tempfile.TemporaryDirectory(dir=home.presence) as scratch,
        connect(own.config.engine, Path(scratch)) as db,
    ):
        inputs = Inputs(db, paths, len(own.zoning.zones), own.charter.time_zone, _home_key(home, terms))
        exact = exact_vector(terms, inputs)
    if keyset.digest() != terms.keyset or exact.size != (len(own.zoning.zones) + 1) * keyset.hours:
        raise PrivacyProblem("the statistic does not have the cells that its bounds are for")
    snapshot = hashlib.sha256("".join(_file_digest(path) for path in paths).encode()).hexdigest()
    values, samplers = noised_levels(by_level(exact, own.zoning, keyset), terms)
    return Answer(snapshot=snapshot, samplers=samplers), encode(values)


def _agreed(home: Home, charter: str) -> Agreement:
    """Return what this node decides by, if it is still what the daemon agreed to when it gave the job."""
    own = load(home)
    if own.charter_digest != charter:
        raise UsageProblem(
            "the node was enrolled again while its daemon runs",
            means="the daemon works under another charter; nothing was computed",
            todo="start the daemon again",
        )
    return own


def _home_key(home: Home, terms: Terms) -> int:
    return hash_key(secret_of(home), f"{terms.statistic}|{terms.first_day}|{terms.last_day}")


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _failure(error: BaseException) -> Answer:
    """Describe an error; of an unexpected one only its type and place, because its text may quote data."""
    if isinstance(error, QuorateError):
        return Answer(error=(type(error).__name__, error.what, error.means, error.todo))
    if isinstance(error, duckdb.OutOfMemoryException | MemoryError):
        return Answer(
            error=(
                ResourceProblem.__name__,
                "the memory limit is too small for this day or statistic",
                "nothing was charged or sent",
                "raise memory_limit in node.toml",
            )
        )
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        what = f"{place}{error.strerror or type(error).__name__}"
        return Answer(
            error=(
                ResourceProblem.__name__,
                what,
                "nothing was charged or sent",
                "check the disk and permissions",
            )
        )
    todo = "report it; the text of the error is kept back because it may quote data"
    what = f"the worker process failed with {place_of(error)}"
    return Answer(error=("QuorateError", what, "nothing was charged or sent", todo))


def _die_with_parent() -> None:
    """Have the kernel kill this process when its daemon ends, however it ends (Linux; prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Read a job from standard input and answer on standard output."""
    _die_with_parent()
    os.umask(0o077)
    # What libraries print must not mix with the answer, and may quote data: it goes nowhere.
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def say(line: Answer) -> None:
        answer.write(line.model_dump_json().encode() + b"\n")
        answer.flush()

    try:
        job = JOB.validate_json(sys.stdin.buffer.read())
        if isinstance(job, BuildJob):
            build(job, say)
            say(Answer())
        else:
            told, data = release(job)
            say(told.model_copy(update={"length": len(data)}))
            answer.write(data)
            answer.flush()
    except Exception as error:  # noqa: BLE001 - the last place where a type can be told without its text
        say(_failure(error))


if __name__ == "__main__":
    main()
