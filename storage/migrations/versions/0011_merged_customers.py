"""Customers who turn out to be one, and their conversations of which one goes on."""

import sqlalchemy as sa
from alembic import op

from storage.sql_files import execute_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    _point("customers")
    _point("conversations")
    op.add_column("conversations", sa.Column("merged_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint("conversations_customer_id_channel_account_key", "conversations")
    op.create_index(
        "conversations_customer_id_channel_account_key",
        "conversations",
        ["customer_id", "channel", "account"],
        unique=True,
        postgresql_where=sa.text("merged_into IS NULL"),
    )
    execute_file(__file__)


def _point(table: str) -> None:
    """To the row of the same table that goes on."""
    op.add_column(table, sa.Column("merged_into", sa.UUID(), nullable=True))
    op.create_foreign_key(op.f(f"{table}_merged_into_fkey"), table, table, ["merged_into"], ["id"])
    op.create_index(op.f(f"{table}_merged_into_idx"), table, ["merged_into"], unique=False)


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
