"""Numbers and ids that change hands: when each was last seen, with which other, whether it is proven, who had it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "0031"
down_revision = "0029"

_TABLE = "former_identities"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    now = sa.text("agent_now()")
    op.add_column("channel_identities", sa.Column("seen_at", moment, nullable=False, server_default=now))
    op.add_column("channel_identities", sa.Column("verified_at", moment))
    op.add_column("channel_identities", sa.Column("known_with", sa.Text()))
    op.create_table(
        "former_identities",
        sa.Column("id", UUID(as_uuid=True), primary_key=True, server_default=sa.text("gen_random_uuid()")),
        sa.Column("customer_id", UUID(as_uuid=True), sa.ForeignKey("customers.id"), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("known_with", sa.Text()),
        sa.Column("until", moment, nullable=False),
        sa.Column("created_at", moment, nullable=False, server_default=now),
    )
    op.create_index("former_identities_customer_id_idx", _TABLE, ["customer_id"])
    op.create_index("former_identities_channel_kind_value_until_idx", _TABLE, ["channel", "kind", "value", "until"])


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
