"""A customer's conversation as callers of the API see it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from schemas.standing import Owner
from schemas.turns import State


class SessionThread(BaseModel):
    """The Perplexity thread the conversation goes on in; all None before the first answer."""

    backend_uuid: str | None = None
    frontend_context_uuid: str | None = None
    thread_url_slug: str | None = None
    collection_uuid: str | None = None
    account_name: str | None = None


class ThreadEnd(StrEnum):
    """Why a thread is not gone on in. An ended thread stays ended; its ids are kept.

        in use ──reset──▶ reset            it started over: the next question begins a new one
               ├─commit of a step──▶ lost │ replaced      a new one is in use
               └─merge──▶ merged           the conversation that goes on has its own
        replaced, from its first output on: that was withheld, and no answer of the thread counts

    Values are stored, so they never change their meaning.
    """

    RESET = "reset"  #: who asked for that wanted a new thread
    LOST = "lost"  #: upstream knew it no more
    REPLACED = "replaced"  #: an answer of another thread counts, and none of this one
    MERGED = "merged"  #: its customer turned out to be another one, whose thread goes on


class PastThread(SessionThread):
    """One of the threads a customer ever had. `ended_at` is None for the one in use."""

    created_at: datetime
    ended_at: datetime | None = None
    ended_because: ThreadEnd | None = None
    turns: int = 0


class ThreadHistory(SessionThread):
    """The thread in use, and every thread this customer ever had, newest first."""

    history: list[PastThread] = Field(default_factory=list)


class OpenQuestion(BaseModel):
    """An action that waits: for the customer's yes (`confirmation`, `text` is the question) or for staff (`approval`,
    `text` says what would be done, with which values). `reason` is why the model asks. `digest` binds an approval to
    exactly this action."""

    id: UUID
    kind: Literal["confirmation", "approval"]
    action: str
    text: str
    reason: str = ""
    expires_at: datetime
    digest: str


class Notification(BaseModel):
    """What was told to staff of a handoff, and whether it came there."""

    target: str
    status: str
    at: datetime
    error: str | None = None


class Handoff(BaseModel):
    """A human has the conversation, or is called. `opened_by`: `assistant` (an action), or who approved that or took
    it; `taken_by` is who took it last, from the bot or from whom it was called to, None: nobody yet."""

    id: UUID
    reason: str
    team: str
    since: datetime
    step: int | None = None
    """Of a ladder of steps, and when the next is due: None, for no handoff has a ladder."""
    next_step_at: datetime | None = None
    opened_by: str
    taken_by: str | None = None
    taken_at: datetime | None = None
    waiting_messages: int = 0
    """The customer's, that nobody has answered (`held` of the session)."""
    notifications: list[Notification] = Field(default_factory=list)


class Session(BaseModel):
    """Where a conversation stands. `run_id` is Temporal's newest run, None while none is known."""

    customer_id: str
    channel: str
    conversation_id: UUID
    workflow_id: str
    run_id: str | None = None
    assistant: str = "default"
    owner: Owner
    state: State
    """What callers see of the owner and of what is open."""
    thread: SessionThread
    pending_action: OpenQuestion | None = None
    """The newest of `questions`; None once its time is over."""
    questions: list[OpenQuestion] = Field(default_factory=list)
    tickets: list[str] = Field(default_factory=list)
    handoff: Handoff | None = None
    turns: int = 0
    waiting_messages: int = 0
    """Stored and not processed."""
    held: int = 0
    """Kept for a person, who has not answered them; nor has the bot, after a release."""
    last_message_at: datetime | None = None


class ChangedSession(Session):
    """The session after its owner changed. `in_flight`: requests with the bot's words that were under way by then."""

    in_flight: int = 0
