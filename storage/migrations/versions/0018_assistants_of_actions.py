"""Actions keep whose configuration they were accepted under: a merge moves them to another assistant's conversation."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("actions", sa.Column("assistant", sa.Text(), nullable=True))
    op.execute(
        "UPDATE actions a SET assistant = c.assistant"
        " FROM turns t JOIN conversations c ON c.id = t.conversation_id WHERE t.id = a.turn_id"
    )
    op.alter_column("actions", "assistant", nullable=False)


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
