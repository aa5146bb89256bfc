"""A status of a failed attempt, a yes after a merge, and what a merge brings to a stopped conversation: functions."""

revision = "0024"
down_revision = "0022"


def upgrade() -> None:
    """The tables stay as they are: all functions are put in force anew (`storage/sql_files.py`)."""


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
