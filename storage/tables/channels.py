"""The files that come in over channels, what could not be read, and how much may come."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB

from storage.tables.columns import id_column, metadata, moment, reference

media = Table(
    "media",
    metadata,
    id_column(),
    reference("message_id", "messages.id", index=False),
    reference("conversation_id", "conversations.id"),
    Column("n", Integer, nullable=False),
    Column("channel", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("channel_media_id", Text, nullable=False),
    Column("mime_type", Text, nullable=False),
    Column("announced_sha256", Text),
    Column("filename", Text),
    Column("status", Text, nullable=False, server_default="due"),  # storage.media.MediaState
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("problem", Text),
    Column("sha256", Text),  # of the kept bytes: the file's name in MEDIA_DIR
    Column("size", BigInteger),
    moment("created_at", always=True),
    moment("updated_at", always=True),
    UniqueConstraint("message_id", "n"),
    Index("media_due_idx", "updated_at", postgresql_where=text("status = 'due'")),
)

# What a channel sent that could not be read or is not for us: kept as it came, without effect.
leftovers = Table(
    "leftovers",
    metadata,
    id_column(),
    Column("channel", Text, nullable=False),
    Column("account", Text),
    Column("why", Text, nullable=False),
    Column("raw", JSONB),
    moment("received_at", always=True),
    Index("leftovers_received_at_idx", "received_at"),
)

rate_limits = Table(
    "rate_limits",
    metadata,
    Column("key", Text, primary_key=True),
    Column("arrival", Float, nullable=False),  # GCRA's theoretical arrival time, Unix seconds
    Column("told_at", Float),  # when the customer was last told of the limit, Unix seconds
)
