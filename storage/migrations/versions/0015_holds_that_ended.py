"""A message is held for as long as its reason lasts, and no longer: looked at again by the commit that holds it."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

FUNCTIONS = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split("\n--\n")


def upgrade() -> None:
    op.add_column("conversations", sa.Column("closed_seq", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("conversations", sa.Column("merges_told_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("messages", sa.Column("moved_at", sa.DateTime(timezone=True), nullable=True))
    for function in FUNCTIONS:
        op.execute(sa.text(function.replace(":", "\\:")))


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
