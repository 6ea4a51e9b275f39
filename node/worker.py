"""The worker process: the only place where exact counts exist. Reads one job, writes one answer, ends."""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from node.building import builder_of
from node.config import Home
from node.engine import connect, hash_key, read_one
from node.enrolment import Agreement, load, secret_of
from node.jobs import JOB, Answer, BuildJob, ReleaseJob
from node.pinned_keys import key_of
from node.private import own_directory
from node.scratch import scratch_in
from node.sources.persons import require_persons
from node.statistics.registry import STATISTICS, Files, Inputs, exact_vector
from node.tables import ZONE, X, Y
from privacy.errors import (
    DataUnavailable,
    PrivacyProblem,
    QuorateError,
    ResourceProblem,
    UsageProblem,
    place_of,
)
from privacy.levels import noised_levels
from privacy.terms import Terms
from privacy.truncation import sampling_key
from quorate.contract.calendar import days_between
from quorate.contract.order import keyset_for
from quorate.contract.payload import encode
from quorate.contract.zoning import Zoning

Say = Callable[[Answer], None]
_PR_SET_PDEATHSIG = 1


def build(job: BuildJob, say: Say) -> None:
    """Build presence of every day of the job that is not built from the same files and rules yet."""
    home = Home(job.home)
    own = _agreed(home, job.charter)
    for directory in (home.presence, home.visits, home.persons, home.rejected, home.quality):
        own_directory(directory)
    with scratch_in(home.presence) as scratch:
        builder = builder_of(home, own, scratch)
        for day in job.days:
            say(Answer(progress=day.isoformat()))
            for warning in builder.build(day):
                say(Answer(progress=f"{day}; the gate warns: {warning}"))


def release(job: ReleaseJob) -> tuple[Answer, bytes]:
    """Return what is told of a release, with the snapshot's digest, and the noised bytes."""
    home, terms = Home(job.home), job.terms
    own = _agreed(home, job.charter)
    keyset = keyset_for(own.charter, own.zoning, terms)
    period_key = None
    if STATISTICS[terms.statistic].persons:
        require_persons(own.config.source, terms.first_day, terms.last_day)
        period_key = key_of(home, terms)
    paths = _paths(home, terms)
    files = list(chain.from_iterable(paths.values()))
    with scratch_in(home.presence) as scratch, connect(own.config.engine, scratch) as db:
        inputs = Inputs(
            presence=[read_one(db, path) for path in paths[home.presence]],
            visits=[read_one(db, path) for path in paths.get(home.visits, [])],
            persons=[read_one(db, path) for path in paths.get(home.persons, [])],
            rejected=[read_one(db, path) for path in paths.get(home.rejected, [])],
            period_key=period_key,
            zoning=own.zoning,
            time_zone=own.charter.time_zone,
            key=_home_key(home, terms),
            sampling_key=sampling_key(secret_of(home), terms.statistic, terms.first_day),
            positions=_positions(own.zoning),
            weights=None if job.weights is None else np.array(job.weights, dtype=np.int64),
            files=Files(paths[home.presence], paths.get(home.visits, []))
            if own.config.engine.build == "auto"
            else None,
        )
        exact = exact_vector(terms, inputs)
    if keyset.digest() != terms.keyset or exact.size != keyset.size:
        raise PrivacyProblem("the statistic does not have the cells that its bounds are for")
    snapshot = hashlib.sha256("".join(map(_file_digest, files)).encode()).hexdigest()
    values, samplers = noised_levels([exact[place] for _name, place, _shape in keyset.parts()], terms)
    return Answer(snapshot=snapshot, samplers=samplers), encode(values)


def _paths(home: Home, terms: Terms) -> dict[Path, list[Path]]:
    """Return the files of the days by their directories: presence, and what else the statistic reads.

    Raises
    ------
    DataUnavailable
        If one is not there.
    """
    entry, days = STATISTICS[terms.statistic], days_between(terms.first_day, terms.last_day)
    more = (
        (home.visits, entry.visits),
        (home.persons, entry.persons),
        (home.rejected, entry.rejected),
    )
    kinds = [home.presence, *(kind for kind, wanted in more if wanted)]
    paths = {kind: [kind / f"{day}.parquet" for day in days] for kind in kinds}
    for path in chain.from_iterable(paths.values()):
        if not path.exists():
            raise DataUnavailable(f"presence of {path.stem} is not built", todo="run quorate-node ingest")
    return paths


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


def _positions(zoning: Zoning) -> pa.Table | None:
    """Return (zone, x_m, y_m) of every zone, if the zoning has their centres."""
    found = zoning.positions()
    if found is None:
        return None
    columns = np.array(found, dtype=np.int64).reshape(-1, 2)
    return pa.table({ZONE: np.arange(len(found)), X: columns[:, 0], Y: columns[:, 1]})


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
