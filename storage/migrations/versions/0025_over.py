"""Words that something is open never leave once it is over: what came of it is a message of its own."""

from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.execute("DROP FUNCTION IF EXISTS end_promise(uuid, uuid, text), lock_promise(uuid)")


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
