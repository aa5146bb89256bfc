"""Sends WhatsApp messages through Twilio. Source: Twilio, "Messages resource", read 2026-11.

There is no idempotency key, so nothing is ever sent twice in here. Our delivery id travels in the StatusCallback's
address and comes back with each status.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode

import httpx2
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from config.hosts import through_proxies
from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.channels.port import Choice, MediaFile, MediaRef, Sent, Template
from integrations.whatsapp.exchange import call
from integrations.whatsapp.files import MediaLimits, check_host, fetch
from integrations.whatsapp.port import MediaInfo, ProviderLimits, SendRequest
from integrations.whatsapp.reading import mapping, text
from integrations.whatsapp.splitting import measure
from integrations.whatsapp.twilio.errors import failure, kind_of
from integrations.whatsapp.twilio.webhook import DELIVERY_ID

LIMITS = ProviderLimits(text_units=1_600, button_text_units=1_500, buttons=3)
_REDIRECTS = 2


class TwilioOptions(BaseModel):
    """How Twilio is reached. `status_callback` is our public webhook address, None for no statuses. Seconds, bytes."""

    model_config = ConfigDict(frozen=True)

    account_sid: str = Field(pattern=r"^[A-Za-z0-9]{1,64}$")
    auth_token: SecretStr
    api_url: str
    status_callback: str | None
    connect_timeout: float = Field(gt=0)
    answer_timeout: float = Field(gt=0)
    connections: int = Field(ge=1)
    media: MediaLimits

    @property
    def call_seconds(self) -> float:
        """Bound of a whole call: a free connection, the connection itself, and the answer."""
        return self.connect_timeout + 2 * self.answer_timeout


class TwilioWhatsApp:
    """The adapter. One serves all numbers of one Twilio account; `SendRequest.account` is the number's digits."""

    def __init__(self, options: TwilioOptions) -> None:
        self._options = options
        self._media = options.media.model_copy(update={"own_origin": options.api_url})
        timeout = httpx2.Timeout(options.answer_timeout, connect=options.connect_timeout)
        self._http = httpx2.AsyncClient(
            timeout=timeout,
            limits=httpx2.Limits(max_connections=options.connections),
            trust_env=through_proxies(options.api_url),
        )
        self._login = httpx2.BasicAuth(options.account_sid, options.auth_token.get_secret_value())

    @property
    def limits(self) -> ProviderLimits:
        return LIMITS

    def failure_kind(self, code: int | None) -> SendFailureKind:
        """An unknown code counts as final for this recipient: a repetition of what may have arrived helps nobody."""
        return kind_of(code) or SendFailureKind.RECIPIENT_FINAL

    async def send_text(self, request: SendRequest, text: str) -> Sent:
        if not text.strip() or measure(text) > LIMITS.text_units:
            raise SendFailed(
                SendFailureKind.OURS, f"a text of {measure(text)} units; 1 to {LIMITS.text_units} are possible"
            )
        return await self._send(request, {"Body": text})

    async def send_buttons(self, request: SendRequest, text: str, choices: tuple[Choice, ...]) -> Sent:
        """Twilio has buttons only in approved content templates, so the choices are written below the text."""
        if not 1 <= len(choices) <= LIMITS.buttons:
            raise SendFailed(SendFailureKind.OURS, f"{len(choices)} buttons; one to {LIMITS.buttons} are possible")
        return await self.send_text(request, "\n".join([text, "", *(f"- {choice.title}" for choice in choices)]))

    async def send_template(self, request: SendRequest, template: Template) -> Sent:
        values = {str(n): value for n, value in enumerate(template.values, 1)}
        variables = {"ContentVariables": json.dumps(values)} if values else {}
        return await self._send(request, {"ContentSid": template.name, **variables})

    async def mark_read_and_typing(self, account: str, channel_message_id: str) -> None:
        """Nothing: Twilio marks incoming messages as read itself, and its typing indicator is no stable API yet."""

    async def media_info(self, account: str, media: MediaRef) -> MediaInfo:
        check_host(media.id, self._media)
        return MediaInfo(url=media.id, mime_type=media.mime_type)

    async def download(self, account: str, media: MediaRef) -> MediaFile:
        """Twilio answers a media address with a redirect to its store."""
        info = await self.media_info(account, media)
        return await fetch(self._http, info, self._media, self._credentials, redirects=_REDIRECTS)

    async def close(self) -> None:
        await self._http.aclose()

    def _credentials(self, url: str) -> dict[str, str]:
        """The login goes to the API alone, never to the store that a redirect leads to."""
        if not url.startswith(self._options.api_url.rstrip("/") + "/"):
            return {}
        request = next(self._login.auth_flow(httpx2.Request("GET", url)))
        return {"Authorization": request.headers["Authorization"]}

    async def _send(self, request: SendRequest, content: dict[str, str]) -> Sent:
        form = {"To": _address(request), "From": f"whatsapp:+{request.account}", **content}
        if self._options.status_callback:
            form["StatusCallback"] = f"{self._options.status_callback}?{urlencode({DELIVERY_ID: request.delivery_id})}"
        status, answer, wait = await call(self._http, self._post(form), self._options.call_seconds)
        if status >= 300:
            raise failure(status, answer, wait)
        return Sent(channel_message_id=_sid(answer))

    def _post(self, form: dict[str, str]) -> httpx2.Request:
        sid = self._options.account_sid
        url = f"{self._options.api_url.rstrip('/')}/2010-04-01/Accounts/{sid}/Messages.json"
        return self._http.build_request("POST", url, data=form, headers=self._credentials(url))


def _address(request: SendRequest) -> str:
    if not re.fullmatch(r"[0-9]{5,15}", request.account, re.ASCII):
        raise SendFailed(SendFailureKind.OURS, "our number is to be given as its digits")
    recipient = request.recipient
    return f"whatsapp:+{recipient.phone}" if recipient.phone else f"whatsapp:{recipient.user_id}"


def _sid(answer: Any) -> str:
    sid = text(mapping(answer).get("sid"), most=64)
    if sid is None:
        raise SendFailed(SendFailureKind.UNKNOWN, "accepted, but the answer has no message id")
    return sid
