"""The fast path on Apache Spark: the same kernels in every task, each on the subscribers of its partition.

For operators whose rows are on a cluster already. Every executor needs this package. A row of presence and a row of
visits have the same seven columns but for what the last ones mean, so that one pass gives both, told apart by `kind`;
the third kind counts rows by reason.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from node.presence.fast import Build, Built
from node.sources.reasons import Reason
from node.tables import COUNT, FIRST, IN, LAST, MASK, ORIGIN, OUT, PRESENCE, SEQ, SUBSCRIBER, VISITS, ZONE
from privacy.errors import UsageProblem

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

KIND, NUMBER, BEGIN, END = "kind", "number", "t_begin", "t_end"
PRESENCE_KIND, VISITS_KIND, COUNTS_KIND = 0, 1, 2
#: Columns of the common table, and what they are in presence and in visits.
COLUMNS = (KIND, SUBSCRIBER, ORIGIN, ZONE, NUMBER, COUNT, BEGIN, END)
_IN_PRESENCE = {NUMBER: MASK, BEGIN: FIRST, END: LAST}
_IN_VISITS = {NUMBER: SEQ, BEGIN: IN, END: OUT}
_SCHEMA = pa.schema([(name, pa.int64()) for name in COLUMNS])


def mapped(rows: DataFrame, build: Build, parts: int) -> DataFrame:
    """Return presence, visits and counts of a day as one table, which is computed when it is read.

    Parameters
    ----------
    rows
        Judged rows of one local day with pseudonyms, as `node.presence.fast.build_day` takes them.
    build
        How the day is built. The memory limit is that of one task; scratch is a directory of each executor.
    parts
        Number of partitions; one task holds the rows of one of them.

    Raises
    ------
    UsageProblem
        If the rows would get their pseudonyms in the tasks: the key must not leave the node.
    """
    if build.pseudonyms is not None:
        raise UsageProblem(
            "a cluster cannot make pseudonyms",
            means="the key would be sent to every executor",
            todo="give rows that have pseudonyms already",
        )
    # Workers must be this interpreter, not the first python3 of the path.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    schema = ", ".join(f"{name} bigint" for name in COLUMNS)
    return rows.repartition(parts, SUBSCRIBER).mapInArrow(task_of(build), schema)


def task_of(build: Build) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return what a task does with the batches of its partition."""

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        build.scratch.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=build.scratch) as scratch:
            built = replace(build, scratch=Path(scratch), threads=1).tables(batches)
        for table in _common(built):
            yield from table.to_batches()

    return task


def _common(built: Built) -> Iterator[pa.Table]:
    for kind, table, meaning in (
        (PRESENCE_KIND, built.presence, _IN_PRESENCE),
        (VISITS_KIND, built.visits, _IN_VISITS),
    ):
        columns = [table[meaning.get(name, name)] for name in COLUMNS[1:]]
        kinds = pa.chunked_array([pa.array(np.full(table.num_rows, kind))], pa.int64())
        yield pa.Table.from_arrays([kinds, *columns], schema=_SCHEMA)
    counts = {reason: n for reason, n in built.counts.items() if n}
    nothing = np.zeros(len(counts), np.int64)
    given = {
        KIND: np.full(len(counts), COUNTS_KIND),
        NUMBER: np.array([int(reason) for reason in counts], dtype=np.int64),
        COUNT: np.array(list(counts.values()), dtype=np.int64),
    }
    yield pa.table([pa.array(given.get(name, nothing)) for name in COLUMNS], schema=_SCHEMA)


def presence_of(both: DataFrame) -> DataFrame:
    """Return presence of what `mapped` gave, in no order."""
    return _part(both, PRESENCE_KIND, _IN_PRESENCE, PRESENCE)


def visits_of(both: DataFrame) -> DataFrame:
    """Return visits of what `mapped` gave, in no order."""
    return _part(both, VISITS_KIND, _IN_VISITS, VISITS)


def counts_of(both: DataFrame) -> dict[Reason, int]:
    """Return the number of rows by reason."""
    counts = dict.fromkeys(Reason, 0)
    for row in both.filter(f"{KIND} = {COUNTS_KIND}").select(NUMBER, COUNT).collect():
        counts[Reason(row[0])] += row[1]
    return counts


def _part(both: DataFrame, kind: int, meaning: dict[str, str], columns: tuple[str, ...]) -> DataFrame:
    found = both.filter(f"{KIND} = {kind}").withColumnsRenamed(meaning)
    return found.select(*columns)
