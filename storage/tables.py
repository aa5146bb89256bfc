"""The schema of the whole product, as SQLAlchemy sees it; `migrations/` makes it.

One conversation is the spine: `messages` (in and out) hang on it with a sequence number, `turns` answer ranges of
those numbers, `raw_outputs` keep what the model really wrote, `effects` is the ledger of everything visible outside.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

_now = text("now()")
_random = text("gen_random_uuid()")
_object = text("'{}'::jsonb")
_list = text("'[]'::jsonb")


def _id() -> Column[object]:
    return Column("id", UUID(as_uuid=True), primary_key=True, server_default=_random)


def _at(name: str, *, always: bool = False) -> Column[object]:
    """A moment; *always*: never empty, by default now."""
    if always:
        return Column(name, DateTime(timezone=True), nullable=False, server_default=_now)
    return Column(name, DateTime(timezone=True))


def _ref(name: str, target: str, *, null: bool = False, index: bool = True) -> Column[object]:
    return Column(name, UUID(as_uuid=True), ForeignKey(target), nullable=null, index=index)


customers = Table(
    "customers",
    metadata,
    _id(),
    Column("display_name", Text),
    _at("created_at", always=True),
    _at("erased_at"),
)

channel_identities = Table(
    "channel_identities",
    metadata,
    _id(),
    _ref("customer_id", "customers.id"),
    Column("channel", Text, nullable=False),
    Column("kind", Text, nullable=False),  # customer_id | phone | user_id | username
    Column("value", Text, nullable=False),
    _at("created_at", always=True),
    UniqueConstraint("channel", "kind", "value"),
)

conversations = Table(
    "conversations",
    metadata,
    _id(),
    _ref("customer_id", "customers.id"),
    Column("channel", Text, nullable=False),
    Column("account", Text, nullable=False, server_default=""),  # our own number or account on the channel
    Column("assistant", Text, nullable=False, server_default="default"),
    Column("workflow_id", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False, server_default="bot"),
    Column("last_seq", BigInteger, nullable=False, server_default="0"),  # newest stored message
    Column("cursor", BigInteger, nullable=False, server_default="0"),  # newest worked-off message
    Column("turns", Integer, nullable=False, server_default="0"),
    _at("last_message_at"),
    _at("created_at", always=True),
    UniqueConstraint("customer_id", "channel", "account"),
    CheckConstraint("cursor <= last_seq", name="cursor"),
    Index("conversations_waiting_idx", "last_message_at", postgresql_where=text("cursor < last_seq")),
)

threads = Table(
    "threads",
    metadata,
    # The thread's frontend_context_uuid, which we make ourselves.
    Column("frontend_context_uuid", UUID(as_uuid=True), primary_key=True),
    _ref("conversation_id", "conversations.id"),
    Column("backend_uuid", Text),  # of the newest accepted answer
    Column("thread_url_slug", Text),
    Column("collection_uuid", Text),
    Column("account_name", Text, nullable=False),
    Column("prompt_pack", Text),  # version of the pack the thread was last told
    Column("turns", Integer, nullable=False, server_default="0"),
    _at("created_at", always=True),
    _at("updated_at", always=True),
    _at("ended_at"),
    Column("end_reason", Text),
)

messages = Table(
    "messages",
    metadata,
    _id(),
    _ref("conversation_id", "conversations.id", index=False),
    Column("seq", BigInteger),  # incoming ones only
    Column("direction", Text, nullable=False),  # in | out | event (a reaction, an edit, a note: asks for no answer)
    Column("author", Text, nullable=False),  # customer | assistant | agent
    Column("author_name", Text),
    Column("channel", Text, nullable=False),
    # Within which scope the channel's message id is unique: the customer for HTTP, our number for WhatsApp.
    Column("id_scope", Text, nullable=False),
    Column("channel_message_id", Text),
    Column("kind", Text, nullable=False, server_default="text"),
    Column("text", Text, nullable=False),
    Column("content_hash", Text, nullable=False, server_default=""),
    Column("sources", JSONB, nullable=False, server_default=_list),
    Column("meta", JSONB, nullable=False, server_default=_object),
    Column("turn_id", UUID(as_uuid=True), index=True),  # outgoing ones: the turn they answer
    Column("wants_stream", Boolean, nullable=False, server_default=text("false")),
    Column("request_id", Text),
    # Outgoing ones on a channel that we send over: due until each part is delivered or given up, then done.
    Column("delivery", Text),
    _at("sent_at"),
    _at("stored_at", always=True),
    UniqueConstraint("channel", "id_scope", "channel_message_id"),
    UniqueConstraint("conversation_id", "seq"),
    Index("messages_conversation_id_stored_at_idx", "conversation_id", "stored_at"),
    Index("messages_due_idx", "stored_at", postgresql_where=text("delivery = 'due'")),
    CheckConstraint("(direction = 'in') = (seq IS NOT NULL)", name="seq"),
)

turns = Table(
    "turns",
    metadata,
    _id(),
    _ref("conversation_id", "conversations.id", index=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    # asking: an attempt may have put the question · failed: the last attempt settled without an answer ·
    # invalid: the output cannot be used, a repair is due · acting: an accepted action is under way ·
    # resulted: its result is there, the final words are due · answered | apologised | held: the end
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default="1"),  # the fence: each take raises it
    Column("unsettled", Integer, nullable=False, server_default="0"),  # attempts whose outcome nobody knows
    Column("settled_attempts", Integer, nullable=False, server_default="0"),  # those of the turn's earlier steps
    Column("state", Text, nullable=False, server_default="bot"),
    Column("verdict", Text),
    Column("failure", Text),
    Column("handler", Text),
    Column("assistant_version", Integer),
    Column("prompt_pack", Text),
    Column("frontend_context_uuid", UUID(as_uuid=True)),
    Column("backend_uuid", Text),
    Column("ticket_id", Text),
    Column("model_ms", Integer),
    Column("first_text_ms", Integer),
    _at("started_at", always=True),
    _at("finished_at"),
    UniqueConstraint("conversation_id", "first_seq"),
    Index("turns_finished_at_idx", "finished_at"),
)

raw_outputs = Table(
    "raw_outputs",
    metadata,
    _id(),
    _ref("turn_id", "turns.id"),
    _ref("conversation_id", "conversations.id"),
    Column("attempt", Integer, nullable=False),
    Column("purpose", Text, nullable=False, server_default="answer"),  # answer | repair | result
    Column("verdict", Text),
    Column("errors", JSONB, nullable=False, server_default=_list),
    Column("notes", JSONB, nullable=False, server_default=_list),
    Column("failure", Text),
    Column("explanation", Text),
    Column("text", Text, nullable=False, server_default=""),
    Column("details", JSONB, nullable=False, server_default=_object),
    Column("prompt_pack", Text),
    Column("backend_uuid", Text),
    Column("model_ms", Integer),
    Column("first_text_ms", Integer),
    # False: another attempt's output was committed first, and this one was not used.
    Column("used", Boolean, nullable=False, server_default=text("true")),
    _at("created_at", always=True),
    Index("raw_outputs_verdict_idx", "verdict", "created_at"),
)

effects = Table(
    "effects",
    metadata,
    _id(),
    Column("key", Text, nullable=False, unique=True),  # conversation/seq/action index[/part]
    _ref("conversation_id", "conversations.id"),
    _ref("turn_id", "turns.id", null=True),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="planned"),  # planned|sending|confirmed|failed|unknown
    Column("request_hash", Text, nullable=False),
    Column("request", JSONB, nullable=False, server_default=_object),
    Column("external_id", Text),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("fence", BigInteger, nullable=False, server_default="0"),
    Column("result", JSONB),
    Column("error", Text),
    _at("planned_at", always=True),
    _at("sending_at"),
    _at("settled_at"),
    Index("effects_status_idx", "status", "sending_at"),
)

actions = Table(
    "actions",
    metadata,
    _id(),
    _ref("turn_id", "turns.id"),
    _ref("conversation_id", "conversations.id"),
    Column("index", Integer, nullable=False, server_default="0"),
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("metadata", JSONB, nullable=False, server_default=_object),
    Column("status", Text, nullable=False),
    Column("digest", Text, nullable=False),  # what a confirmation is bound to: this very question
    Column("request_hash", Text, nullable=False),  # the same for the same parameters: tells a repetition
    Column("effect_key", Text, nullable=False, unique=True),
    Column("confirmation_by", Text),
    Column("decided_by", Text),
    Column("asked_seq", BigInteger, nullable=False, server_default="0"),  # newest message when it was asked back
    Column("return_to", Text, nullable=False, server_default="bot"),
    _at("expires_at"),
    Column("result", JSONB),
    _at("created_at", always=True),
    _at("settled_at"),
    UniqueConstraint("turn_id", "index"),
)

tickets = Table(
    "tickets",
    metadata,
    _id(),
    Column("number", BigInteger, Identity(start=1001), nullable=False, unique=True),
    _ref("conversation_id", "conversations.id"),
    Column("effect_key", Text, nullable=False, unique=True),
    Column("desk", Text, nullable=False, server_default="builtin"),
    Column("external_id", Text),
    Column("subject", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("priority", Text, nullable=False, server_default="normal"),
    Column("category", Text),
    Column("status", Text, nullable=False, server_default="open"),
    _at("created_at", always=True),
    _at("updated_at", always=True),
    UniqueConstraint("desk", "external_id"),
)

handoffs = Table(
    "handoffs",
    metadata,
    _id(),
    _ref("conversation_id", "conversations.id", index=False),
    Column("effect_key", Text, unique=True),
    Column("team", Text, nullable=False),  # sales | support
    Column("reason", Text, nullable=False),
    Column("details", JSONB, nullable=False, server_default=_object),
    _at("opened_at", always=True),
    Column("opened_by", Text, nullable=False),
    _at("released_at"),
    Column("released_by", Text),
    Index("handoffs_open_idx", "conversation_id", unique=True, postgresql_where=text("released_at IS NULL")),
)

deliveries = Table(
    "deliveries",
    metadata,
    _id(),
    _ref("message_id", "messages.id", index=False),
    _ref("conversation_id", "conversations.id"),
    Column("part", Integer, nullable=False, server_default="0"),
    Column("channel", Text, nullable=False),
    # planned → sending → queued | sent → delivered → read; failed: it surely did not arrive; unknown: nobody knows
    Column("status", Text, nullable=False, server_default="planned"),
    Column("kind", Text, nullable=False, server_default="text"),  # text | buttons | template
    Column("text", Text, nullable=False, server_default=""),  # as it is sent
    Column("choices", JSONB, nullable=False, server_default=_list),  # the buttons
    Column("channel_message_id", Text, index=True),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("fence", BigInteger, nullable=False, server_default="0"),
    Column("failure", Text),
    Column("error", JSONB),
    _at("sending_at"),
    _at("created_at", always=True),
    _at("updated_at", always=True),
    UniqueConstraint("message_id", "part"),
    Index("deliveries_status_idx", "status", "updated_at"),
)

media = Table(
    "media",
    metadata,
    _id(),
    _ref("message_id", "messages.id", index=False),
    _ref("conversation_id", "conversations.id"),
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
    _at("created_at", always=True),
    _at("updated_at", always=True),
    UniqueConstraint("message_id", "n"),
    Index("media_due_idx", "updated_at", postgresql_where=text("status = 'due'")),
)

# What a channel sent that could not be read or is not for us: kept as it came, without effect.
leftovers = Table(
    "leftovers",
    metadata,
    _id(),
    Column("channel", Text, nullable=False),
    Column("account", Text),
    Column("why", Text, nullable=False),
    Column("raw", JSONB),
    _at("received_at", always=True),
    Index("leftovers_received_at_idx", "received_at"),
)

configurations = Table(
    "configurations",
    metadata,
    _id(),
    Column("assistant", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("created_by", Text, nullable=False),
    _at("created_at", always=True),
    UniqueConstraint("assistant", "version"),
)

users = Table(
    "users",
    metadata,
    _id(),
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, server_default=""),
    Column("role", Text, nullable=False),
    Column("password_hash", Text),
    _at("created_at", always=True),
    _at("disabled_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False, unique=True),  # SHA-256; keys have ≥ 128 random bits
    Column("scopes", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    _at("created_at", always=True),
    _at("expires_at"),
    _at("revoked_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _at("at", always=True),
    Column("actor", Text, nullable=False),
    Column("deed", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", JSONB, nullable=False, server_default=_object),
    Index("audit_subject_idx", "subject", "at"),
)

account_calls = Table(
    "account_calls",
    metadata,
    _id(),
    Column("account", Text, nullable=False),
    _at("started_at", always=True),
    Column("expires_at", DateTime(timezone=True), nullable=False),  # a dead caller's slot frees itself
    _at("ended_at"),
    Index("account_calls_account_started_at_idx", "account", "started_at"),
)

rate_limits = Table(
    "rate_limits",
    metadata,
    Column("key", Text, primary_key=True),
    Column("arrival", Float, nullable=False),  # GCRA's theoretical arrival time, Unix seconds
    Column("told_at", Float),  # when the customer was last told of the limit, Unix seconds
)

stream_events = Table(
    "stream_events",
    metadata,
    Column("conversation_id", UUID(as_uuid=True), primary_key=True),
    Column("first_seq", BigInteger, primary_key=True),
    Column("n", BigInteger, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),  # chunk | reset
    Column("text", Text, nullable=False, server_default=""),
    _at("created_at", always=True),
    Index("stream_events_created_at_idx", "created_at"),
    prefixes=["UNLOGGED"],
)
