"""What nobody has answered: told of, or asked about, whenever the bot has the conversation again."""

import sqlalchemy as sa
from alembic import op

from storage.sql_files import execute_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("actions", sa.Column("decided_version", sa.BigInteger(), nullable=True))
    op.add_column("actions", sa.Column("stands", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    _index("messages_held_idx", "kind = 'held'")
    _index("messages_withheld_idx", "delivery = 'withheld'")
    execute_file(__file__)


def _index(name: str, where: str) -> None:
    op.create_index(name, "messages", ["conversation_id"], unique=False, postgresql_where=sa.text(where))


def downgrade() -> None:
    raise RuntimeError("This migration is not undone: restore a backup instead.")
