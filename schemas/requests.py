"""What callers of the HTTP API send. Strict: a word in the place of true or false is refused, not interpreted."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from schemas.channels import PROVIDERS, PUSH_CHANNELS
from schemas.visible import shows_something

_CONTROLS = frozenset(["Cc", "Zl", "Zp"])
"""Unicode's groups of control characters and of line and paragraph breaks. What joins or directs letters (Cf) and what
is no letter yet (Cn, Co) are parts of names."""


def storable(value: str) -> str:
    """PostgreSQL stores no NUL, UTF-8 has no lone surrogates."""
    if "\x00" in value:
        raise ValueError("must not hold a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("must not hold a lone surrogate") from None
    return value


def not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


def seen(value: str) -> str:
    """Words for people."""
    if not shows_something(value):
        raise ValueError("must not be blank: nothing of it can be seen")
    return value


def _one_line(value: str) -> str:
    if any(unicodedata.category(letter) in _CONTROLS for letter in value):
        raise ValueError("must hold no control character and no line break")
    return value


def _by_calls(channel: str) -> str:
    """Words for a customer of such a channel would begin a second conversation, which hides the real one."""
    if channel in PUSH_CHANNELS or channel in PROVIDERS:
        raise ValueError(f"messages of {channel} come by its webhook; for a call of yours choose another name")
    return channel


Text = Annotated[str, AfterValidator(storable), AfterValidator(seen)]
CustomerId = Annotated[
    str,
    Field(min_length=1, max_length=256),
    AfterValidator(storable),
    AfterValidator(seen),
    AfterValidator(_one_line),
]
MessageId = Annotated[
    str,
    Field(min_length=1, max_length=200),
    AfterValidator(storable),
    AfterValidator(seen),
    AfterValidator(_one_line),
]
AgentName = MessageId
Note = Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(storable), AfterValidator(seen)]
ChannelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
AssistantName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class MessageRequest(BaseModel):
    """A customer's message. Send the same `message_id` again whenever you did not get the answer: it is given once."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {"customer_id": "c-1042", "text": "Do you deliver to Penang?", "message_id": "m-1"},
                {"customer_id": "c-1042", "text": "And how long does it take?", "channel": "web"},
            ]
        },
    )

    customer_id: CustomerId = Field(description="Your own name for the customer")
    text: Text = Field(description="What the customer wrote; at most MESSAGE_MAX_CHARACTERS")
    message_id: MessageId | None = Field(
        default=None, description="Your own name for the message, unique for this customer; made up if missing"
    )
    channel: Annotated[ChannelName, AfterValidator(_by_calls)] = Field(
        default="http",
        description="Conversations of one customer are kept apart by channel. `whatsapp` has a webhook of its own",
    )
    assistant: AssistantName = Field(default="default", description="Which bot answers a new conversation")


class StateBody(BaseModel):
    """Who has the conversation from now on."""

    model_config = ConfigDict(extra="forbid", strict=True)

    state: Literal["bot", "human_handoff", "closed"]
    reason: Annotated[str, Field(max_length=500), AfterValidator(storable)] = ""


class ApprovalBody(BaseModel):
    """Staff's answer to the pending action with this digest (`pending_action.digest` of the session)."""

    model_config = ConfigDict(extra="forbid", strict=True)

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    approved: bool
    agent_name: AgentName


class QuestionBody(BaseModel):
    """A human's answer to an open question."""

    model_config = ConfigDict(extra="forbid", strict=True)

    approved: bool
    agent_name: AgentName


class ReplyBody(BaseModel):
    """What a human writes to the customer."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Text
    agent_name: AgentName


class ReplyTaken(BaseModel):
    """The reply as it is recorded."""

    message_id: UUID
    conversation_id: UUID


class ResetBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    new_thread: bool = Field(default=True, description="Also begin a new Perplexity thread; the old one's ids are kept")
