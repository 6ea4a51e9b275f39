"""Which nodes called when, and what they said of themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from hub.contacts import NOTED_EVERY, greeted, seen
from hub.database import Database
from hub.duty import nodes_of
from quorate.contract.identity import OPERATOR, Identity
from tests.support_hub import Kept

WEST = Identity("small", OPERATOR, "west")
SECOND = Identity("small", OPERATOR, "west", 1)


@pytest.fixture
def database(kept: Kept) -> Iterator[Database]:
    with closing(Database(kept.database)) as opened:
        yield opened


def test_each_node_has_one_line_that_says_what_it_said_last(database: Database) -> None:
    greeted(database, WEST, "0.1.0", int(time.time()) + 3600)
    greeted(database, WEST, "0.2.0", int(time.time()) - 3600)
    greeted(database, SECOND, "0.1.0", 0)
    first, second = nodes_of(database)["west"]
    assert (first["node"], first["software_version"]) == (0, "0.2.0")
    assert -3602 <= first["clock_offset_seconds"] <= -3598
    assert (second["node"], second["clock_offset_seconds"]) == (1, None)
    assert first["seen"].endswith("+00:00")


def test_what_a_node_makes_up_is_kept_short_and_printable(database: Database) -> None:
    greeted(database, WEST, "0\0\n" + "x" * 100, 2**62)
    (found,) = nodes_of(database)["west"]
    assert found["software_version"] == ("0\\x00\\n" + "x" * 100)[:40]
    assert found["clock_offset_seconds"] is None


def test_a_poll_is_noted_after_a_while_and_only_of_a_node_that_has_greeted(
    database: Database, kept: Kept
) -> None:
    seen(database, WEST)
    assert nodes_of(database) == {}
    greeted(database, WEST, "0.1.0", 0)
    (before,) = kept.execute("SELECT at FROM contact")
    seen(database, WEST)
    assert kept.execute("SELECT at FROM contact") == [before], "it was noted a moment ago"
    long_ago = (
        "2026-01-01 00:00:00+00" if kept.database.drivername != "sqlite" else "2026-01-01 00:00:00.000000"
    )
    kept.execute("UPDATE contact SET at = :at", at=long_ago)
    seen(database, WEST)
    (found,) = nodes_of(database)["west"]
    assert found["seen"] > "2026-06"
    assert NOTED_EVERY.total_seconds() == 30


def test_first_heartbeats_at_the_same_moment_are_one_contact(database: Database) -> None:
    for number in range(10):
        node = Identity("small", OPERATOR, "west", number)
        with ThreadPoolExecutor(4) as pool:
            for call in [pool.submit(greeted, database, node, version, 0) for version in "abcd"]:
                call.result()
    assert [found["node"] for found in nodes_of(database)["west"]] == list(range(10))
