"""What the channel WhatsApp asks of a provider that carries it. Providers: `meta/client.py`, `twilio/client.py`.

The double is `double.py`. All pass the same contract tests.
"""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from integrations.channels.failures import SendFailureKind
from integrations.channels.port import Choice, MediaFile, MediaRef, Recipient, Sent, Template


class SendRequest(BaseModel):
    """From which of our numbers, to whom, and under which id of ours; one message each, never several parts.

    `account` is the number as the provider names it. `delivery_id` comes back with every status of the message;
    `reply_to` is the channel id of a message to quote.
    """

    model_config = ConfigDict(frozen=True)

    account: str = Field(min_length=1, max_length=64)
    recipient: Recipient
    delivery_id: str = Field(min_length=1, max_length=256)
    reply_to: str | None = Field(default=None, max_length=512)


class MediaInfo(BaseModel):
    """Where a file is just now. `size` is in bytes, None if the channel does not say; `sha256` is hexadecimal."""

    model_config = ConfigDict(frozen=True)

    url: str
    mime_type: str
    sha256: str | None = None
    size: int | None = None


class ProviderLimits(BaseModel):
    """`text_units`: the longest text of one message, in UTF-16 code units (see `splitting.measure`)."""

    model_config = ConfigDict(frozen=True)

    text_units: int
    button_text_units: int
    buttons: int


class WhatsAppProvider(Protocol):
    """Sends one message at a time and fetches files. Nothing is retried in here: that is the caller's ledger's duty.

    The sends raise SendFailed, the media calls MediaFailed, and nothing else but cancellation.
    """

    @property
    def limits(self) -> ProviderLimits: ...

    def failure_kind(self, code: int | None) -> SendFailureKind:
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
