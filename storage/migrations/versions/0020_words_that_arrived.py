"""What counts as told: words that arrived, also after nobody knew of them, are not owed any more."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0018"

FUNCTIONS = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split("\n--\n")


def upgrade() -> None:
    for function in FUNCTIONS:
        op.execute(sa.text(function.replace(":", "\\:")))


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
