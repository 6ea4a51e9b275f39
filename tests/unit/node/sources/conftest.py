"""A real PostgreSQL for the tests of the door."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support_engines import postgres_server


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a server."""
    with postgres_server() as address:
        yield address
