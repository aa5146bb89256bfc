"""What nobody has answered: told of, or asked about, whenever the bot has the conversation again."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

FUNCTIONS = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split("\n--\n")


def upgrade() -> None:
    op.add_column("actions", sa.Column("decided_version", sa.BigInteger(), nullable=True))
    op.add_column("actions", sa.Column("stands", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    _index("messages_held_idx", "kind = 'held'")
    _index("messages_withheld_idx", "delivery = 'withheld'")
    for function in FUNCTIONS:
        op.execute(sa.text(function.replace(":", "\\:")))


def _index(name: str, where: str) -> None:
    op.create_index(name, "messages", ["conversation_id"], unique=False, postgresql_where=sa.text(where))


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
