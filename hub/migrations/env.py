"""Run by Alembic: migrate over the connection that `hub.database` has opened."""

from __future__ import annotations

from alembic import context

from hub import identity_models  # noqa: F401 - makes its tables known
from hub.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
