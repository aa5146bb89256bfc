"""Replies on their way out: what is due, the parts it is sent in, and how far each has come."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from schemas.conversation_ref import ConversationRef
from schemas.effects import EffectFailure, EffectStatus
from schemas.turns import Source

PartKind = Literal["text", "buttons", "template"]


class PlannedPart(BaseModel):
    """One message of the channel, ready to send. `text` of a template is its name and language."""

    part: int
    kind: PartKind = "text"
    text: str
    choices: list[dict[str, str]] = Field(default_factory=list)


class Part(PlannedPart):
    """A part in the ledger. `fence`: each claim raises it; who holds an older one may not write."""

    id: UUID
    key: str
    status: EffectStatus
    attempts: int = 0
    unknown_attempts: int = 0
    """Those of which nobody knows whether they arrived."""
    fence: int = 0
    failed_fence: int | None = None
    """Of the attempt that the channel last said failed."""
    owner_version: int | None = None
    not_before: datetime | None = None
    claimed_at: datetime | None = None
    failure: str | None = None
    """Why it was not sent, as far as that is decided; empty for a failure that the channel has only just reported."""
    error: dict[str, Any] | None = None

    @property
    def is_over(self) -> bool:
        """The channel has it, or it is given up; a failure only just reported is still to be decided about."""
        given_up = self.status is EffectStatus.FAILED and self.failure is not None
        return given_up or self.status is EffectStatus.CONFIRMED

    @property
    def is_in_doubt(self) -> bool:
        """It was begun, and nobody knows what came of it."""
        return self.status in (EffectStatus.SENDING, EffectStatus.UNKNOWN)

    @property
    def may_have_arrived(self) -> bool:
        """In doubt, or an attempt before one that was not taken is: as `may_have_arrived` in the database."""
        is_planned = self.status is EffectStatus.PLANNED
        return self.is_in_doubt or (is_planned and self.unknown_attempts > (self.failed_fence is not None))

    @property
    def delivery_id(self) -> str:
        """What the channel gets, and brings back with each status of this attempt: see `read_delivery_id`."""
        return f"{self.id}.{self.fence}"


def read_delivery_id(value: str | None) -> tuple[UUID | None, int | None]:
    """The delivery and the attempt that *value* names; nothing for what is not ours."""
    name, _, fence = (value or "").partition(".")
    try:
        return UUID(name), int(fence) if fence.isascii() and fence.isdigit() and len(fence) < 10 else None
    except ValueError:
        return None, None


class Address(BaseModel):
    """By which keys a customer is written to: none, where all of them are somebody else's by now."""

    phone: str | None = None
    user_id: str | None = None

    @property
    def is_known(self) -> bool:
        return self.phone is not None or self.user_id is not None


class DueMessage(Address):
    """A reply that is not delivered yet, with all that sending needs. `parts` is empty until it is planned.

    The address is that of the customer when it was read; `wrote_at` is when they last wrote, by the channel's clock.
    """

    id: UUID
    conversation_id: UUID
    text: str
    sources: list[Source] = Field(default_factory=list)
    meta: dict[str, Any] = Field(default_factory=dict)
    stored_at: datetime
    owner_version: int | None = None
    """The owner's that the bot's words belong to; None for staff's."""
    channel: str
    account: str
    assistant: str
    assistant_version: int | None = None
    wrote_at: datetime | None = None
    superseded: bool = False
    """An interim notice whose answer has come meanwhile; or words that something is open, which is so no more (but for
    those that a take-over withholds, to be answered anew)."""
    parts: list[Part] = Field(default_factory=list)

    @property
    def is_in_doubt(self) -> bool:
        """Whether of some of it nobody knows yet whether it has left."""
        return any(part.is_in_doubt for part in self.parts)

    @property
    def leaves_after_all(self) -> bool:
        """Whether a part is of the time before the message was withheld, which it is not any more."""
        return any(
            part.owner_version != self.owner_version
            and (part.status is EffectStatus.PLANNED or part.failure == EffectFailure.WITHHELD)
            for part in self.parts
        )

    @property
    def is_withheld(self) -> bool:
        """Whether a part was withheld, so that the message is, once all of it is over."""
        return any(part.failure == EffectFailure.WITHHELD for part in self.parts)


class MessageDelivery(StrEnum):
    """Where a reply stands on its way out, all of it (`messages.delivery`; None: it is not ours to send).

        due ──all parts settled──▶ done
         │                          └──a part failed after all, or is resent──▶ due
         ├──erased──▶ done
         └──another owner has the conversation──▶ withheld ──told after all──▶ due

    On a channel that we do not send over, a reply is withheld or None.
    """

    DUE = "due"  #: parts are to be planned, sent, or decided about
    DONE = "done"  #: each part is delivered, or given up
    WITHHELD = "withheld"  #: kept and not sent, for its owner's version is over


class DeliveryState(StrEnum):
    """How far a part came, as people see it: the ledger's status, and for what the channel took its own reports.

        due ──▶ sending ──▶ sent ──▶ delivered ──▶ read           queued: the channel took it, and has not sent it
         │         │         └──▶ failed ──resend──▶ due          deleted: after any that the channel took
         │         ├──▶ failed
         │         └──▶ unknown ──a status, or a human──▶ sent … failed ; ──resend──▶ sending
         └──▶ withheld ──told after all──▶ due

    The ledger's side of it: `schemas.effects`; the channel's: `record_statuses`.
    """

    DUE = "due"  #: not begun
    SENDING = "sending"  #: begun; nobody has heard what came of it
    QUEUED = "queued"  #: the channel has it
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    DELETED = "deleted"  #: taken back at the channel
    FAILED = "failed"  #: surely not arrived
    UNKNOWN = "unknown"  #: nobody knows
    WITHHELD = "withheld"  #: not sent, for another owner has the conversation


class Delivery(BaseModel):
    """A part as people see it. `error` is for staff."""

    id: UUID
    conversation_id: UUID
    message_id: UUID
    part: int
    kind: str | None
    text: str
    status: DeliveryState
    attempt: int
    failure: str | None
    error: str | None
    channel_message_id: str | None
    created_at: datetime
    settled_at: datetime | None


class DeliveryList(BaseModel):
    """Newest first. `next_before` is None on the last page."""

    deliveries: list[Delivery]
    next_before: str | None


class Resent(BaseModel):
    """A part that is due once more, and whom to tell."""

    delivery: Delivery
    ref: ConversationRef


class StatusReport(BaseModel):
    """What a channel says of a message of ours. `delivery_id` is the one we sent it with, where that comes back."""

    channel_message_id: str
    status: str
    delivery_id: UUID | None = None
    fence: int | None = None
    error: dict[str, Any] | None = None


class Leftover(BaseModel):
    """What a webhook brought that cannot be read or is not for us: kept as it came, and why. `account` is ours, if it
    could be read."""

    account: str | None = None
    why: str
    raw: Any = None
