"""What somebody has to see to, each once however often it happened."""

from __future__ import annotations

from sqlalchemy import Column, Integer, Table, Text, UniqueConstraint

from storage.tables.columns import id_column, metadata, moment

# Names only: of accounts, and of fields that upstream sends. No words of anybody.
alarms = Table(
    "alarms",
    metadata,
    id_column(),
    Column("kind", Text, nullable=False),  # schemas.failures.ModelFailureKind
    Column("subject", Text, nullable=False),  # what it is about: an account, or a shape
    Column("detail", Text, nullable=False, server_default=""),  # as it was told last
    Column("times", Integer, nullable=False, server_default="1"),
    moment("first_at", always=True),
    moment("last_at", always=True),
    UniqueConstraint("kind", "subject"),
)
