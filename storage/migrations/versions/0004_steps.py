"""Turns by steps, each committed once; actions keep the configuration they were accepted under; pasted packs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("turns", sa.Column("step", sa.Integer(), server_default="0", nullable=False))
    op.add_column("turns", sa.Column("purpose", sa.Text(), server_default="answer", nullable=False))
    op.add_column("turns", sa.Column("commit_id", sa.UUID(), nullable=True))
    op.add_column("turns", sa.Column("repairs", sa.Integer(), server_default="0", nullable=False))
    op.add_column("turns", sa.Column("rounds", sa.Integer(), server_default="0", nullable=False))
    op.add_column("turns", sa.Column("newest_backend_uuid", sa.Text(), nullable=True))
    op.add_column("raw_outputs", sa.Column("pack_echoed", sa.Text(), nullable=True))
    op.add_column("actions", sa.Column("side_effect", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.add_column("actions", sa.Column("assistant_version", sa.Integer(), nullable=True))
    op.add_column("deliveries", sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("deliveries", sa.Column("unknown_sends", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "pasted_packs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("assistant", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("pasted_by", sa.Text(), nullable=False),
        sa.Column("pasted_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pasted_packs_pkey")),
    )
    op.create_index("pasted_packs_assistant_idx", "pasted_packs", ["assistant", "pasted_at"], unique=False)
