"""What the node's tests share: one real DuckDB and one made-up network for each test process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ibis.backends.duckdb import Backend

from node.config import Engine, Home
from node.engine import connect
from tests.support_node import Network, enrolled, network_at, prepare
from tests.unit.node.two_days import ingest, laid_out


@pytest.fixture(scope="session")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The engine as the worker opens it."""
    with connect(Engine(memory_limit="500MB", threads=1), tmp_path_factory.mktemp("scratch")) as backend:
        yield backend


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A hub's root certificate, a charter and a zoning."""
    return network_at(tmp_path_factory.mktemp("network") / "hub")


@pytest.fixture
def home(network: Network, tmp_path: Path) -> Home:
    """An enrolled node."""
    return enrolled(network, tmp_path / "node")


@pytest.fixture
def fresh(network: Network, tmp_path: Path) -> Home:
    """A node with everything in place but the enrolment."""
    return prepare(network, tmp_path / "node")


@pytest.fixture(scope="session")
def built(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A node with two days of presence; tests only read it."""
    home = laid_out(network, tmp_path_factory.mktemp("built") / "node")
    ingest(home)
    return home
