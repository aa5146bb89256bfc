"""Who is signed in to the dashboard."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "user_sessions",
        sa.Column("id", UUID(as_uuid=True), primary_key=True, server_default=sa.text("gen_random_uuid()")),
        sa.Column("user_id", UUID(as_uuid=True), sa.ForeignKey("users.id", name="user_sessions_user_id_fkey")),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("link_hash", sa.LargeBinary()),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("created_at", moment, nullable=False, server_default=sa.text("agent_now()")),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("ended_at", moment),
        sa.UniqueConstraint("token_hash", name="user_sessions_token_hash_key"),
        sa.UniqueConstraint("link_hash", name="user_sessions_link_hash_key"),
    )
    op.create_index("user_sessions_user_id_idx", "user_sessions", ["user_id"])


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
