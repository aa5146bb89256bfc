"""What counts as told: words that arrived, also after nobody knew of them, are not owed any more."""

from storage.sql_files import execute_file

revision = "0020"
down_revision = "0018"


def upgrade() -> None:
    execute_file(__file__)


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
