"""What was asked and what came back: turns, raw outputs, actions, the ledger of effects and what they made."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
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

turns = Table(
    "turns",
    metadata,
    id_column(),
    reference("conversation_id", "conversations.id", index=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("status", Text, nullable=False),  # schemas.turn_record.TurnStatus draws the life cycle
    Column("step", Integer, nullable=False, server_default="0"),  # the fence of outcomes: each commit raises it
    Column("commit_id", UUID(as_uuid=True)),  # of the commit that made this step
    Column("purpose", Text, nullable=False, server_default="answer"),  # of this step's prompt
    Column("attempt", Integer, nullable=False, server_default="1"),  # the fence: each take raises it
    Column("unknown_attempts", Integer, nullable=False, server_default="0"),  # attempts whose outcome nobody knows
    Column("times_asked", Integer, nullable=False, server_default="0"),  # how often this step's prompt was put
    Column("repairs", Integer, nullable=False, server_default="0"),  # invalid outputs that were asked again
    Column("rounds", Integer, nullable=False, server_default="0"),  # results that went back to the model
    Column("state", Text, nullable=False, server_default="bot"),  # the conversation's, once the turn is finished
    Column("owner_version", BigInteger, nullable=False, server_default="0"),  # the owner's when its step was claimed
    Column("thread_version", BigInteger, nullable=False, server_default="0"),  # the owner's when its thread was chosen
    Column("verdict", Text),
    Column("failure", Text),  # schemas.turn_record.TurnFailure, or a ModelFailureKind
    Column("handler", Text),
    Column("assistant_version", Integer),
    Column("prompt_pack", Text),
    Column("frontend_context_uuid", UUID(as_uuid=True)),
    Column("backend_uuid", Text),  # of the newest accepted output
    Column("newest_backend_uuid", Text),  # of the newest output, accepted or not: the turn's next prompt follows it
    Column("ticket_id", Text),
    Column("model_ms", Integer),
    Column("first_text_ms", Integer),
    moment("started_at", always=True),
    moment("finished_at"),
    UniqueConstraint("conversation_id", "first_seq"),
    Index("turns_kept_idx", "conversation_id", "first_seq", postgresql_where=text("status IN ('held', 'withheld')")),
    Index("turns_finished_at_idx", "finished_at"),
)

raw_outputs = Table(
    "raw_outputs",
    metadata,
    id_column(),
    reference("turn_id", "turns.id"),
    reference("conversation_id", "conversations.id"),
    Column("attempt", Integer, nullable=False),
    Column("purpose", Text, nullable=False, server_default="answer"),
    Column("verdict", Text),
    Column("errors", JSONB, nullable=False, server_default=LIST),
    Column("notes", JSONB, nullable=False, server_default=LIST),
    Column("failure", Text),  # schemas.failures.ModelFailureKind
    Column("explanation", Text),
    Column("text", Text, nullable=False, server_default=""),
    Column("details", JSONB, nullable=False, server_default=OBJECT),
    Column("prompt_pack", Text),  # asked with: sent along, or pasted into the Space, else `unknown`
    Column("pack_echoed", Text),  # the version that an action says it was written under
    Column("backend_uuid", Text),
    Column("model_ms", Integer),
    Column("first_text_ms", Integer),
    # False: its attempt failed, or another attempt's output was committed first; nothing came of this one.
    Column("used", Boolean, nullable=False, server_default=text("true")),
    moment("created_at", always=True),
    Index("raw_outputs_verdict_idx", "verdict", "created_at"),
)

effects = Table(
    "effects",
    metadata,
    id_column(),
    Column("key", Text, nullable=False, unique=True),  # of an action: conversation/seq/index; of a part: message/part
    Column("kind", Text, nullable=False),  # action:<name> | part
    reference("conversation_id", "conversations.id"),
    reference("turn_id", "turns.id", null=True),
    reference("message_id", "messages.id", null=True),  # whose part it is
    Column("owner_version", BigInteger),  # the owner's that it belongs to; null: staff's, claimed under any
    Column("status", Text, nullable=False, server_default="planned"),  # schemas.effects.EffectStatus draws its life
    Column("request", JSONB, nullable=False, server_default=OBJECT),
    Column("request_hash", Text, nullable=False, server_default=""),  # tells a repetition
    Column("recovery", Text, nullable=False, server_default="none"),  # schemas.effects.Recovery
    Column("fence", BigInteger, nullable=False, server_default="0"),
    Column("failed_fence", BigInteger),  # of the newest attempt that the channel reported as failed
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("unknown_attempts", Integer, nullable=False, server_default="0"),  # of which nobody knows what came
    moment("not_before"),  # nobody takes it up before that: a pause, or the lease of who has claimed it
    moment("deadline"),  # no further try after it
    moment("planned_at", always=True),
    moment("claimed_at"),
    moment("settled_at"),
    Column("result", JSONB),
    Column("external_id", Text),  # what the other side calls it: a ticket's id, a channel's message id
    Column("reached", Text),  # how far a part came, as its channel says: queued → sent → delivered → read; deleted
    Column("failure", Text),  # schemas.effects.EffectFailure or a SendFailureKind, as far as that is decided
    Column("error", JSONB),
    Column("settled_by", Text),  # the person who said what became of an unknown one, …
    Column("note", Text),  # … and how they know
    Index("effects_external_id_idx", "external_id", postgresql_where=text("kind = 'part'")),
    Index("effects_open_idx", "planned_at", postgresql_where=text("status IN ('planned', 'sending')")),
    Index("effects_planned_at_idx", "planned_at", "id", postgresql_where=text("kind <> 'part'")),
)

actions = Table(
    "actions",
    metadata,
    id_column(),
    reference("turn_id", "turns.id"),
    reference("conversation_id", "conversations.id"),
    Column("index", Integer, nullable=False, server_default="0"),
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("metadata", JSONB, nullable=False, server_default=OBJECT),
    Column("status", Text, nullable=False),  # schemas.actions.ActionStatus; what came of it: its effect
    Column("digest", Text, nullable=False),  # what a confirmation is bound to: this very question
    Column("request_hash", Text, nullable=False),  # the same for the same parameters: tells a repetition
    Column("effect_key", Text, nullable=False, unique=True),
    Column("confirmation_by", Text),
    Column("decided_by", Text),
    Column("decided_version", BigInteger),  # the owner's, as staff's decision read it
    Column("asked_seq", BigInteger, nullable=False, server_default="0"),  # newest message when it was asked about
    Column("side_effect", Boolean, nullable=False, server_default=text("true")),  # false: it only reads
    Column("stands", Boolean, nullable=False, server_default=text("true")),  # done, it outlasts the turn
    Column("recovery", Text, nullable=False, server_default="none"),  # of its effect, once it is accepted
    Column("assistant", Text, nullable=False),  # whose configuration it was accepted under; a merge keeps it
    Column("assistant_version", Integer),  # the configuration it was accepted under
    moment("expires_at"),
    moment("created_at", always=True),
    moment("settled_at"),  # when it was decided: by the customer, by staff, or by time
    UniqueConstraint("turn_id", "index"),
    Index("actions_open_idx", "conversation_id", postgresql_where=text("status = 'awaiting_confirmation'")),
)

tickets = Table(
    "tickets",
    metadata,
    id_column(),
    Column("number", BigInteger, Identity(start=1001), nullable=False, unique=True),
    reference("conversation_id", "conversations.id"),
    Column("effect_key", Text, nullable=False, unique=True),
    Column("desk", Text, nullable=False, server_default="builtin"),
    Column("external_id", Text),
    Column("subject", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("priority", Text, nullable=False, server_default="normal"),
    Column("category", Text),
    Column("status", Text, nullable=False, server_default="open"),  # storage.desk.TicketState
    moment("created_at", always=True),
    moment("updated_at", always=True),
    UniqueConstraint("desk", "external_id"),
)

handoffs = Table(
    "handoffs",
    metadata,
    id_column(),
    reference("conversation_id", "conversations.id", index=False),
    Column("effect_key", Text, unique=True),
    Column("team", Text, nullable=False),  # sales | support
    Column("reason", Text, nullable=False),
    Column("details", JSONB, nullable=False, server_default=OBJECT),
    moment("opened_at", always=True),
    Column("opened_by", Text, nullable=False),
    moment("released_at"),
    Column("released_by", Text),
    Index("handoffs_open_idx", "conversation_id", unique=True, postgresql_where=text("released_at IS NULL")),
)

account_calls = Table(
    "account_calls",
    metadata,
    id_column(),
    Column("perplexity_account", Text, nullable=False),
    Column("turn_id", UUID(as_uuid=True), index=True),  # whose call it is: its next attempt takes the slot over
    moment("started_at", always=True),
    Column("expires_at", DateTime(timezone=True), nullable=False),  # a lease: renewed while the call is out
    moment("ended_at"),
    Index("account_calls_account_started_at_idx", "perplexity_account", "started_at"),
)

account_places = Table(
    "account_places",
    metadata,
    Column("conversation_id", UUID(as_uuid=True), primary_key=True),  # one place each, however many messages wait
    Column("perplexity_account", Text, nullable=False),
    moment("queued_at", always=True),
    moment("seen_at", always=True),  # a place whose conversation does not come again is given up
    Index("account_places_account_idx", "perplexity_account", "queued_at"),
)
"""The queue of conversations that wait for an account: first come, first served."""

pasted_packs = Table(
    "pasted_packs",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("assistant", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("pasted_by", Text, nullable=False),
    moment("pasted_at", always=True),
    Column("collection_uuid", Text, nullable=False),
    Index("pasted_packs_assistant_idx", "assistant", "pasted_at"),
)
"""Which version of an assistant's prompt pack somebody confirmed as pasted into which Space."""
