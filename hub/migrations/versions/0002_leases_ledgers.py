"""Leases of tasks, signed refusals, and what operators publish of their ledgers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    """Go to this version."""
    for column in (
        sa.Column("statement", sa.LargeBinary, nullable=True),
        sa.Column("phase", sa.String, nullable=False, server_default=""),
        sa.Column("lease_token", sa.String, nullable=False, server_default=""),
        sa.Column("lease_node", sa.Integer, nullable=True),
        sa.Column("lease_until", sa.Double, nullable=False, server_default="0"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    ):
        op.add_column("task", column)
    op.create_table(
        "ledger_entry",
        sa.Column("operator", sa.String, primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("head", sa.String, nullable=False),
        sa.Column("release_id", sa.String, nullable=True),
        sa.Column("entry", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_ledger_entry_release", "ledger_entry", ["operator", "release_id"])
    op.create_table(
        "ledger_head",
        sa.Column("operator", sa.String, primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("statement", sa.LargeBinary, nullable=False),
    )
