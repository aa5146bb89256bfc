"""What each API key permits, and who ended it. Until now all of them had everything."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0031"


def upgrade() -> None:
    op.execute("UPDATE api_keys SET scopes = '{message,session,admin}' WHERE scopes = '{}'")
    op.execute("""UPDATE api_keys k SET name = k.name || ' ' || left(k.id::text, 8) WHERE EXISTS (
        SELECT 1 FROM api_keys n WHERE n.name = k.name AND (n.created_at, n.id) > (k.created_at, k.id))""")
    op.alter_column("api_keys", "scopes", server_default=None)
    op.add_column("api_keys", sa.Column("revoked_by", sa.Text()))
    op.create_check_constraint("api_keys_scopes_check", "api_keys", "scopes <@ '{message,session,admin,vouch}'::text[]")
    op.create_index(
        "api_keys_name_key", "api_keys", ["name"], unique=True, postgresql_where=sa.text("revoked_at IS NULL")
    )


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
