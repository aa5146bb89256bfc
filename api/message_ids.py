"""The header `Message-Id`: under which name a message was taken, in every answer to it, streams and problems included.

Runs as ASGI middleware: a route says the name (`api.problems.name_message`), whatever becomes of the call afterwards.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADER = b"message-id"


class MessageIdHeader:
    """Adds the name as UTF-8, the way a body spells it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.setdefault("state", {})

        async def send_named(message: Message) -> None:
            named = state.get("message_id")
            if message["type"] == "http.response.start" and named is not None:
                message["headers"] = [*message.get("headers", []), (_HEADER, named.encode())]
            await send(message)

        await self._app(scope, receive, send_named)
