"""Releases, tasks, uploads, contributions, audit trail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade() -> None:
    """Go to this version."""
    op.create_table(
        "release",
        sa.Column("release_id", sa.String, primary_key=True),
        sa.Column("product", sa.String, nullable=False),
        sa.Column("first_day", sa.Date, nullable=False),
        sa.Column("last_day", sa.Date, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("deadline", sa.Double, nullable=False),
        sa.Column("estimates_sha256", sa.String, nullable=True),
        sa.UniqueConstraint("product", "first_day", "last_day", "revision", name="uq_release_product"),
    )
    op.create_index("ix_release_state", "release", ["state"])
    op.create_table(
        "task",
        sa.Column("order_digest", sa.String, primary_key=True),
        sa.Column(
            "release_id",
            sa.String,
            sa.ForeignKey("release.release_id", name="fk_task_release"),
            nullable=False,
        ),
        sa.Column("operator", sa.String, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("refusal", sa.String, nullable=False),
        sa.UniqueConstraint("release_id", "operator", name="uq_task_release_id"),
    )
    op.create_index("ix_task_operator", "task", ["operator", "state"])
    op.create_table(
        "piece",
        sa.Column(
            "order_digest",
            sa.String,
            sa.ForeignKey("task.order_digest", name="fk_piece_task"),
            primary_key=True,
        ),
        sa.Column("position", sa.BigInteger, primary_key=True),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
    )
    op.create_table(
        "contribution",
        sa.Column(
            "order_digest",
            sa.String,
            sa.ForeignKey("task.order_digest", name="fk_contribution_task"),
            primary_key=True,
        ),
        sa.Column("result_sha256", sa.String, nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.Column("receipt", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("what", sa.String, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
    )
