"""What all tables are made of: the metadata with its names, and the columns that recur."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    DateTime,
    ForeignKey,
    MetaData,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

NOW = text("agent_now()")
RANDOM = text("gen_random_uuid()")
OBJECT = text("'{}'::jsonb")
LIST = text("'[]'::jsonb")


def id_column() -> Column[object]:
    return Column("id", UUID(as_uuid=True), primary_key=True, server_default=RANDOM)


def moment(name: str, *, always: bool = False) -> Column[object]:
    """A moment; *always*: never empty, by default now."""
    if always:
        return Column(name, DateTime(timezone=True), nullable=False, server_default=NOW)
    return Column(name, DateTime(timezone=True))


def reference(name: str, target: str, *, null: bool = False, index: bool = True) -> Column[object]:
    return Column(name, UUID(as_uuid=True), ForeignKey(target), nullable=null, index=index)
