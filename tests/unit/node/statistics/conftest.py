"""How tables get into the engines."""

from __future__ import annotations

import ibis
import pyarrow as pa
import pytest
from ibis.backends.duckdb import Backend

from tests.support_engines import Load


@pytest.fixture(scope="session")
def duckdb(db: Backend) -> Load:
    """The default engine."""

    def load(name: str, table: pa.Table) -> ibis.Table:
        return db.create_table(name, table, temp=True, overwrite=True)

    return load
