"""Every statistic through Spark Connect, against plain Python: a program, as a process has one kind of session."""

from __future__ import annotations

import sys
from datetime import date

import ibis
import pyarrow as pa

from node.engines import spark
from tests.unit.node.statistics.cases import built, inputs, reference, terms_for, vectors, written
from tests.unit.node.statistics.crowds import PARAMETERS, crowd


def main(url: str) -> None:
    """Print `equal` and what is equal, or end with an assertion."""
    session = spark.remote_session(url)
    world = crowd(date(2026, 10, 25), 2, 100, seed=8)
    with spark.connect(session) as backend:

        def load(name: str, table: pa.Table) -> ibis.Table:
            session.createDataFrame(table).createOrReplaceTempView(name)
            return backend.table(name)

        assert session.conf.get("spark.sql.session.timeZone") == "UTC"
        assert built(load, world) == written(world)
        given = inputs(load, world)
        for statistic, parameters in PARAMETERS.items():
            found = vectors(given, terms_for(statistic, parameters, world.dates))
            expected = reference(world, statistic, parameters)
            assert {level: table.tolist() for level, table in found.items()} == expected, statistic
            print("equal", statistic, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
