"""Into which Space a prompt pack was pasted. What was noted before names none, so it says nothing of any."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.execute("DELETE FROM pasted_packs")
    op.add_column("pasted_packs", sa.Column("collection_uuid", sa.Text(), nullable=False))


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
