"""What somebody has to see to: an account at its limit or lost, and shapes of answers that nobody knows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "alarms",
        sa.Column("id", UUID(as_uuid=True), primary_key=True, server_default=sa.text("gen_random_uuid()")),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False, server_default=""),
        sa.Column("times", sa.Integer, nullable=False, server_default="1"),
        sa.Column("first_at", moment, nullable=False, server_default=sa.text("agent_now()")),
        sa.Column("last_at", moment, nullable=False, server_default=sa.text("agent_now()")),
        sa.UniqueConstraint("kind", "subject"),
    )


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
