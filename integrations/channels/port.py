"""A channel that replies go out over, in our own words: plan a reply in parts, ask whether one may go, send it.

How text is rendered, when a channel lets us write and what its error codes mean stay behind this port. Implemented by
`integrations/whatsapp/channel.py`; activities know nothing below it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from integrations.channels.failures import SendFailureKind
from schemas.deliveries import PlannedPart
from schemas.turns import Source


class Recipient(BaseModel):
    """To whom: E.164 digits, the channel's own id of the person, or both (the phone then wins)."""

    model_config = ConfigDict(frozen=True)

    phone: str | None = Field(default=None, pattern=r"^[0-9]{5,15}$")
    user_id: str | None = Field(default=None, min_length=1, max_length=128)

    @model_validator(mode="after")
    def _reachable(self) -> Recipient:
        if not (self.phone or self.user_id):
            raise ValueError("a phone number or a user id is needed")
        return self


class Choice(BaseModel):
    """A reply button. Bounds are the narrowest of our channels': titles of 20 characters, ids of 256."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(min_length=1, max_length=256)
    title: str = Field(min_length=1, max_length=20)


class Template(BaseModel):
    """A text that the channel has approved beforehand, by its name there; `values` fill its variables in order."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(min_length=1, max_length=512)
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(_[A-Za-z]{2,4})?$")
    values: tuple[str, ...] = ()


class OutgoingReply(BaseModel):
    """A whole reply, as it was written: Markdown with its sources, or a template in its place.

    `choices` are shown as buttons; where they do not fit under the text they follow under `choices_text`. `literal`:
    the text is no Markdown, each character of it stands for itself. Of a text of more than `max_characters` only the
    beginning is sent, and `cut_notice` after it.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    max_characters: int = Field(default=1_000_000, ge=200)
    cut_notice: str = ""
    sources: tuple[Source, ...] = ()
    choices: tuple[Choice, ...] = ()
    choices_text: str = ""
    literal: bool = False
    template: Template | None = None


class OutgoingPart(BaseModel):
    """One planned part on its way: from which account of ours, to whom, under which id.

    `delivery_id` comes back with every status of the message.
    """

    model_config = ConfigDict(frozen=True)

    account: str = Field(min_length=1, max_length=64)
    recipient: Recipient
    delivery_id: str = Field(min_length=1, max_length=256)
    part: PlannedPart


class Sent(BaseModel):
    """Accepted by the channel, which is no promise that it arrives: the statuses tell."""

    model_config = ConfigDict(frozen=True)

    channel_message_id: str


class MediaRef(BaseModel):
    """A file at the channel, not yet downloaded. `id` is the channel's: an id, or an address.

    `sha256` is as the channel writes it, None where it gives none. `filename` is the last part of the customer's file
    name, without folders or control characters; it still is no name to store a file under.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    mime_type: str = "application/octet-stream"
    sha256: str | None = None
    filename: str | None = None
    voice: bool = False


class MediaFile(BaseModel):
    """A downloaded and checked file."""

    model_config = ConfigDict(frozen=True)

    mime_type: str
    sha256: str
    content: bytes


class Channel(Protocol):
    """Nothing is retried in here: that is the caller's ledger's duty. *account* is ours, as a conversation names it.

    `send` and `mark_read_and_typing` raise SendFailed, `download` MediaFailed, and nothing else but cancellation.
    """

    def plan(self, account: str, reply: OutgoingReply) -> list[PlannedPart]:
        """The messages that *reply* is sent in, ready to send and in order; the same for the same reply.

        At least one, and not bound to the event loop's thread: a long text takes a while.
        """
        ...

    def may_send(self, part: PlannedPart, last_customer_message_at: datetime | None, now: datetime) -> bool:
        """Whether the channel lets us send *part* now; False: only a template."""
        ...

    def failure_kind(self, account: str, code: int | None) -> SendFailureKind:
        """What a code in a failed status means: the channel took the message and could not deliver it."""
        ...

    def note(self, kind: SendFailureKind) -> str:
        """What staff are told of a reply that is given up because of *kind*."""
        ...

    async def send(self, outgoing: OutgoingPart) -> Sent: ...

    async def mark_read_and_typing(self, account: str, channel_message_id: str) -> None:
        """Shows the customer that their message was read and that an answer is being written, as far as it can."""
        ...

    async def download(self, account: str, media: MediaRef) -> MediaFile:
        """The file's bytes, checked: host, type, size and hash."""
        ...

    async def close(self) -> None: ...
