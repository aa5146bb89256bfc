"""The header `Message-Id`: under which name a message was taken, in every answer to it, streams and problems included.

Runs as ASGI middleware: a route says the name (`api.problems.name_message`), whatever becomes of the call afterwards.
"""

from __future__ import annotations

import string
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADER = b"message-id"
_TOLD = (
    "The message's id, percent-encoded: of its UTF-8 all that is no visible ASCII, and `%`. Decoded, it is `message_id`"
)
MESSAGE_ID_DOCS: dict[str, Any] = {"Message-Id": {"description": _TOLD, "schema": {"type": "string"}}}
"""For OpenAPI: every answer to a message that could be read has it."""
_AS_THEY_ARE = string.punctuation.replace("%", "")


def in_header(message_id: str) -> str:
    """*message_id* as a header may carry it: of its UTF-8, what is no visible ASCII is percent-encoded, and so is `%`.

    A server closes the connection without an answer over a header with a blank at an end.
    """
    return quote(message_id, safe=_AS_THEY_ARE)


class MessageIdHeader:
    """Adds the name, encoded: a body spells it as it was given."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.setdefault("state", {})

        async def send_named(message: Message) -> None:
            named = state.get("message_id")
            if message["type"] == "http.response.start" and named is not None:
                message["headers"] = [*message.get("headers", []), (_HEADER, in_header(named).encode("ascii"))]
            await send(message)

        await self._app(scope, receive, send_named)
