"""A message on its way in: what an API process hands to the inbox, and what the inbox says of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.conversation_ref import ConversationRef
from schemas.turns import State


class MessageKind(StrEnum):
    """What a message is. Values are stored, so they never change their meaning.

        stored as it came ──taken back while it waits or is held──▶ deleted

    So does what staff took back on the phone itself. A kind changes in no other way: an edit puts other words into a
    message, and is a message of its own.
    """

    TEXT = "text"
    BUTTON = "button"  # a tapped button, of ours or of a template
    LIST = "list"  # a chosen row of a list
    FORM = "form"  # a filled-in WhatsApp Flow
    REACTION = "reaction"  # an emoji put on a message, or taken back
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    DOCUMENT = "document"
    STICKER = "sticker"
    LOCATION = "location"
    CONTACTS = "contacts"
    ORDER = "order"
    WELCOME = "welcome"  # the chat was opened for the first time, nothing was written yet
    UNSUPPORTED = "unsupported"  # WhatsApp itself cannot pass it on (polls, view-once, …)
    SYSTEM = "system"  # the customer's number or id changed
    EDIT = "edit"  # new words for the message `concerns`
    DELETE = "delete"  # the message `concerns` was taken back
    ECHO = "echo"  # staff wrote this on the phone itself; `identities` are the customer's
    UNKNOWN = "unknown"  # of a type, or in a shape, that is not known here
    DELETED = "deleted"  # was something else, until the customer took it back
    HELD = "held"  # ours: asks for an answer to earlier messages, which were held
    NOTE = "note"  # ours: for staff alone


class IdentityKind(StrEnum):
    """Kinds of keys. Values are stored, so they never change their meaning."""

    CUSTOMER_ID = "customer_id"  # as a caller of the API names them
    PHONE = "phone"  # E.164 digits; passes to another person sooner or later
    USER_ID = "user_id"  # the channel's own, for one business; never another person's
    PARENT_USER_ID = "parent_user_id"  # the channel's own, shared by several portfolios of one business


class CustomerIdentity(BaseModel):
    """One key by which a channel knows a customer; `kind` is an IdentityKind."""

    model_config = ConfigDict(frozen=True)

    kind: str
    value: str


class RateLimit(BaseModel):
    """So many messages under `key`: `per_minute` in the long run (0: no limit), `burst` at once."""

    model_config = ConfigDict(frozen=True)

    key: str
    per_minute: float
    burst: int


def limit_key(*names: str) -> str:
    """A key that tells nobody who it is about."""
    return sha256("/".join(names).encode()).hexdigest()


class IncomingMessage(BaseModel):
    """One verified message of a customer.

    `id_scope` is that within which `channel_message_id` is unique: the customer for HTTP (two customers may count
    from 1), our own number for WhatsApp. `identities` are all of one customer, the most telling first.
    """

    channel: str
    account: str = ""
    assistant: str = "default"
    identities: list[CustomerIdentity] = Field(min_length=1)
    display_name: str | None = None
    id_scope: str
    channel_message_id: str
    kind: MessageKind = MessageKind.TEXT
    text: str
    meta: dict[str, Any] = Field(default_factory=dict)
    sent_at: datetime | None = None
    wants_stream: bool = False
    request_id: str | None = None
    limits: list[RateLimit] = Field(default_factory=list)

    @property
    def content_hash(self) -> str:
        """Tells whether a message that comes again under one id is really the same."""
        return content_hash(self.kind, self.text)


def content_hash(kind: str, text: str) -> str:
    return sha256(f"{kind}\n{text}".encode()).hexdigest()


class ChannelMessage(BaseModel):
    """What a webhook brought, for the inbox: a message, or with `speaks` False an event that asks for no answer.

    `account` is our own number at the channel; `concerns` the channel id of the message that is edited, deleted or
    reacted to; `media` has `{id, mime_type, sha256, filename, voice}` for each file; `raw` is as it came.
    `of_another`: another sender has the conversation; it is kept, and nobody here answers, whatever it changes.
    `revises`: of an echo, whether it edits or takes back (`edit`, `delete`) the one that it concerns.
    """

    account: str
    channel_message_id: str
    identities: list[CustomerIdentity] = Field(min_length=1)
    new_identities: list[CustomerIdentity] = Field(default_factory=list)
    display_name: str | None = None
    username: str | None = None
    kind: MessageKind
    speaks: bool
    of_another: bool = False
    revises: MessageKind | None = None
    text: str = ""
    choice_id: str | None = None
    reply_to: str | None = None
    concerns: str | None = None
    sent_at: datetime | None = None
    media: list[dict[str, Any]] = Field(default_factory=list)
    raw: dict[str, Any] = Field(default_factory=dict)
    limits: list[RateLimit] = Field(default_factory=list)

    @property
    def meta(self) -> dict[str, Any]:
        """What is stored beside the text: only what there is."""
        names = ("choice_id", "reply_to", "concerns", "username", "media", "raw")
        return {name: value for name in names if (value := getattr(self, name))}


class BatchOptions(BaseModel):
    """`accounts`: ours, apart from those that assistants name; None takes any. `edited` begins a late edit's text.
    `silence_seconds`: so long a number is silent until another name on it raises a doubt whose it is.

    Of what is over a limit: the customer is told once in *tell_seconds*, and it waits for *wait_seconds* at most.
    """

    accounts: list[str] | None = None
    edited: str = "[The customer corrected an earlier message, which now reads:]\n"
    tell_seconds: float = 600.0
    wait_seconds: float = 60.0
    silence_seconds: float = 7_776_000.0
    request_id: str | None = None


class BatchOutcome(BaseModel):
    """What became of one message of a batch: new, repeated, noted (an event) or unknown_account (an account not ours).

    `merged`: a conversation that ended by the batch; another one of its customer goes on, and it is to be told.
    """

    outcome: Literal["new", "repeated", "noted", "unknown_account", "merged"]
    ref: ConversationRef | None = None


class StoredMessage(ConversationRef):
    """What the inbox knows. `is_new` is false for a message that came before; `turn_id` is set once a turn took it
    to its end: answered, or held."""

    message_id: UUID
    channel_message_id: str
    """Its sender's own name for it."""
    state: State
    is_new: bool
    same_content: bool
    turn_id: UUID | None = None


class WaitingMessage(BaseModel):
    """A stored message as the turn takes it."""

    id: UUID
    seq: int
    kind: MessageKind
    text: str
    choice_id: str | None = None
    """The id of the button that was pressed, where the channel has them."""
    reply_to: str | None = None
    """Channel id of the message that the customer quotes."""
    channel_message_id: str | None = None
    limited: str | None = None
    """Over the customer's limit: `tell` them so, or `quiet` if they were told."""
    waits_until: datetime | None = None
    """Over the customer's limit: before, the model is not asked about it."""
    sent_at: datetime | None = None
    """By the channel's own clock, where it tells."""
    stored_at: datetime
    wants_stream: bool = False
    request_id: str | None = None

    @property
    def counts(self) -> bool:
        """Whether it is to be answered: words of the customer that were not taken back meanwhile.

        A message of kind `held` only asks for an answer to earlier ones, which a person had and did not answer.
        """
        return self.kind not in {MessageKind.DELETED, MessageKind.HELD}

    @property
    def is_written(self) -> bool:
        """Whether the text is words that the customer wrote: no title of a button or a row, no caption."""
        return self.kind is MessageKind.TEXT and self.choice_id is None
