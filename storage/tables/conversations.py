"""Who writes, on which channel; the conversation, its threads, its messages, and what is shown of an answer."""

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
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from storage.tables.columns import LIST, OBJECT, id_column, metadata, moment, reference

customers = Table(
    "customers",
    metadata,
    id_column(),
    Column("display_name", Text),
    moment("created_at", always=True),
    moment("erased_at"),
    reference("merged_into", "customers.id", null=True),  # the customer who this one turned out to be
)

channel_identities = Table(
    "channel_identities",
    metadata,
    id_column(),
    reference("customer_id", "customers.id"),
    Column("channel", Text, nullable=False),
    Column("kind", Text, nullable=False),  # schemas.messages.IdentityKind
    Column("value", Text, nullable=False),
    moment("created_at", always=True),
    moment("seen_at", always=True),  # the newest event by the customer that came with it, by the channel's clock
    # Last proven by the channel; None: a caller only says so, or whose it is came into doubt (storage/sql/keys.sql).
    moment("verified_at"),
    Column("known_with", Text),  # of a number: the user id that it last came with
    UniqueConstraint("channel", "kind", "value"),
)

former_identities = Table(
    "former_identities",
    metadata,
    id_column(),
    reference("customer_id", "customers.id"),
    Column("channel", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("known_with", Text),
    Column("until", DateTime(timezone=True), nullable=False),
    moment("created_at", always=True),
    Index("former_identities_channel_kind_value_until_idx", "channel", "kind", "value", "until"),
)
"""Who had a key before, and until when by the channel's clock: what they wrote with it until then is theirs."""

conversations = Table(
    "conversations",
    metadata,
    id_column(),
    reference("customer_id", "customers.id"),
    Column("channel", Text, nullable=False),
    Column("account", Text, nullable=False, server_default=""),  # our own number or account on the channel
    Column("assistant", Text, nullable=False, server_default="default"),
    Column("workflow_id", Text, nullable=False, unique=True),
    Column("owner", Text, nullable=False, server_default="bot"),  # schemas.standing.Owner; see the view `standings`
    Column("owner_version", BigInteger, nullable=False, server_default="0"),  # each change of the owner raises it
    Column("taken_version", BigInteger, nullable=False, server_default="0"),  # of the newest take-over by a person
    Column("thread_version", BigInteger, nullable=False, server_default="0"),  # since then a new thread is wanted
    Column("newest_seq", BigInteger, nullable=False, server_default="0"),  # newest stored message
    Column("cursor", BigInteger, nullable=False, server_default="0"),  # newest processed message
    Column("closed_seq", BigInteger, nullable=False, server_default="0"),  # newest when it was closed from outside
    Column("stopped_seq", BigInteger),  # newest message when an operator cancelled the run: nobody wakes it for that
    Column("turns", Integer, nullable=False, server_default="0"),
    moment("last_message_at"),
    moment("created_at", always=True),
    reference("merged_into", "conversations.id", null=True),  # the one that goes on: what is open moved there
    moment("merged_at"),
    # How often another was merged into it, or words that waited were revised.
    Column("merges", Integer, nullable=False, server_default="0"),
    moment("merges_told_at"),  # its thread knows what was said in those that were merged into it before
    Index(
        "conversations_customer_id_channel_account_key",
        "customer_id",
        "channel",
        "account",
        unique=True,
        postgresql_where=text("merged_into IS NULL"),
    ),
    CheckConstraint("cursor <= newest_seq", name="cursor"),
    Index("conversations_waiting_idx", "last_message_at", postgresql_where=text("cursor < newest_seq")),
)

threads = Table(
    "threads",
    metadata,
    # The thread's frontend_context_uuid, which we make ourselves.
    Column("frontend_context_uuid", UUID(as_uuid=True), primary_key=True),
    reference("conversation_id", "conversations.id"),
    Column("backend_uuid", Text),  # of the newest accepted answer
    Column("thread_url_slug", Text),
    Column("collection_uuid", Text),
    Column("account_name", Text, nullable=False),
    Column("prompt_pack", Text),  # version of the pack the thread was last told
    Column("turns", Integer, nullable=False, server_default="0"),
    moment("created_at", always=True),
    moment("updated_at", always=True),
    moment("ended_at"),
    Column("end_reason", Text),  # schemas.sessions.ThreadEnd
)

messages = Table(
    "messages",
    metadata,
    id_column(),
    reference("conversation_id", "conversations.id", index=False),
    Column("seq", BigInteger),  # incoming ones only
    Column("direction", Text, nullable=False),  # in | out | event (a reaction, an edit, a note: asks for no answer)
    Column("author", Text, nullable=False),  # customer | assistant | agent
    Column("author_name", Text),
    Column("channel", Text, nullable=False),
    # Within which scope the channel's message id is unique: the customer for HTTP, our number for WhatsApp.
    Column("id_scope", Text, nullable=False),
    Column("channel_message_id", Text),
    Column("kind", Text, nullable=False, server_default="text"),  # schemas.messages.MessageKind
    Column("text", Text, nullable=False),
    Column("content_hash", Text, nullable=False, server_default=""),
    Column("sources", JSONB, nullable=False, server_default=LIST),
    Column("meta", JSONB, nullable=False, server_default=OBJECT),
    Column("turn_id", UUID(as_uuid=True), index=True),  # outgoing ones: the turn they answer
    Column("wants_stream", Boolean, nullable=False, server_default=text("false")),
    Column("request_id", Text),
    Column("delivery", Text),  # outgoing ones: schemas.deliveries.MessageDelivery
    # Outgoing ones of the bot: the owner's version they belong to. Staff's own have none.
    Column("owner_version", BigInteger),
    moment("sent_at"),
    moment("stored_at", always=True),
    moment("moved_at"),  # a merge brought it to this conversation: what staff said here before does not answer it
    UniqueConstraint("channel", "id_scope", "channel_message_id"),
    UniqueConstraint("conversation_id", "seq"),
    Index("messages_asks_idx", text("(meta ->> 'asks')"), postgresql_where=text("(meta ->> 'asks') IS NOT NULL")),
    Index("messages_conversation_id_stored_at_idx", "conversation_id", "stored_at"),
    Index("messages_due_idx", "stored_at", postgresql_where=text("delivery = 'due'")),
    Index("messages_due_of_idx", "conversation_id", postgresql_where=text("delivery = 'due'")),
    Index("messages_held_idx", "conversation_id", postgresql_where=text("kind = 'held'")),
    Index("messages_withheld_idx", "conversation_id", postgresql_where=text("delivery = 'withheld'")),
    CheckConstraint("(direction = 'in') = (seq IS NOT NULL)", name="seq"),
)

transitions = Table(
    "transitions",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    reference("conversation_id", "conversations.id", index=False),
    Column("version", BigInteger, nullable=False),  # the owner's, afterwards
    Column("from_owner", Text, nullable=False),
    Column("to_owner", Text, nullable=False),
    Column("why", Text, nullable=False),  # schemas.transitions.Event
    Column("who", Text, nullable=False),
    Column("turn_id", UUID(as_uuid=True)),
    moment("at", always=True),
    Index("transitions_conversation_id_idx", "conversation_id", "id"),
)
"""Every change of who has a conversation and of what is open in it; never changed, never deleted."""

stream_events = Table(
    "stream_events",
    metadata,
    Column("conversation_id", UUID(as_uuid=True), primary_key=True),
    Column("first_seq", BigInteger, primary_key=True),
    Column("n", BigInteger, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),  # chunk | reset
    Column("text", Text, nullable=False, server_default=""),
    moment("created_at", always=True),
    Index("stream_events_created_at_idx", "created_at"),
    prefixes=["UNLOGGED"],
)
