"""Which attempt to send a part was reported as failed: what is told of it afterwards says nothing of the next."""

import sqlalchemy as sa
from alembic import op

from storage.sql_files import execute_file

revision = "0023"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("effects", sa.Column("failed_fence", sa.BigInteger(), nullable=True))
    execute_file(__file__)


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
