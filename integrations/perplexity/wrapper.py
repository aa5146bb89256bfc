"""The client of the Perplexity wrapper: one prompt, one request, one Answer or one AskFailed.

It never repeats a call by itself: a caller that leaves does not stop it, so a second try is a second turn in the
thread. `schemas.failures` decides about tries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit

import httpx2
from socksio import SOCKSError

from config.clock import utc_now
from config.hosts import through_proxies
from config.settings import Settings
from integrations import capped
from integrations.characters import storable
from integrations.perplexity.breaker import CircuitBreaker
from integrations.perplexity.failures import from_exception, from_status
from integrations.perplexity.frames import parse_object
from integrations.perplexity.port import Answer, AskFailed, ModelPrompt, OnText
from integrations.perplexity.reading import Reading
from integrations.perplexity.request_line import Way, check_room, room_in, target_of
from schemas.failures import ModelFailureKind

_ERROR_BODY_BYTES = 65_536
"""More of an error's body than this says nothing new."""


class WrapperClient:
    """Perplexity through the wrapper at PERPLEXITY_BASE_URL; limits are the settings PERPLEXITY_*.

    *way* and *answer_only* choose one of the four ways of asking. The default is the only one that streams text and
    tells the sources. *transport* replaces the network in tests of single bytes.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        way: Way = "async",
        answer_only: bool = False,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        if not settings.perplexity_base_url:
            raise ValueError("PERPLEXITY_BASE_URL is not set")
        self._settings = settings
        self._way: Way = way
        self._answer_only = answer_only
        parts = urlsplit(settings.perplexity_base_url)
        self._origin, self._path_prefix = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        self._breaker = CircuitBreaker(settings.perplexity_breaker_failures, settings.perplexity_breaker_open_seconds)
        self._limited: dict[str, float] = {}
        """Until when (monotonic) an account that is at its limit is left alone."""
        self._http = _http_client(settings, transport)

    async def ask(self, prompt: ModelPrompt, on_text: OnText | None = None) -> Answer:
        """Raises AskFailed, with the text that had come by then. What *on_text* raises passes through."""
        target = self._target(prompt)
        check_room(target, self._settings.perplexity_request_line_bytes)
        if wait := self._breaker.wait():
            raise AskFailed(
                ModelFailureKind.CONNECT, "the wrapper could not be reached several times in a row", retry_after=wait
            )

        self._check_limit(prompt.account_name)

        async def heard(text: str) -> None:
            self._breaker.reached()  # those who wait need not wait for the whole answer
            if on_text:
                await on_text(text)

        reading = Reading(
            prompt,
            heard,
            message_bytes=self._settings.perplexity_answer_bytes,
            stream_bytes=self._settings.perplexity_stream_bytes,
        )
        answer: Answer | None
        try:
            answer = await self._answer(target, reading)
        except AskFailed as error:
            self._breaker.failed(error.kind)
            if error.kind is ModelFailureKind.LIMIT:
                pause = self._settings.perplexity_limit_pause_seconds
                self._limited[prompt.account_name] = time.monotonic() + pause
            if (answer := reading.accepted()) is not None:
                return answer
            error.partial = storable(reading.messages.text)
            raise
        self._breaker.reached()
        return answer

    async def healthy(self) -> bool:
        """Whether `/health` answers as it should. Says nothing about model calls (docs/wrapper.md)."""
        try:
            url = f"{self._origin}{self._path_prefix}/health"
            response = await self._http.get(url, timeout=self._settings.perplexity_connect_timeout_seconds)
        except (httpx2.HTTPError, httpx2.InvalidURL, SOCKSError):
            return False
        said = parse_object(response.content) or {}
        return response.status_code == 200 and said.get("status") == "healthy"

    async def has_thread(self, account_name: str, slug: str) -> bool | None:
        """By `GET /api/threads/{slug}`, which says 500 `HTTP Error 404: Not Found` for an unknown one
        (docs/wrapper.md)."""
        url = f"{self._origin}{self._path_prefix}/api/threads/{quote(slug, safe='')}"
        timeout = self._settings.perplexity_connect_timeout_seconds
        try:
            response = await self._http.get(url, params={"account_name": account_name}, timeout=timeout)
        except (httpx2.HTTPError, httpx2.InvalidURL, SOCKSError):
            return None
        if response.status_code == 200:
            return True
        said = str((parse_object(response.content[:_ERROR_BODY_BYTES]) or {}).get("error", ""))
        gone = response.status_code == 404 or (response.status_code == 500 and "HTTP Error 404" in said)
        return False if gone else None

    def room_for(self, prompt: ModelPrompt) -> int:
        return room_in(self._target(prompt), self._settings.perplexity_request_line_bytes)

    async def close(self) -> None:
        await self._http.aclose()

    def _check_limit(self, account_name: str) -> None:
        """Raises AskFailed while the account is at a limit of upstream's: nothing is asked of it then."""
        remaining = self._limited.get(account_name, 0.0) - time.monotonic()
        if remaining > 0:
            raise AskFailed(ModelFailureKind.LIMIT, "the account was at its limit", retry_after=remaining)

    def _target(self, prompt: ModelPrompt) -> str:
        return target_of(prompt, self._way, answer_only=self._answer_only, path_prefix=self._path_prefix)

    async def _answer(self, target: str, reading: Reading) -> Answer:
        whole_answer = asyncio.timeout(self._settings.perplexity_answer_seconds)
        try:
            async with whole_answer, self._response(target) as response:
                if _is_stream(response, self._way):
                    return await reading.stream(response)
                return await reading.body(response.aiter_bytes())
        except TimeoutError:
            if not whole_answer.expired():
                raise
            seconds = self._settings.perplexity_answer_seconds
            raise AskFailed(ModelFailureKind.TOO_SLOW, f"no whole answer after {seconds:g} s") from None
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, SOCKSError) as error:
            raise from_exception(error) from None

    @asynccontextmanager
    async def _response(self, target: str) -> AsyncIterator[httpx2.Response]:
        async with self._http.stream("GET", self._origin + target) as response:
            if response.status_code != 200:
                body = await capped.beginning(response.aiter_bytes(), _ERROR_BODY_BYTES)
                streams, now = self._way == "async", utc_now().timestamp()
                raise from_status(response.status_code, response.headers, body, now, streams=streams)
            if "html" in response.headers.get("content-type", ""):
                raise AskFailed(ModelFailureKind.MALFORMED, "an HTML page under HTTP 200")
            yield response


def _http_client(settings: Settings, transport: httpx2.AsyncBaseTransport | None) -> httpx2.AsyncClient:
    connect = settings.perplexity_connect_timeout_seconds
    return httpx2.AsyncClient(
        # No connection is used twice: one that the server just closed would make a prompt's fate unknown.
        limits=httpx2.Limits(max_connections=settings.worker_activities, max_keepalive_connections=0),
        timeout=httpx2.Timeout(connect=connect, read=settings.perplexity_silence_seconds, write=connect, pool=connect),
        # A compressing proxy would hold text back until its block is full.
        headers={"accept-encoding": "identity", "user-agent": "perplexity-agent"},
        trust_env=through_proxies(settings.perplexity_base_url or ""),
        transport=transport,
    )


def _is_stream(response: httpx2.Response, way: Way) -> bool:
    kind = response.headers.get("content-type", "")
    return "event-stream" in kind or (way == "async" and "json" not in kind)
