"""Which text of each file of `storage/sql` is in force."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0026"
down_revision = "0022"


def upgrade() -> None:
    op.create_table(
        "texts_in_force",
        sa.Column("file", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("defines", ARRAY(sa.Text), nullable=False),
    )


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
