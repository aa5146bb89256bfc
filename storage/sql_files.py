"""SQL that a migration keeps in a file of its own: statements, with a line of `--` between two."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import text


def execute_file(path: str | Path) -> None:
    """All of *path*, or of the file called like it with the suffix .sql, in the migration that runs."""
    for statement in Path(path).with_suffix(".sql").read_text(encoding="utf-8").split("\n--\n"):
        op.execute(text(statement.replace(":", "\\:")))
