"""Fixtures shared by tests that run a network of processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.contextvars import clear_contextvars

from deploy.demo.parties import Parties

# Registers its profile before pytest looks for it.
from tests import effort  # noqa: F401
from tests.harness import Network, World, copied, prepared, small_world


@pytest.fixture(autouse=True)
def no_request() -> None:
    """Begin without the request id of another test's calls."""
    clear_contextvars()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return small_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def parties(world: World, tmp_path_factory: pytest.TempPathFactory) -> Parties:
    return prepared(world, tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def net(parties: Parties, tmp_path: Path) -> Iterator[Network]:
    """A network of the test's own, whose nodes have their days built."""
    with copied(parties, tmp_path) as found:
        yield found
