"""A turn waits for its account in a queue, is `asking` only with a slot, and its slot is a lease."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

FUNCTION = Path(__file__).with_suffix(".sql").read_text()


def upgrade() -> None:
    op.add_column("turns", sa.Column("times_asked", sa.Integer(), server_default="0", nullable=False))
    op.drop_column("turns", "settled_attempts")
    op.add_column("account_calls", sa.Column("turn_id", sa.UUID(), nullable=True))
    op.create_index("account_calls_turn_id_idx", "account_calls", ["turn_id"], unique=False)
    op.create_table(
        "account_places",
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("perplexity_account", sa.Text(), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.PrimaryKeyConstraint("conversation_id", name=op.f("account_places_pkey")),
    )
    op.create_index("account_places_account_idx", "account_places", ["perplexity_account", "queued_at"], unique=False)
    op.execute(sa.text(FUNCTION.replace(":", "\\:")))
