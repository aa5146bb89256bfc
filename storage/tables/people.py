"""Who may do what: configuration with versions, users, keys, the audit."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
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

from storage.tables.columns import OBJECT, id_column, metadata, moment, reference

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
    Column("role", Text, nullable=False),  # schemas.access.Role
    Column("password_hash", Text),
    Column("teams", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("slack", Text),  # their id there
    Column("whatsapp", Text),  # their number, its digits
    Column("language", Text),
    Column("hours", Text),  # when they work, as `mon-fri 09:00-18:00`
    Column("away", Boolean, nullable=False, server_default=text("false")),
    moment("created_at", always=True),
    moment("disabled_at"),
    CheckConstraint("role IN ('viewer', 'agent', 'admin')", name="role"),
)

user_sessions = Table(
    "user_sessions",
    metadata,
    id_column(),
    reference("user_id", "users.id", null=True),  # null: whoever opened the link of the start
    Column("token_hash", LargeBinary, nullable=False, unique=True),  # SHA-256 of what the cookie holds
    Column("link_hash", LargeBinary, unique=True),  # of the link it came by, which no other session comes by
    Column("address", Text, nullable=False),  # the client's, as far as TRUSTED_PROXIES tells it
    Column("browser", Text, nullable=False),  # as it calls itself
    moment("created_at", always=True),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    moment("ended_at"),
)
"""Who is signed in, and was lately."""

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
