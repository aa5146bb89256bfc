"""WhatsApp in memory, for tests of what stands above the port: remembers what it sent, fails as it is told to."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256

from integrations.channels.failures import MediaFailed, MediaFailureKind, SendFailed, SendFailureKind
from integrations.channels.port import Choice, MediaFile, MediaRef, Sent, Template
from integrations.whatsapp.meta.errors import kind_of
from integrations.whatsapp.port import MediaInfo, ProviderLimits, SendRequest
from integrations.whatsapp.splitting import measure


@dataclass(frozen=True)
class Posted:
    """One message as it was sent."""

    request: SendRequest
    channel_message_id: str
    text: str = ""
    choices: tuple[Choice, ...] = ()
    template: Template | None = None


class RecordingWhatsApp:
    """Accepts everything, or raises the next of *failures*. An UNKNOWN failure is one after the message was taken.

    Holds back what is to be sent or downloaded while `gate` is closed; `held` is set once it has done so.
    """

    def __init__(self, *failures: SendFailed, limits: ProviderLimits | None = None) -> None:
        self.limits = limits or ProviderLimits(text_units=4_096, button_text_units=1_024, buttons=3)
        self.failures = deque(failures)
        self.before_answering: deque[Callable[[Posted], Awaitable[None]]] = deque()
        """What happens once between taking a message and answering the call, one by one: a status that is quicker."""
        self.sent: list[Posted] = []
        self.marked: list[tuple[str, str]] = []
        self.files: dict[str, MediaFile] = {}
        self.downloads: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.held = asyncio.Event()

    def keep_file(self, media_id: str, content: bytes, mime_type: str) -> None:
        digest = sha256(content).hexdigest()
        self.files[media_id] = MediaFile(mime_type=mime_type, sha256=digest, content=content)

    def failure_kind(self, code: int | None) -> SendFailureKind:
        """By Meta's codes."""
        return kind_of(code) or SendFailureKind.RECIPIENT_FINAL

    async def send_text(self, request: SendRequest, text: str) -> Sent:
        if not text.strip() or measure(text) > self.limits.text_units:
            raise SendFailed(SendFailureKind.OURS, "the text is empty or too long")
        await self._pass()
        return await self._take(request, text=text)

    async def send_buttons(self, request: SendRequest, text: str, choices: tuple[Choice, ...]) -> Sent:
        if not 1 <= len(choices) <= self.limits.buttons:
            raise SendFailed(SendFailureKind.OURS, "too few or too many buttons")
        await self._pass()
        return await self._take(request, text=text, choices=choices)

    async def send_template(self, request: SendRequest, template: Template) -> Sent:
        await self._pass()
        return await self._take(request, template=template)

    async def mark_read_and_typing(self, account: str, channel_message_id: str) -> None:
        self.marked.append((account, channel_message_id))

    async def media_info(self, account: str, media: MediaRef) -> MediaInfo:
        file = self._file(media)
        return MediaInfo(url=f"memory:{media.id}", mime_type=file.mime_type, sha256=file.sha256, size=len(file.content))

    async def download(self, account: str, media: MediaRef) -> MediaFile:
        self.downloads.append(media.id)
        await self._pass()
        return self._file(media)

    async def close(self) -> None:
        return None

    async def _pass(self) -> None:
        if not self.gate.is_set():
            self.held.set()
        await self.gate.wait()

    def _file(self, media: MediaRef) -> MediaFile:
        if media.id not in self.files:
            raise MediaFailed(MediaFailureKind.EXPIRED, "no such file")
        return self.files[media.id]

    async def _take(
        self,
        request: SendRequest,
        *,
        text: str = "",
        choices: tuple[Choice, ...] = (),
        template: Template | None = None,
    ) -> Sent:
        failed = self.failures.popleft() if self.failures else None
        if failed is None or failed.kind is SendFailureKind.UNKNOWN:
            message_id = f"wamid.double-{len(self.sent) + 1}"
            self.sent.append(Posted(request, message_id, text, choices, template))
        if self.before_answering:
            await self.before_answering.popleft()(self.sent[-1])
        if failed is not None:
            raise failed
        return Sent(channel_message_id=self.sent[-1].channel_message_id)
