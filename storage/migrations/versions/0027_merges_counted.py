"""How often a conversation took another in: an answer to a question that was decided before is decided anew."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.add_column("conversations", sa.Column("merges", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
