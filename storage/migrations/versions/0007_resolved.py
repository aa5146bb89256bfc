"""Who settled an effect that nobody knew about, and how they knew."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("effects", sa.Column("settled_by", sa.Text(), nullable=True))
    op.add_column("effects", sa.Column("note", sa.Text(), nullable=True))
    op.create_index("effects_planned_at_idx", "effects", ["planned_at", "id"], unique=False)
