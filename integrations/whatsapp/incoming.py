"""What WhatsApp brings us, in our own words: the first stop behind a verified webhook, before the inbox."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from integrations.channels.port import MediaRef
from schemas.deliveries import Leftover
from schemas.messages import CustomerIdentity, MessageKind

CUSTOMER_SPEAKS = frozenset(MessageKind) - {
    MessageKind.REACTION,
    MessageKind.SYSTEM,
    MessageKind.EDIT,
    MessageKind.DELETE,
    MessageKind.ECHO,
    MessageKind.WELCOME,
    MessageKind.HELD,
    MessageKind.DELETED,
    MessageKind.NOTE,
}
"""Kinds that ask for an answer. The others change what is stored, and whether one is answered is a policy."""


class InboundMessage(BaseModel):
    """One message, for the inbox. All text is free of NUL characters and lone surrogates (PostgreSQL takes neither).

    `account` is our own number at the channel (Meta: phone number id; Twilio: digits), `channel_message_id` is unique
    within it. `identities` are of one customer: `phone` (E.164 digits without +), `user_id` (business-scoped) and
    `parent_user_id`, whichever came. `username` is for showing only: it can pass to another person, so nothing may be
    keyed on it. `text` is what the model shall read, a description as text where the message is no text.
    """

    account: str
    channel_message_id: str
    identities: list[CustomerIdentity] = Field(min_length=1)
    username: str | None = None
    profile_name: str | None = None
    sent_at: datetime | None = None
    """UTC by the channel's clock; None if unreadable. One far in the future is replaced by the time of receipt."""
    kind: MessageKind
    text: str = ""
    choice_id: str | None = None
    """The id we gave to the tapped button or chosen row."""
    reply_to: str | None = None
    """Channel id of the message that the customer answers to by quoting it."""
    concerns: str | None = None
    """Channel id of the message that is edited, deleted or reacted to."""
    revises: MessageKind | None = None
    """Of an ECHO: it edits (EDIT) or takes back (DELETE) the one of ours that it `concerns`."""
    new_identities: list[CustomerIdentity] = Field(default_factory=list)
    """Of a SYSTEM message: by what the same customer, known by `identities` until now, is known from now on."""
    of_another: bool = False
    """Another sender has the conversation: it is kept, and nobody here answers."""
    group_id: str | None = None
    media: list[MediaRef] = Field(default_factory=list)
    raw: dict[str, Any] = Field(default_factory=dict)


class DeliveryStatus(StrEnum):
    """How far a message of ours came, as a channel reports it, repeated and in any order.

        queued ──▶ sent ──▶ delivered ──▶ read        only forward; steps may be left out
           └─────────┴──▶ failed                      only what never arrived; final
        any but failed ──▶ deleted                    final

    The SQL function `record_statuses` applies this to the ledger.
    """

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    DELETED = "deleted"


class ChannelError(BaseModel):
    """An error as the channel reported it. `code` is None where it sent none."""

    model_config = ConfigDict(frozen=True)

    code: int | None = None
    text: str = ""


class StatusUpdate(BaseModel):
    """What the channel says about a message of ours. `delivery_id` is the one we sent it with, if it comes back."""

    account: str
    channel_message_id: str
    status: DeliveryStatus
    delivery_id: str | None = None
    at: datetime | None = None
    identities: list[CustomerIdentity] = Field(default_factory=list)
    errors: list[ChannelError] = Field(default_factory=list)
    raw: dict[str, Any] = Field(default_factory=dict)


class ParsedBatch(BaseModel):
    """All that one webhook call brought. `ignored` has no effect: other fields, and parts of what is taken."""

    messages: list[InboundMessage] = Field(default_factory=list)
    statuses: list[StatusUpdate] = Field(default_factory=list)
    unreadable: list[Leftover] = Field(default_factory=list)
    ignored: list[Leftover] = Field(default_factory=list)
