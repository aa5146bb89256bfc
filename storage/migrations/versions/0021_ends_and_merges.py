"""Promises that end with their question's time; what a merge brings, tells and locks."""

from storage.sql_files import execute_file

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    execute_file(__file__)


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
