"""The API's end: whoever still waits is told to come again, so that nobody holds up the stop.

Runs as ASGI middleware around everything that a request does. A request whose body has not come whole ends at once;
the others get a moment to end by themselves, as streams do with an `error` event (`api/answers.py`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import RETRY_SECONDS, named_message, problem_response

_TELL = "This API process is stopping. Send the same request again."
_TELL_NAMED = "This API process is stopping. Send the message again, under the message_id that stands here."


@dataclass(eq=False)
class _Request:
    patience: asyncio.Timeout
    body_is_whole: bool
    answer_began: bool = False


class Stopping:
    """The requests under way. `stop` is called once; what comes later is refused."""

    def __init__(self, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._requests: set[_Request] = set()
        self._until: float | None = None

    def stop(self) -> None:
        """Ends half-sent requests now, the others after the grace time."""
        now = asyncio.get_running_loop().time()
        self._until = now + self._grace_seconds
        for request in self._requests:
            request.patience.reschedule(self._until if request.body_is_whole else now)

    def add(self, request: _Request) -> None:
        self._requests.add(request)
        if self._until is not None:
            request.patience.reschedule(self._until)

    def remove(self, request: _Request) -> None:
        self._requests.discard(request)


class StoppingGuard:
    """Middleware: answers 503 for a request that *stopping* ended before its answer began."""

    def __init__(self, app: ASGIApp, stopping: Stopping) -> None:
        self._app = app
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(asyncio.timeout(None), body_is_whole=not _announces_a_body(scope))
        try:
            async with request.patience:
                self._stopping.add(request)
                await self._app(scope, _watched(request, receive), _noted(request, send))
        except TimeoutError:
            if not request.patience.expired():
                raise
            if not request.answer_began:
                headers = {"Retry-After": str(RETRY_SECONDS), "Connection": "close"}
                named = named_message(Request(scope))
                told = problem_response(503, _TELL_NAMED if named else _TELL, headers=headers, message_id=named)
                await told(scope, receive, send)
        finally:
            self._stopping.remove(request)


def _announces_a_body(scope: Scope) -> bool:
    return any(name in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"])


def _watched(request: _Request, receive: Receive) -> Receive:
    async def watched() -> Message:
        message = await receive()
        request.body_is_whole = not message.get("more_body", False)
        return message

    return watched


def _noted(request: _Request, send: Send) -> Send:
    async def noted(message: Message) -> None:
        request.answer_began = True
        await send(message)

    return noted
