"""PostgreSQL as an engine: the same expressions in the operator's own database server.

The packages are those of the extra `[postgres]`; nothing here is imported before a connection is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import ibis

from node.engines.missing import not_installed
from privacy.errors import DataUnavailable

if TYPE_CHECKING:
    from ibis.backends.postgres import Backend


@contextmanager
def connect(dsn: str) -> Iterator[Backend]:
    """Open a session in UTC.

    Parameters
    ----------
    dsn
        What libpq understands: a URI or `key=value` words; a password is better left to its password file.

    Raises
    ------
    UsageProblem
        If the extra is not installed.
    DataUnavailable
        If the server does not answer or does not let the node in; the password is not told.
    """
    try:
        import psycopg
    except ImportError as error:
        raise not_installed("PostgreSQL", "postgres", error) from error
    try:
        # Autocommit, as Ibis expects; the time zone is the session's own, whatever the server's is.
        session = psycopg.connect(dsn, autocommit=True, options="-c TimeZone=UTC")
    except psycopg.OperationalError as error:
        raise DataUnavailable(
            "the PostgreSQL server cannot be reached, or does not let the node in",
            means="nothing was read",
            todo="check host, port, database, role and password, for example with psql",
        ) from error
    try:
        yield ibis.postgres.from_connection(session)
    finally:
        session.close()
