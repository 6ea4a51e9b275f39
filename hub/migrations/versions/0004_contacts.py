"""When nodes called; what an audit line is about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "contact",
        sa.Column("operator", sa.String, primary_key=True),
        sa.Column("node", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("software_version", sa.String, nullable=False),
        sa.Column("clock_offset", sa.BigInteger, nullable=True),
    )
    for name in ("release_id", "order_digest", "request_id"):
        op.add_column("audit", sa.Column(name, sa.String, nullable=False, server_default=""))
    op.create_index("ix_audit_release_id", "audit", ["release_id"])
