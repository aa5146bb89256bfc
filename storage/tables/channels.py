"""What goes out over channels, the files that come in, what could not be read, and how much may come."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB

from storage.tables.columns import LIST, id_column, metadata, moment, reference

deliveries = Table(
    "deliveries",
    metadata,
    id_column(),
    reference("message_id", "messages.id", index=False),
    reference("conversation_id", "conversations.id"),
    Column("part", Integer, nullable=False, server_default="0"),
    Column("channel", Text, nullable=False),
    # planned → sending → queued | sent → delivered → read; failed: it surely did not arrive; unknown: nobody knows
    Column("status", Text, nullable=False, server_default="planned"),
    Column("kind", Text, nullable=False, server_default="text"),  # text | buttons | template
    Column("text", Text, nullable=False, server_default=""),  # as it is sent
    Column("choices", JSONB, nullable=False, server_default=LIST),  # the buttons
    Column("channel_message_id", Text, index=True),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("unknown_sends", Integer, nullable=False, server_default="0"),  # of which nobody knows whether they arrived
    Column("fence", BigInteger, nullable=False, server_default="0"),
    Column("failure", Text),
    Column("error", JSONB),
    moment("sending_at"),
    moment("accepted_at"),  # when the channel took it
    moment("created_at", always=True),
    moment("updated_at", always=True),
    UniqueConstraint("message_id", "part"),
    Index("deliveries_status_idx", "status", "updated_at"),
)

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
    Column("status", Text, nullable=False, server_default="due"),  # due | kept | refused
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
