"""Where the hub keeps things: on SQLite and on a real PostgreSQL, for the same tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from hub.database import sqlite_at
from hub.store import Store
from tests.support_engines import postgres_server
from tests.support_hub import Kept


@pytest.fixture(scope="session")
def server() -> Iterator[URL]:
    """The address of a PostgreSQL server."""
    with postgres_server() as address:
        yield make_url(address).set(drivername="postgresql+psycopg")


@pytest.fixture(params=["sqlite", "postgres"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    """A place where nothing is yet."""
    if request.param == "sqlite":
        return Kept(sqlite_at(tmp_path / "hub.db"), tmp_path / "objects")
    kept = Kept(request.getfixturevalue("server"), tmp_path / "objects")
    kept.execute("DROP SCHEMA public CASCADE")
    kept.execute("CREATE SCHEMA public")
    return kept


@pytest.fixture
def store(kept: Kept) -> Iterator[Store]:
    """An empty hub's state."""
    with closing(kept.store()) as opened:
        yield opened
