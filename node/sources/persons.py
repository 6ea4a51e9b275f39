"""Who has several subscriptions: a table of subscribers and persons, both as pseudonyms under keys of their own.

Only built where the operator names a national identifier and gives the second key. Operators who share that key give
a person the same pseudonym, so that persons can be counted once; the pseudonyms of subscribers stay each operator's
own.
"""

# ruff: noqa: S608 - statements are made of names of ours; values come as tables

from __future__ import annotations

import glob
from datetime import date
from pathlib import Path

import pyarrow as pa

from node.sources.csvfiles import literal
from node.sources.files import Connection
from node.sources.mapping import Source
from node.sources.pseudonyms import Mapper, period_of
from node.sources.raw import Raw
from node.sources.row_rules import Given, subscriber_sql
from node.tables import PERSON, SUBSCRIBER
from privacy.errors import DataUnavailable

_CHUNK = 1_000_000


def require_persons(source: Source, first: date, last: date) -> None:
    """Refuse days of which persons are not known, or not under one pseudonym each; looks at no data.

    Raises
    ------
    DataUnavailable
        If the operator names no national identifier, or the pseudonyms of persons change within the days.
    """
    if source.columns.national_id is None:
        raise DataUnavailable(
            "the operator names no national identifier, so no person behind a subscriber is known",
            means="nothing that counts persons can be computed; nothing was charged or sent",
            todo="name national_id in [source.columns] and national_key_file in [source.pseudonyms] of node.toml, "
            "and run quorate-node ingest; or take the product off policy.toml",
        )
    period = source.pseudonyms.period
    if period_of(first, period) != period_of(last, period):
        raise DataUnavailable(
            f"persons change their pseudonyms between {first} and {last}",
            means="the same person would be counted as two; nothing was computed, charged or sent",
            todo=f"ask for days of one {period}, or agree with all operators on another period of pseudonyms",
        )


def write_persons(  # noqa: PLR0917 - what is written, from what and by which keys
    connection: Connection,
    raw: Raw,
    subscribers: Mapper | None,
    persons: Mapper,
    presence: Path,
    target: Path,
) -> None:
    """Write (subscriber, person) of everybody in presence who has a national identifier, by subscriber.

    Parameters
    ----------
    connection
        The embedded database, which has the raw rows.
    raw
        The raw rows, with q_national_id.
    subscribers, persons
        Map identifiers; None if subscribers are pseudonyms already.
    presence
        Presence of the day.
    target
        Parquet file. Of a subscriber with several national identifiers it has the smallest pseudonym.

    Raises
    ------
    duckdb.Error
        As the engine.
    """
    given = subscriber_sql(raw, Given.PSEUDONYMS) if subscribers is None else "raw.q_subscriber"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE door_pairs AS SELECT DISTINCT {given} AS who, q_national_id AS national "
        f"FROM {raw.relation} AS raw WHERE who IS NOT NULL AND q_national_id IS NOT NULL"
    )
    connection.execute("CREATE OR REPLACE TEMP TABLE door_persons (subscriber BIGINT, person BIGINT)")
    count = connection.execute("SELECT count(*) FROM door_pairs").fetchall()[0][0]
    for start in range(0, count, _CHUNK):
        chosen = f"rowid >= {start} AND rowid < {start + _CHUNK}"
        pairs = connection.sql(f"SELECT * FROM door_pairs WHERE {chosen}").to_arrow_table()
        _add(connection, pairs, subscribers, persons)
    # Identifiers are not kept longer than they are needed.
    connection.execute("DROP TABLE door_pairs")
    connection.execute(
        "COPY (SELECT subscriber, min(person) AS person FROM door_persons SEMI JOIN read_parquet("
        f"{literal(glob.escape(str(presence)))}, hive_partitioning=false) USING (subscriber) "
        f"GROUP BY subscriber ORDER BY subscriber) TO {literal(str(target))} (FORMAT parquet, COMPRESSION zstd)"
    )
    target.chmod(0o600)


def _add(connection: Connection, pairs: pa.Table, subscribers: Mapper | None, persons: Mapper) -> None:
    """Add pseudonyms of pairs of identifiers."""
    own = pairs["who"] if subscribers is None else pa.array(subscribers(pairs["who"].to_pylist()))
    found = {SUBSCRIBER: own, PERSON: pa.array(persons(pairs["national"].to_pylist()))}
    connection.register("door_arrow", pa.table(found))
    try:
        connection.execute("INSERT INTO door_persons SELECT * FROM door_arrow")
    finally:
        connection.unregister("door_arrow")
