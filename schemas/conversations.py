"""What travels through Temporal: ids, numbers and states; never a word of the customer or the model.

Wire models never forbid extra fields and every new field has a default: a payload that no longer decodes would be
dropped without a trace.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, Field

from schemas.standing import Standing
from schemas.turns import State, Verdict


class Thread(BaseModel):
    """The Perplexity thread a conversation goes on in. `backend_uuid` is of the newest accepted answer.

    Its slug stays in the database: upstream makes it of the customer's words.
    """

    frontend_context_uuid: UUID
    backend_uuid: str | None = None


class Limits(BaseModel):
    """Durations and bounds of one run of the workflow, read when it begins (settings of the same names)."""

    idle_end: timedelta = timedelta(days=1)
    turn_timeout: timedelta = timedelta(seconds=330)
    turn_heartbeat: timedelta = timedelta(seconds=15)
    turn_retry_pause: timedelta = timedelta(seconds=2)
    turn_retry_pause_max: timedelta = timedelta(minutes=1)
    turn_give_up: timedelta = timedelta(hours=1)
    database_activity_timeout: timedelta = timedelta(seconds=30)
    action_timeout: timedelta = timedelta(minutes=11)
    delivery_timeout: timedelta = timedelta(minutes=2)
    delivery_give_up: timedelta = timedelta(hours=1)
    delivery_pause: timedelta = timedelta(minutes=1)
    """After a delivery that was given up, until it is tried anew."""
    quiet: timedelta = timedelta()
    """How long the customer must have been quiet before a turn begins; zero: it begins at once."""
    quiet_cap: timedelta = timedelta(seconds=8)
    continue_as_new_turns: int = 100
    continue_as_new_events: int = 1_200


class Deadlines(BaseModel):
    """By kind: the moment from which something is due. One timer serves the earliest; they outlive the run.

    A kind more (a handoff's ladder) is a field here and its duty in `workflows.policy`.
    """

    quiet: datetime | None = None
    """The debounce window's end: the customer has written to the end."""
    quiet_cap: datetime | None = None
    """The latest end that further messages may move it to."""
    room: datetime | None = None
    """The account may have room for the turn's call by then."""
    delivery: datetime | None = None
    """A delivery that was given up is tried anew; None: at once, if one is due."""
    expiry: datetime | None = None
    """The first open question or approval expires."""
    idle: datetime | None = None
    """Nobody has written for so long that the run may end."""


class WorkflowState(BaseModel):
    """All that a conversation's workflow carries from one run to the next."""

    cursor: int = 0
    """Sequence number of the newest message that is processed."""
    newest_seq: int = 0
    """Sequence number of the newest message we were told of."""
    state: State = State.BOT
    standing: Standing = Field(default_factory=Standing)
    thread: Thread | None = None
    turns: int = 0
    ticket_id: str | None = None
    last_verdict: Verdict | None = None
    delivery_due: bool = False
    """A reply waits to be sent over the channel."""
    deadlines: Deadlines = Field(default_factory=Deadlines)
    files_due: bool = False
    """Files came that are not fetched yet."""
    merged: bool = False
    """The customer turned out to be another one, with whose conversation it goes on."""


class ConversationStart(BaseModel):
    """Starts a run. `workflow_state` is what the run before it knew of wake-ups; the rest is read from PostgreSQL."""

    conversation_id: UUID
    channel: str = ""
    assistant: str = "default"
    limits: Limits = Field(default_factory=Limits)
    workflow_state: WorkflowState | None = None


class LoadedState(BaseModel):
    """What a run begins with: what is stored, and the limits of the worker that read it."""

    workflow_state: WorkflowState
    limits: Limits


class HandOver(BaseModel):
    """Asks for what is left in a merged conversation to be handed to the one that goes on; safe to ask again."""

    conversation_id: UUID


class Stop(BaseModel):
    """Notes that an operator cancelled the conversation's run."""

    conversation_id: UUID


class Expire(BaseModel):
    """Asks for the conversation's questions and approvals whose time is over to be ended, and told."""

    conversation_id: UUID


class MessageStored(BaseModel):
    """The wake-up: a message with this number is in the inbox."""

    seq: int
    files: bool = False
    """With files, which are to be fetched."""


class MessageAnswered(BaseModel):
    """What the update `await_reply` gives back: which message was processed; the reply is read from PostgreSQL."""

    cursor: int
    gave_up: bool = False
    """Its turn could not be taken for long (the database is away), or an operator cancelled the run; the message is
    kept, and the next wake-up tries again."""


class TurnRequest(BaseModel):
    """Asks for the next step of the turn after `cursor`: the answer, a repair, or the words after a result."""

    conversation_id: UUID
    cursor: int
    thread: Thread


class NextStep(StrEnum):
    """What a turn needs next."""

    FINISHED = "finished"
    REPAIR = "repair"  # the output was invalid: ask once more, quoting the errors
    PERFORM = "perform"  # an action is accepted and planned: do it
    CONCLUDE = "conclude"  # an action's result is there: ask the model for the final words
    AGAIN = "again"  # the conversation started over meanwhile: ask from the beginning
    WAIT = "wait"  # the account takes no further call now: come again after `wait`


class TurnOutcome(BaseModel):
    """What a turn came to. `cursor` is unchanged when there was nothing to answer, or the turn is not finished.

    Until it is finished, `thread` is where its next prompt goes on; it is kept only with an accepted answer.
    """

    cursor: int
    turn_id: UUID | None = None
    state: State = State.BOT
    standing: Standing | None = None
    """After the turn; None: not known, the workflow reads it where the turn may have changed it."""
    verdict: Verdict | None = None
    thread: Thread | None = None
    step: NextStep = NextStep.FINISHED
    action_id: UUID | None = None
    ticket_id: str | None = None
    needs_delivery: bool = False
    """A reply waits to be sent over the channel."""
    wait: timedelta = timedelta()
    """With the step `wait`: how long the turn keeps its place before it asks again."""
    waiting_seq: int | None = None
    """The newest message's number, where the turn's end leaves some to be answered."""


class Perform(BaseModel):
    """Asks for a planned action to be done; safe to ask again."""

    action_id: UUID


class Apologize(BaseModel):
    """Ends a turn whose tries are used up; `failure` says why, and decides what the customer is told."""

    conversation_id: UUID
    cursor: int
    thread: Thread
    failure: str = "abandoned"


class Deliver(BaseModel):
    """Asks for the replies that are due to be sent over the conversation's channel; safe to ask again."""

    conversation_id: UUID


class Delivered(BaseModel):
    """How many parts the channel took."""

    parts: int = 0
    waiting_seq: int | None = None
    """The newest message's number, where withheld words leave some to be answered."""


class FetchFiles(BaseModel):
    """Asks for the files that are due in a conversation to be fetched; safe to ask again."""

    conversation_id: UUID


class StateRequest(BaseModel):
    """An operator's change of who has the conversation, by hand. Names stand in PostgreSQL: this one is nobody's."""

    state: State
    conversation_id: UUID | None = None


class ApprovalDecision(BaseModel):
    """Staff's answer to an action that waits for their approval. Another digest than the pending one does nothing."""

    digest: str
    approved: bool
    by: int | None = None
    """The entry of the audit that names who decided; None: what was decided is carried on, or an operator decides."""
    for_customer: bool = False
    """Also a question that the customer was asked: somebody of staff answers in their place."""
    conversation_id: UUID | None = None


class ResetRequest(BaseModel):
    """Asks to start over; with `new_thread` the model forgets, and the old thread's ids are kept."""

    conversation_id: UUID | None = None
    new_thread: bool = True


class SessionChanged(BaseModel):
    """What an operator's update gives back."""

    state: State
    standing: Standing | None = None
    thread: Thread | None = None
    needs_delivery: bool = False
    waiting_seq: int | None = None
    """The newest message's number, where the change leaves some to be answered."""
    decided: bool = True
    """Of a decision: it is the one that holds. False where the action was decided otherwise, or had ended, before."""
