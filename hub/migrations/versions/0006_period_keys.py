"""Period keys of union sketches, sealed by one operator to the others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "period_key",
        sa.Column("charter", sa.String, primary_key=True),
        sa.Column("product", sa.String, primary_key=True),
        sa.Column("first_day", sa.Date, primary_key=True),
        sa.Column("last_day", sa.Date, primary_key=True),
        sa.Column("maker", sa.String, nullable=False),
        sa.Column("statement", sa.LargeBinary, nullable=False),
    )
