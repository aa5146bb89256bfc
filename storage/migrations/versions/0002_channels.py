"""Channels: deliveries by part, files of customers, webhooks' leftovers, rate limits, the inbox of webhooks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from storage.sql_files import execute_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("messages", sa.Column("delivery", sa.Text(), nullable=True))
    op.create_index(
        "messages_due_idx", "messages", ["stored_at"], unique=False, postgresql_where=sa.text("delivery = 'due'")
    )
    op.add_column("deliveries", sa.Column("kind", sa.Text(), server_default="text", nullable=False))
    op.add_column("deliveries", sa.Column("text", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "deliveries",
        sa.Column("choices", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
    )
    op.add_column("deliveries", sa.Column("failure", sa.Text(), nullable=True))
    op.add_column("deliveries", sa.Column("sending_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("deliveries_status_idx", "deliveries", ["status", "updated_at"], unique=False)
    _create_media()
    _create_leftovers()
    execute_file(__file__)


def _create_media() -> None:
    op.create_table(
        "media",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("message_id", sa.UUID(), nullable=False),
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("channel_media_id", sa.Text(), nullable=False),
        sa.Column("mime_type", sa.Text(), nullable=False),
        sa.Column("announced_sha256", sa.Text(), nullable=True),
        sa.Column("filename", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="due", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name=op.f("media_conversation_id_fkey")),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name=op.f("media_message_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("media_pkey")),
        sa.UniqueConstraint("message_id", "n", name=op.f("media_message_id_n_key")),
    )
    op.create_index(op.f("media_conversation_id_idx"), "media", ["conversation_id"], unique=False)
    op.create_index("media_due_idx", "media", ["updated_at"], unique=False, postgresql_where=sa.text("status = 'due'"))


def _create_leftovers() -> None:
    op.create_table(
        "leftovers",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("raw", postgresql.JSONB(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("leftovers_pkey")),
    )
    op.create_index("leftovers_received_at_idx", "leftovers", ["received_at"], unique=False)


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
