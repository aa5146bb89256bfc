"""A message is held for as long as its reason lasts, and no longer: looked at again by the commit that holds it."""

import sqlalchemy as sa
from alembic import op

from storage.sql_files import execute_file

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("conversations", sa.Column("closed_seq", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("conversations", sa.Column("merges_told_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("messages", sa.Column("moved_at", sa.DateTime(timezone=True), nullable=True))
    execute_file(__file__)


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
