"""Who has a conversation, under a version, apart from what is open in it; each change leaves a transition."""

import sqlalchemy as sa
from alembic import op

from storage.sql_files import execute_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("conversations", sa.Column("owner", sa.Text(), server_default="bot", nullable=False))
    op.add_column("conversations", sa.Column("owner_version", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("conversations", sa.Column("taken_version", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(
        """UPDATE conversations SET owner = CASE state WHEN 'human_handoff' THEN 'human' WHEN 'closed' THEN 'closed'
                                            ELSE 'bot' END"""
    )
    op.drop_column("conversations", "state")
    op.drop_column("actions", "return_to")
    op.add_column("turns", sa.Column("owner_version", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("messages", sa.Column("owner_version", sa.BigInteger(), nullable=True))
    _create_transitions()
    _create_indexes()
    execute_file(__file__)


def _create_transitions() -> None:
    op.create_table(
        "transitions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("from_owner", sa.Text(), nullable=False),
        sa.Column("to_owner", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.UUID(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("transitions_conversation_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("transitions_pkey")),
    )
    op.create_index("transitions_conversation_id_idx", "transitions", ["conversation_id", "id"], unique=False)


def _create_indexes() -> None:
    op.create_index(
        "actions_open_idx",
        "actions",
        ["conversation_id"],
        unique=False,
        postgresql_where=sa.text("status = 'awaiting_confirmation'"),
    )
    op.create_index(
        "messages_due_of_idx",
        "messages",
        ["conversation_id"],
        unique=False,
        postgresql_where=sa.text("delivery = 'due'"),
    )
    op.create_index(
        "turns_kept_idx",
        "turns",
        ["conversation_id", "first_seq"],
        unique=False,
        postgresql_where=sa.text("status IN ('held', 'withheld')"),
    )
