"""An index of the words that say that an action waits for a yes: they are found by the action (`meta.asks`)."""

from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.execute("CREATE INDEX messages_asks_idx ON messages ((meta ->> 'asks')) WHERE (meta ->> 'asks') IS NOT NULL")


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
