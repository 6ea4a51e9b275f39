"""Several pieces in one file."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    """Go to this version; pieces that were kept in the former way are sent again."""
    op.execute(sa.text("DELETE FROM piece"))
    op.add_column("piece", sa.Column("file", sa.String, nullable=False, server_default=""))
    op.add_column("piece", sa.Column("at", sa.BigInteger, nullable=False, server_default="0"))
