"""The database: customers, conversations, messages, turns, raw outputs, effects, tickets, people."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from storage.sql_files import execute_file

revision = "0001"
down_revision = None

CLOCK = Path(__file__).with_name("0001_clock.sql").read_text(encoding="utf-8")


def upgrade() -> None:
    op.execute(CLOCK)
    op.create_table(
        "account_calls",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("perplexity_account", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("account_calls_pkey")),
    )
    op.create_index(
        "account_calls_account_started_at_idx", "account_calls", ["perplexity_account", "started_at"], unique=False
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("api_keys_pkey")),
        sa.UniqueConstraint("key_hash", name=op.f("api_keys_key_hash_key")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("deed", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_pkey")),
    )
    op.create_index("audit_subject_idx", "audit", ["subject", "at"], unique=False)
    op.create_table(
        "configurations",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("assistant", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("configurations_pkey")),
        sa.UniqueConstraint("assistant", "version", name=op.f("configurations_assistant_version_key")),
    )
    op.create_table(
        "customers",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("customers_pkey")),
    )
    op.create_table(
        "rate_limits",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("arrival", sa.Float(), nullable=False),
        sa.Column("told_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("rate_limits_pkey")),
    )
    op.create_table(
        "stream_events",
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.PrimaryKeyConstraint("conversation_id", "first_seq", "n", name=op.f("stream_events_pkey")),
        prefixes=["UNLOGGED"],
    )
    op.create_index("stream_events_created_at_idx", "stream_events", ["created_at"], unique=False)
    op.create_table(
        "users",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("users_pkey")),
        sa.UniqueConstraint("email", name=op.f("users_email_key")),
    )
    op.create_table(
        "channel_identities",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("customer_id", sa.UUID(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("channel_identities_customer_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("channel_identities_pkey")),
        sa.UniqueConstraint("channel", "kind", "value", name=op.f("channel_identities_channel_kind_value_key")),
    )
    op.create_index(op.f("channel_identities_customer_id_idx"), "channel_identities", ["customer_id"], unique=False)
    op.create_table(
        "conversations",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("customer_id", sa.UUID(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), server_default="", nullable=False),
        sa.Column("assistant", sa.Text(), server_default="default", nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="bot", nullable=False),
        sa.Column("newest_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cursor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("turns", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_message_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.CheckConstraint("cursor <= newest_seq", name=op.f("conversations_cursor_check")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("conversations_customer_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("conversations_pkey")),
        sa.UniqueConstraint(
            "customer_id", "channel", "account", name=op.f("conversations_customer_id_channel_account_key")
        ),
        sa.UniqueConstraint("workflow_id", name=op.f("conversations_workflow_id_key")),
    )
    op.create_index(op.f("conversations_customer_id_idx"), "conversations", ["customer_id"], unique=False)
    op.create_index(
        "conversations_waiting_idx",
        "conversations",
        ["last_message_at"],
        unique=False,
        postgresql_where=sa.text("cursor < newest_seq"),
    )
    op.create_table(
        "handoffs",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("effect_key", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name=op.f("handoffs_conversation_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("handoffs_pkey")),
        sa.UniqueConstraint("effect_key", name=op.f("handoffs_effect_key_key")),
    )
    op.create_index(
        "handoffs_open_idx",
        "handoffs",
        ["conversation_id"],
        unique=True,
        postgresql_where=sa.text("released_at IS NULL"),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("author_name", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("id_scope", sa.Text(), nullable=False),
        sa.Column("channel_message_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), server_default="text", nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "sources",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "meta",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("turn_id", sa.UUID(), nullable=True),
        sa.Column("wants_stream", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stored_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.CheckConstraint("(direction = 'in') = (seq IS NOT NULL)", name=op.f("messages_seq_check")),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name=op.f("messages_conversation_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("messages_pkey")),
        sa.UniqueConstraint(
            "channel",
            "id_scope",
            "channel_message_id",
            name=op.f("messages_channel_id_scope_channel_message_id_key"),
        ),
        sa.UniqueConstraint("conversation_id", "seq", name=op.f("messages_conversation_id_seq_key")),
    )
    op.create_index(
        "messages_conversation_id_stored_at_idx", "messages", ["conversation_id", "stored_at"], unique=False
    )
    op.create_index(op.f("messages_turn_id_idx"), "messages", ["turn_id"], unique=False)
    op.create_table(
        "threads",
        sa.Column("frontend_context_uuid", sa.UUID(), nullable=False),
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("backend_uuid", sa.Text(), nullable=True),
        sa.Column("thread_url_slug", sa.Text(), nullable=True),
        sa.Column("collection_uuid", sa.Text(), nullable=True),
        sa.Column("account_name", sa.Text(), nullable=False),
        sa.Column("prompt_pack", sa.Text(), nullable=True),
        sa.Column("turns", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name=op.f("threads_conversation_id_fkey")),
        sa.PrimaryKeyConstraint("frontend_context_uuid", name=op.f("threads_pkey")),
    )
    op.create_index(op.f("threads_conversation_id_idx"), "threads", ["conversation_id"], unique=False)
    op.create_table(
        "tickets",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(always=False, start=1001), nullable=False),
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("effect_key", sa.Text(), nullable=False),
        sa.Column("desk", sa.Text(), server_default="builtin", nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), server_default="normal", nullable=False),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name=op.f("tickets_conversation_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("tickets_pkey")),
        sa.UniqueConstraint("desk", "external_id", name=op.f("tickets_desk_external_id_key")),
        sa.UniqueConstraint("effect_key", name=op.f("tickets_effect_key_key")),
        sa.UniqueConstraint("number", name=op.f("tickets_number_key")),
    )
    op.create_index(op.f("tickets_conversation_id_idx"), "tickets", ["conversation_id"], unique=False)
    op.create_table(
        "turns",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="1", nullable=False),
        sa.Column("unknown_attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("settled_attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), server_default="bot", nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("handler", sa.Text(), nullable=True),
        sa.Column("assistant_version", sa.Integer(), nullable=True),
        sa.Column("prompt_pack", sa.Text(), nullable=True),
        sa.Column("frontend_context_uuid", sa.UUID(), nullable=True),
        sa.Column("backend_uuid", sa.Text(), nullable=True),
        sa.Column("ticket_id", sa.Text(), nullable=True),
        sa.Column("model_ms", sa.Integer(), nullable=True),
        sa.Column("first_text_ms", sa.Integer(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name=op.f("turns_conversation_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("turns_pkey")),
        sa.UniqueConstraint("conversation_id", "first_seq", name=op.f("turns_conversation_id_first_seq_key")),
    )
    op.create_index("turns_finished_at_idx", "turns", ["finished_at"], unique=False)
    op.create_table(
        "actions",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("turn_id", sa.UUID(), nullable=False),
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("index", sa.Integer(), server_default="0", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "metadata",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("effect_key", sa.Text(), nullable=False),
        sa.Column("confirmation_by", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("asked_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("return_to", sa.Text(), server_default="bot", nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name=op.f("actions_conversation_id_fkey")),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.id"], name=op.f("actions_turn_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("actions_pkey")),
        sa.UniqueConstraint("turn_id", "index", name=op.f("actions_turn_id_index_key")),
        sa.UniqueConstraint("effect_key", name=op.f("actions_effect_key_key")),
    )
    op.create_index(op.f("actions_conversation_id_idx"), "actions", ["conversation_id"], unique=False)
    op.create_index(op.f("actions_turn_id_idx"), "actions", ["turn_id"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("message_id", sa.UUID(), nullable=False),
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("part", sa.Integer(), server_default="0", nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="planned", nullable=False),
        sa.Column("channel_message_id", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("deliveries_conversation_id_fkey")
        ),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name=op.f("deliveries_message_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("deliveries_pkey")),
        sa.UniqueConstraint("message_id", "part", name=op.f("deliveries_message_id_part_key")),
    )
    op.create_index(op.f("deliveries_channel_message_id_idx"), "deliveries", ["channel_message_id"], unique=False)
    op.create_index(op.f("deliveries_conversation_id_idx"), "deliveries", ["conversation_id"], unique=False)
    op.create_table(
        "effects",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("turn_id", sa.UUID(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="planned", nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column(
            "request",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("planned_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.Column("sending_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name=op.f("effects_conversation_id_fkey")),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.id"], name=op.f("effects_turn_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("effects_pkey")),
        sa.UniqueConstraint("key", name=op.f("effects_key_key")),
    )
    op.create_index(op.f("effects_conversation_id_idx"), "effects", ["conversation_id"], unique=False)
    op.create_index("effects_status_idx", "effects", ["status", "sending_at"], unique=False)
    op.create_index(op.f("effects_turn_id_idx"), "effects", ["turn_id"], unique=False)
    op.create_table(
        "raw_outputs",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("turn_id", sa.UUID(), nullable=False),
        sa.Column("conversation_id", sa.UUID(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.Text(), server_default="answer", nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column(
            "errors",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "notes",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("explanation", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("prompt_pack", sa.Text(), nullable=True),
        sa.Column("backend_uuid", sa.Text(), nullable=True),
        sa.Column("model_ms", sa.Integer(), nullable=True),
        sa.Column("first_text_ms", sa.Integer(), nullable=True),
        sa.Column("used", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("agent_now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("raw_outputs_conversation_id_fkey")
        ),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.id"], name=op.f("raw_outputs_turn_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("raw_outputs_pkey")),
    )
    op.create_index(op.f("raw_outputs_conversation_id_idx"), "raw_outputs", ["conversation_id"], unique=False)
    op.create_index(op.f("raw_outputs_turn_id_idx"), "raw_outputs", ["turn_id"], unique=False)
    op.create_index("raw_outputs_verdict_idx", "raw_outputs", ["verdict", "created_at"], unique=False)
    execute_file(Path(__file__).with_name("0001_functions.sql"))


def downgrade() -> None:
    raise RuntimeError("The first migration is not undone: restore a backup instead.")
