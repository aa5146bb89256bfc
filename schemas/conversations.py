"""What travels through Temporal: ids, numbers and states; never a word of the customer or the model.

Wire models never forbid extra fields and every new field has a default: a payload that no longer decodes would be
dropped without a trace (temporal.md, "What bites").
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from pydantic import BaseModel, Field

from schemas.turns import State, Verdict


class Thread(BaseModel):
    """The Perplexity thread a conversation goes on in. `backend_uuid` is of the newest accepted answer."""

    frontend_context_uuid: UUID
    backend_uuid: str | None = None
    thread_url_slug: str | None = None


class Limits(BaseModel):
    """Durations and bounds of one run of the workflow, fixed when it starts (settings of the same names)."""

    idle_end: timedelta = timedelta(days=1)
    turn_timeout: timedelta = timedelta(seconds=330)
    turn_heartbeat: timedelta = timedelta(seconds=15)
    turn_retry_pause: timedelta = timedelta(seconds=2)
    turn_retry_pause_max: timedelta = timedelta(minutes=1)
    turn_give_up: timedelta = timedelta(hours=1)
    record_timeout: timedelta = timedelta(seconds=30)
    continue_as_new_turns: int = 100
    continue_as_new_events: int = 1_200


class Memory(BaseModel):
    """All that a conversation remembers from one run to the next."""

    cursor: int = 0
    """Sequence number of the newest message that is worked off."""
    newest_seq: int = 0
    """Sequence number of the newest message we were told of."""
    state: State = State.BOT
    thread: Thread | None = None
    turns: int = 0
    last_verdict: Verdict | None = None
    last_turn_at: datetime | None = None


class ConversationStart(BaseModel):
    """Starts a run; `memory` is None for the first one, which then reads it from PostgreSQL."""

    conversation_id: UUID
    channel: str = ""
    assistant: str = "default"
    limits: Limits = Field(default_factory=Limits)
    memory: Memory | None = None


class MessageStored(BaseModel):
    """The wake-up: a message with this number is in the inbox."""

    seq: int


class MessageAnswered(BaseModel):
    """What the update `say` gives back: which message was worked off; the reply is read from PostgreSQL."""

    cursor: int
    gave_up: bool = False
    """The record could not be reached for long; the message is kept, and the next wake-up tries again."""


class TurnRequest(BaseModel):
    """Asks for the answer to the messages after `cursor`."""

    conversation_id: UUID
    cursor: int
    thread: Thread


class TurnOutcome(BaseModel):
    """What a turn came to. `cursor` is unchanged when there was nothing to answer."""

    cursor: int
    turn_id: UUID | None = None
    state: State = State.BOT
    verdict: Verdict | None = None
    thread: Thread | None = None


class Apologize(BaseModel):
    """Ends a turn whose tries are used up: `failure` and `apology` say why, and what the customer is told."""

    conversation_id: UUID
    cursor: int
    thread: Thread
    failure: str = "abandoned"


class ResetRequest(BaseModel):
    """Asks to begin anew; with `new_thread` the model forgets, and the old thread's ids stay on record."""

    conversation_id: UUID | None = None
    new_thread: bool = True
    requested_by: str = "operator"


class SessionChanged(BaseModel):
    """What an operator's update gives back."""

    state: State
    thread: Thread | None = None
