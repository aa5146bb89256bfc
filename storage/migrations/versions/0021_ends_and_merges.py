"""Promises that end with their question's time; what a merge brings, tells and locks: functions in `storage/sql`."""

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """`storage.migrate` puts the texts in force afterwards."""


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
