"""The tables, where the migrations begin. What else the database consists of stands in `storage/sql/`."""

from pathlib import Path

from alembic import op

from storage.sql_files import FOLDER, execute_file

revision = "0020"
down_revision = None


def upgrade() -> None:
    execute_file(op.get_bind(), FOLDER / "clock.sql")  # columns have it as their default
    execute_file(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
