"""A change from outside that meets a merge is made in the conversation that goes on."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

GOING_ON = """
-- going_on: the conversation, or the one that it was merged into, locked: it is merged into no other one until the
-- transaction ends.
CREATE FUNCTION going_on(p_conversation uuid) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    v_into uuid;
BEGIN
    SELECT coalesce(merged_into, id) INTO p_conversation FROM conversations WHERE id = p_conversation;
    LOOP
        SELECT merged_into INTO v_into FROM conversations WHERE id = p_conversation FOR NO KEY UPDATE;
        IF v_into IS NULL THEN RETURN p_conversation; END IF;
        p_conversation := v_into;  -- merged while we waited for it
    END LOOP;
END $$
"""


def upgrade() -> None:
    op.execute(sa.text(GOING_ON.replace(":", "\\:")))


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
