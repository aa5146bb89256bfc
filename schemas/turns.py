"""A turn: one or more messages of the customer, and what came back. The shape callers of the API see."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.turn_record import TurnStatus


class State(StrEnum):
    """Who has the conversation, and what it waits for."""

    BOT = "bot"
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    HUMAN_HANDOFF = "human_handoff"
    TICKET_OPEN = "ticket_open"
    CLOSED = "closed"


class Verdict(StrEnum):
    """What one raw output of the model was found to be."""

    TEXT = "text"
    ACTION = "action"
    INVALID = "invalid"


class Source(BaseModel):
    """A cited page. `n` is the number in the text's `[n]`, from 1."""

    model_config = ConfigDict(frozen=True)

    n: int
    title: str
    url: str


class Reply(BaseModel):
    """What the customer is shown."""

    text: str
    sources: list[Source] = Field(default_factory=list)


class ErrorCode(StrEnum):
    """What kind of thing is wrong with a raw output. Stable: values are stored, and compared by scripts."""

    SEVERAL_ACTIONS = "several_actions"  #: at most one is allowed
    CUT_OFF = "cut_off"  #: its object is not closed
    NOT_ALONE = "not_alone"  #: there is other text around the object, or another object around the action
    NOT_WHOLE = "not_whole"  #: an action was begun, but not as one JSON object
    OUTPUT_TOO_LONG = "output_too_long"
    NOTHING_SAID = "nothing_said"  #: no word is left of it for the customer: a comment, a tag, a picture
    NOT_JSON = "not_json"
    DUPLICATE_KEY = "duplicate_key"
    UNKNOWN_ACTION = "unknown_action"
    UNKNOWN_ENDPOINT = "unknown_endpoint"
    UNKNOWN_FIELD = "unknown_field"
    MISSING = "missing"
    BLANK = "blank"
    WRONG_TYPE = "wrong_type"
    NOT_ALLOWED = "not_allowed"  #: none of the values that there are
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    OUT_OF_RANGE = "out_of_range"
    WRONG_PATTERN = "wrong_pattern"
    INVALID = "invalid"  #: breaks another rule of the schema


class OutputError(BaseModel):
    """One thing that is wrong with a raw output. `path` is a JSON pointer into it, or empty."""

    path: str = ""
    message: str
    code: ErrorCode


class Attempt(BaseModel):
    """One raw output of the model, or one failure to get one."""

    raw_output_id: UUID
    verdict: Verdict | None = None
    errors: list[OutputError] = Field(default_factory=list)
    failure: str | None = None
    raw_output: str | None = None
    """Only in `GET /api/session/{customer_id}/turns`."""


class Drift(BaseModel):
    """An output that could not be used: what to look at before the Space's instructions are mended."""

    raw_output_id: UUID
    created_at: datetime
    conversation_id: UUID
    turn_id: UUID
    channel: str
    assistant: str
    purpose: str
    errors: list[OutputError]
    raw_output: str
    prompt_pack: str | None = None
    """The version of the prompt pack it was asked with; `unknown` if nobody said what the Space holds."""
    pack_echoed: str | None = None
    """The version that the output itself names."""
    turn_status: str


class TurnThread(BaseModel):
    backend_uuid: str | None = None
    frontend_context_uuid: str | None = None


class TurnAction(BaseModel):
    action: str
    reason: str
    metadata: dict[str, Any] = Field(default_factory=dict)
    status: Literal[
        "planned",
        "awaiting_confirmation",
        "sending",
        "confirmed",
        "failed",
        "unknown",
        "refused",
        "cancelled",
        "expired",
    ]
    result: dict[str, Any] | None = None


class Timings(BaseModel):
    """Milliseconds: the model's own time over all attempts, and from storing the message to storing the reply."""

    model_ms: int | None = None
    total_ms: int | None = None
    first_text_ms: int | None = None


class Turn(BaseModel):
    """The answer of `POST /api/message`. `reply` is None while a human has the conversation."""

    turn_id: UUID
    conversation_id: UUID
    message_id: str
    status: TurnStatus | None = None
    """`withheld`: a person took the conversation before it was finished; the reply is for staff to see."""
    state: State
    reply: Reply | None = None
    action: TurnAction | None = None
    verdict: Verdict | None = None
    attempts: list[Attempt] = Field(default_factory=list)
    thread: TurnThread = Field(default_factory=TurnThread)
    ticket_id: str | None = None
    timings: Timings = Field(default_factory=Timings)
    finished_at: datetime

    def veiled(self) -> Turn:
        """For who may not see raw outputs: without them, and without errors, which quote them."""
        attempts = [each.model_copy(update={"raw_output": None, "errors": []}) for each in self.attempts]
        return self.model_copy(update={"attempts": attempts})
