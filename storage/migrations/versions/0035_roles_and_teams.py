"""Roles by their present names, the teams of people, and how colleagues reach them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    op.execute("UPDATE users SET role = 'agent' WHERE role = 'operator'")
    op.create_check_constraint("users_role_check", "users", "role IN ('viewer', 'agent', 'admin')")
    op.add_column("users", sa.Column("teams", ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'::text[]")))
    for name in ("slack", "whatsapp", "language", "hours"):
        op.add_column("users", sa.Column(name, sa.Text()))
    op.add_column("users", sa.Column("away", sa.Boolean(), nullable=False, server_default=sa.text("false")))


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
