"""One ledger of all that is visible outside: its rows hold all of themselves."""

import sqlalchemy as sa
from alembic import op

from storage.sql_files import execute_file

revision = "0010"
down_revision = "0008"


def upgrade() -> None:
    _effects()
    op.add_column("actions", sa.Column("recovery", sa.Text(), server_default="none", nullable=False))
    execute_file(__file__)
    op.drop_column("actions", "result")


def _effects() -> None:
    op.alter_column("effects", "attempt", new_column_name="attempts")
    op.alter_column("effects", "sending_at", new_column_name="claimed_at")
    op.alter_column("effects", "request_hash", server_default="")
    op.alter_column(
        "effects",
        "error",
        type_=sa.dialects.postgresql.JSONB(),
        postgresql_using="CASE WHEN error IS NOT NULL THEN jsonb_build_object('explanation', error) END",
    )
    op.add_column("effects", sa.Column("recovery", sa.Text(), server_default="none", nullable=False))
    op.add_column("effects", sa.Column("unknown_attempts", sa.Integer(), server_default="0", nullable=False))
    op.add_column("effects", sa.Column("not_before", sa.DateTime(timezone=True), nullable=True))
    op.add_column("effects", sa.Column("deadline", sa.DateTime(timezone=True), nullable=True))
    op.add_column("effects", sa.Column("message_id", sa.UUID(), nullable=True))
    op.create_foreign_key(op.f("effects_message_id_fkey"), "effects", "messages", ["message_id"], ["id"])
    op.create_index(op.f("effects_message_id_idx"), "effects", ["message_id"])
    op.create_index("effects_external_id_idx", "effects", ["external_id"], postgresql_where=sa.text("kind = 'part'"))
    op.add_column("effects", sa.Column("owner_version", sa.BigInteger(), nullable=True))
    op.add_column("effects", sa.Column("reached", sa.Text(), nullable=True))
    op.add_column("effects", sa.Column("failure", sa.Text(), nullable=True))
    op.drop_index("effects_status_idx", "effects")
    op.drop_index("effects_planned_at_idx", "effects")
    op.create_index(
        "effects_open_idx", "effects", ["planned_at"], postgresql_where=sa.text("status IN ('planned', 'sending')")
    )
    op.create_index(
        "effects_planned_at_idx", "effects", ["planned_at", "id"], postgresql_where=sa.text("kind <> 'part'")
    )
