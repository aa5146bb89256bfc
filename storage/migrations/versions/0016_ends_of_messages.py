"""Who ends a message: under which locks, only while it is due, and words of a promise that is kept by then."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

FUNCTIONS = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split("\n--\n")


def upgrade() -> None:
    for function in FUNCTIONS:
        op.execute(sa.text(function.replace(":", "\\:")))


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
