"""Which attempt to send a part was reported as failed: what is told of it afterwards says nothing of the next."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("effects", sa.Column("failed_fence", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
