"""Sends through Meta's Cloud API and fetches media from it. Source: Meta, "Cloud API reference", read 2026-11.

There is no idempotency key, so nothing is ever sent twice in here; `biz_opaque_callback_data` carries our delivery id,
and each status brings it back, which is how an unknown outcome is settled.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import httpx2
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from config.hosts import through_proxies
from integrations.channels.failures import MediaFailed, MediaFailureKind, SendFailed, SendFailureKind
from integrations.channels.port import Choice, MediaFile, MediaRef, Recipient, Sent, Template
from integrations.whatsapp.exchange import call
from integrations.whatsapp.files import MediaLimits, fetch
from integrations.whatsapp.meta.errors import failure, kind_of
from integrations.whatsapp.port import MediaInfo, ProviderLimits, SendRequest
from integrations.whatsapp.reading import mapping, number, objects, text
from integrations.whatsapp.splitting import measure

LIMITS = ProviderLimits(text_units=4_096, button_text_units=1_024, buttons=3)
_IDENTIFIER = re.compile(r"[A-Za-z0-9_.=-]{1,512}", re.ASCII)
_VERSIONED = re.compile(r"/v[0-9]{1,3}\.[0-9]$")


class MetaOptions(BaseModel):
    """How Meta is reached. `graph_url` without a version gets `graph_version` appended. Seconds, bytes."""

    model_config = ConfigDict(frozen=True)

    access_token: SecretStr
    graph_url: str
    graph_version: str = Field(pattern=r"^v[0-9]{1,3}\.[0-9]$")
    connect_timeout: float = Field(gt=0)
    answer_timeout: float = Field(gt=0)
    connections: int = Field(ge=1)
    media: MediaLimits

    @property
    def call_seconds(self) -> float:
        """Bound of a whole call: a free connection, the connection itself, and the answer."""
        return self.connect_timeout + 2 * self.answer_timeout

    @property
    def root(self) -> str:
        url = self.graph_url.rstrip("/")
        return url if _VERSIONED.search(url) else f"{url}/{self.graph_version}"


class MetaWhatsApp:
    """The adapter. One serves any number of our phone numbers that share an access token."""

    def __init__(self, options: MetaOptions) -> None:
        self._options = options
        self._media = options.media.model_copy(update={"own_origin": options.graph_url})
        timeout = httpx2.Timeout(options.answer_timeout, connect=options.connect_timeout)
        limits = httpx2.Limits(max_connections=options.connections)
        self._http = httpx2.AsyncClient(
            timeout=timeout, limits=limits, follow_redirects=False, trust_env=through_proxies(options.graph_url)
        )

    @property
    def limits(self) -> ProviderLimits:
        return LIMITS

    def failure_kind(self, code: int | None) -> SendFailureKind:
        """An unknown code counts as final for this recipient: a repetition of what may have arrived helps nobody."""
        return kind_of(code) or SendFailureKind.RECIPIENT_FINAL

    async def send_text(self, request: SendRequest, text: str) -> Sent:
        _check_length(text, LIMITS.text_units)
        return await self._send(request, {"type": "text", "text": {"body": text, "preview_url": False}})

    async def send_buttons(self, request: SendRequest, text: str, choices: tuple[Choice, ...]) -> Sent:
        _check_length(text, LIMITS.button_text_units)
        if not 1 <= len(choices) <= LIMITS.buttons:
            raise SendFailed(SendFailureKind.OURS, f"{len(choices)} buttons; one to {LIMITS.buttons} are possible")
        buttons = [{"type": "reply", "reply": choice.model_dump()} for choice in choices]
        interactive = {"type": "button", "body": {"text": text}, "action": {"buttons": buttons}}
        return await self._send(request, {"type": "interactive", "interactive": interactive})

    async def send_template(self, request: SendRequest, template: Template) -> Sent:
        parameters = [{"type": "text", "text": value} for value in template.values]
        body: dict[str, Any] = {"name": template.name, "language": {"code": template.language}}
        if parameters:
            body["components"] = [{"type": "body", "parameters": parameters}]
        return await self._send(request, {"type": "template", "template": body})

    async def mark_read_and_typing(self, account: str, channel_message_id: str) -> None:
        body = {
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": channel_message_id,
            "typing_indicator": {"type": "text"},
        }
        await self._post(account, body)

    async def media_info(self, account: str, media: MediaRef) -> MediaInfo:
        if not _IDENTIFIER.fullmatch(media.id):
            raise MediaFailed(MediaFailureKind.HOST_REFUSED, "the media id is none")
        url = f"{self._options.root}/{media.id}"
        query = {"phone_number_id": account}
        try:
            request = self._http.build_request("GET", url, params=query, headers=self._token)
            status, body, _ = await call(self._http, request, self._options.call_seconds)
        except SendFailed as error:
            raise MediaFailed(MediaFailureKind.TRANSIENT, error.explanation) from None
        if status != 200:
            raise _media_failure(status, body)
        return _info(mapping(body), media)

    async def download(self, account: str, media: MediaRef) -> MediaFile:
        info = await self.media_info(account, media)
        return await fetch(self._http, info, self._media, lambda url: self._token)

    async def close(self) -> None:
        await self._http.aclose()

    @property
    def _token(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._options.access_token.get_secret_value()}"}

    async def _send(self, request: SendRequest, content: dict[str, Any]) -> Sent:
        body = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            **_address(request.recipient),
            **content,
            "biz_opaque_callback_data": request.delivery_id,
        }
        if request.reply_to:
            body["context"] = {"message_id": request.reply_to}
        answer = await self._post(request.account, body)
        ids = [text(message.get("id"), most=512) for message in objects(mapping(answer).get("messages"))]
        if not ids or ids[0] is None:
            raise SendFailed(SendFailureKind.UNKNOWN, "accepted, but the answer has no message id")
        return Sent(channel_message_id=ids[0])

    async def _post(self, account: str, body: dict[str, Any]) -> Any:
        if not _IDENTIFIER.fullmatch(account):
            raise SendFailed(SendFailureKind.OURS, "the phone number id is none")
        url = f"{self._options.root}/{account}/messages"
        request = self._http.build_request("POST", url, json=body, headers=self._token)
        status, answer, wait = await call(self._http, request, self._options.call_seconds)
        if status >= 300:
            raise failure(status, answer, wait)
        return answer


def _address(recipient: Recipient) -> dict[str, str]:
    return {"to": recipient.phone} if recipient.phone else {"recipient": recipient.user_id or ""}


def _check_length(text: str, most: int) -> None:
    if not text.strip() or measure(text) > most:
        raise SendFailed(SendFailureKind.OURS, f"a text of {measure(text)} units; 1 to {most} are possible")


def _info(body: dict[str, Any], media: MediaRef) -> MediaInfo:
    url = text(body.get("url"), most=4_000)
    if url is None:
        raise MediaFailed(MediaFailureKind.TRANSIENT, "the answer has no address")
    return MediaInfo(
        url=url,
        mime_type=text(body.get("mime_type"), most=200) or media.mime_type,
        sha256=_hexadecimal(body.get("sha256") or media.sha256),
        size=number(body.get("file_size")),
    )


def _hexadecimal(value: Any) -> str | None:
    """Meta writes the hash in base64 in webhooks and in hexadecimal in answers; one that is neither is not matched."""
    if not isinstance(value, str) or not value:
        return None
    if re.fullmatch(r"[0-9a-fA-F]{64}", value, re.ASCII):
        return value.lower()
    try:
        return base64.b64decode(value, validate=True).hex()
    except (binascii.Error, ValueError):
        return "unreadable"


def _media_failure(status: int, body: Any) -> MediaFailed:
    # Meta answers 400, code 100, subcode 33 for a media id that is unknown or whose file is gone.
    error = mapping(body, "error")
    if status in (404, 410) or (number(error.get("code")), number(error.get("error_subcode"))) == (100, 33):
        return MediaFailed(MediaFailureKind.EXPIRED, f"HTTP {status}: no such media")
    if status in (401, 403) or number(error.get("code")) in (10, 190):
        return MediaFailed(MediaFailureKind.OURS, f"HTTP {status}: the access token may not read media")
    return MediaFailed(MediaFailureKind.TRANSIENT, f"HTTP {status}")
