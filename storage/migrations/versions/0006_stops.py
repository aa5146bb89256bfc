"""A conversation whose run an operator cancelled is left alone until its next message."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("conversations", sa.Column("stopped_seq", sa.BigInteger(), nullable=True))
