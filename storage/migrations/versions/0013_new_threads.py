"""A new thread that is asked for holds for the question under way too, whose thread is not stored yet."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

BEGIN_NEW_THREAD = """
-- begin_new_thread: what is asked from the owner's version of now on is asked in a new thread. A turn knows the version
-- under which its thread was chosen, so a question that is under way is asked again in another one.
CREATE FUNCTION begin_new_thread(p_conversation uuid) RETURNS void LANGUAGE sql AS $$
    UPDATE conversations SET thread_version = owner_version WHERE id = p_conversation
$$
"""


def upgrade() -> None:
    for table in ("conversations", "turns"):
        op.add_column(table, sa.Column("thread_version", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(sa.text(BEGIN_NEW_THREAD))


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
