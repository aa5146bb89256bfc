"""What the system asks of WhatsApp, in its own words.

Adapters: `meta/client.py`, `twilio/client.py`; the double is `double.py`. All pass the same contract tests.
"""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from integrations.whatsapp.failures import FailureKind, FailurePolicy, MediaFailed, MediaProblem, SendFailed
from integrations.whatsapp.incoming import (
    ChannelError,
    DeliveryStatus,
    InboundMessage,
    MediaRef,
    MessageKind,
    ParsedBatch,
    StatusUpdate,
    Unreadable,
)

__all__ = [
    "ChannelError",
    "ChannelLimits",
    "Choice",
    "DeliveryStatus",
    "FailureKind",
    "FailurePolicy",
    "InboundMessage",
    "MediaFailed",
    "MediaFile",
    "MediaInfo",
    "MediaProblem",
    "MediaRef",
    "MessageKind",
    "ParsedBatch",
    "Recipient",
    "SendFailed",
    "SendRequest",
    "Sent",
    "StatusUpdate",
    "Template",
    "Unreadable",
    "WhatsApp",
]


class Recipient(BaseModel):
    """To whom: E.164 digits, the business-scoped user id, or both (the phone then wins, as at Meta)."""

    model_config = ConfigDict(frozen=True)

    phone: str | None = Field(default=None, pattern=r"^[0-9]{5,15}$")
    user_id: str | None = Field(default=None, min_length=1, max_length=128)

    @model_validator(mode="after")
    def _reachable(self) -> Recipient:
        if not (self.phone or self.user_id):
            raise ValueError("a phone number or a user id is needed")
        return self


class SendRequest(BaseModel):
    """From which of our numbers, to whom, and under which id of ours; one message each, never several parts.

    `delivery_id` comes back with every status of the message; `reply_to` is the channel id of a message to quote.
    """

    model_config = ConfigDict(frozen=True)

    account: str = Field(min_length=1, max_length=64)
    recipient: Recipient
    delivery_id: str = Field(min_length=1, max_length=256)
    reply_to: str | None = Field(default=None, max_length=512)


class Choice(BaseModel):
    """A reply button. Bounds are Meta's: up to three of them, titles of 20 characters, ids of 256."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(min_length=1, max_length=256)
    title: str = Field(min_length=1, max_length=20)


class Template(BaseModel):
    """An approved template, the only thing that may be sent outside the 24-hour window.

    `name` is Meta's template name or Twilio's content sid; `values` fill its body's variables in order.
    """

    model_config = ConfigDict(frozen=True)

    name: str = Field(min_length=1, max_length=512)
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(_[A-Za-z]{2,4})?$")
    values: tuple[str, ...] = ()


class Sent(BaseModel):
    """Accepted by the channel, which is no promise that it arrives: the statuses tell."""

    model_config = ConfigDict(frozen=True)

    channel_message_id: str


class MediaInfo(BaseModel):
    """Where a file is just now. `size` is in bytes, None if the channel does not say; `sha256` is hexadecimal."""

    model_config = ConfigDict(frozen=True)

    url: str
    mime_type: str
    sha256: str | None = None
    size: int | None = None


class MediaFile(BaseModel):
    """A downloaded and checked file."""

    model_config = ConfigDict(frozen=True)

    mime_type: str
    sha256: str
    content: bytes


class ChannelLimits(BaseModel):
    """`text_units`: the longest text of one message, in UTF-16 code units (see `splitting.measure`)."""

    model_config = ConfigDict(frozen=True)

    text_units: int
    button_text_units: int
    buttons: int


class WhatsApp(Protocol):
    """Sends one message at a time and fetches files. Nothing is retried in here: that is the caller's ledger's duty.

    The sends raise SendFailed, the media calls MediaFailed, and nothing else but cancellation.
    """

    @property
    def limits(self) -> ChannelLimits: ...

    def failure_kind(self, code: int | None) -> FailureKind:
        """What a code in a failed status means: the channel took the message and could not deliver it."""
        ...

    async def send_text(self, request: SendRequest, text: str) -> Sent: ...

    async def send_buttons(self, request: SendRequest, text: str, choices: tuple[Choice, ...]) -> Sent: ...

    async def send_template(self, request: SendRequest, template: Template) -> Sent: ...

    async def mark_read_and_typing(self, account: str, channel_message_id: str) -> None:
        """Shows the customer that their message was read and that an answer is being written (up to 25 s)."""
        ...

    async def media_info(self, account: str, media: MediaRef) -> MediaInfo: ...

    async def download(self, account: str, media: MediaRef) -> MediaFile:
        """The file's bytes, checked: host, type, size and hash. Reads `media_info` itself."""
        ...

    async def close(self) -> None: ...
