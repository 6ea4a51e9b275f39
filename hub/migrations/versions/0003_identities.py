"""Certificates, revocations, invitations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "certificate",
        sa.Column("serial", sa.String, primary_key=True),
        sa.Column("identity", sa.String, nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("origin", sa.String, nullable=False),
    )
    op.create_index("ix_certificate_identity", "certificate", ["identity"])
    op.create_table(
        "revocation",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("serial", sa.String, nullable=False),
        sa.Column("identity", sa.String, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("why", sa.String, nullable=False),
    )
    op.create_index("ix_revocation_serial", "revocation", ["serial"])
    op.create_index("ix_revocation_identity", "revocation", ["identity"])
    op.create_table(
        "invitation",
        sa.Column("token_sha256", sa.String, primary_key=True),
        sa.Column("identity", sa.String, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_sha256", sa.String, nullable=True),
        sa.Column("chain", sa.LargeBinary, nullable=True),
    )
