"""Who ends a message: under which locks, only while it is due, and words of a promise that is kept by then."""

from storage.sql_files import execute_file

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    execute_file(__file__)


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
