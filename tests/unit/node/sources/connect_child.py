"""A day of a table on a cluster through Spark Connect, against the same rows in a file: a program of its own.

A process has one kind of Spark session, so the tests of the local kind cannot do this.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from node.engines import spark
from node.making import Made
from node.sources.mapping import Source
from tests.unit.node.fast.test_two_ways import MAPPING, events, maker, numbers, require_same
from tests.unit.node.sources.support import source_of
from tests.unit.node.worlds import ORDINARY_DAY


def made(root: Path, name: str, source: Source) -> Made:
    place = root / name
    place.mkdir()
    if source.events.kind == "parquet":
        pq.write_table(events(numbers, ORDINARY_DAY), place / f"{ORDINARY_DAY}.parquet")
    with maker(place, source, "auto").made(ORDINARY_DAY, rejected=False) as (_db, found):
        return found


def main(url: str, root: Path) -> None:
    """Print `equal`, or end with an assertion."""
    session = spark.remote_session(url)
    table = events(numbers, ORDINARY_DAY)
    session.createDataFrame(table).write.saveAsTable("signalling")
    session.stop()
    on_cluster: Any = {"kind": "spark", "table": "signalling", "where": "cell_id < 100", "remote": url}
    require_same(
        made(root, "cluster", source_of(**MAPPING, events=on_cluster)),
        made(root, "file", source_of(**MAPPING)),
    )
    print("equal")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
