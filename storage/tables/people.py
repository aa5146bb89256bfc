"""Who may do what: configuration with versions, users, keys, the audit."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from storage.tables.columns import OBJECT, id_column, metadata, moment

configurations = Table(
    "configurations",
    metadata,
    id_column(),
    Column("assistant", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("created_by", Text, nullable=False),
    moment("created_at", always=True),
    UniqueConstraint("assistant", "version"),
)

users = Table(
    "users",
    metadata,
    id_column(),
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, server_default=""),
    Column("role", Text, nullable=False),
    Column("password_hash", Text),
    moment("created_at", always=True),
    moment("disabled_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    id_column(),
    Column("name", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False, unique=True),  # SHA-256; keys have ≥ 128 random bits
    Column("scopes", ARRAY(Text), nullable=False),  # schemas.access.Scope; none permits nothing
    moment("created_at", always=True),
    moment("expires_at"),
    moment("revoked_at"),
    Column("revoked_by", Text),  # who ended it; `API_KEY`: another first key took its place
    CheckConstraint("scopes <@ '{message,session,admin,vouch}'::text[]", name="scopes"),
    Index("api_keys_name_key", "name", unique=True, postgresql_where=text("revoked_at IS NULL")),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    moment("at", always=True),
    Column("actor", Text, nullable=False),
    Column("deed", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", JSONB, nullable=False, server_default=OBJECT),
    Index("audit_subject_idx", "subject", "at"),
)
