"""Refuses an address that is no UTF-8: the server would put the same sign for every wrong byte, and two names of two
customers would be one.

Runs as ASGI middleware, before any route reads its part of the path.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import problem_response


class PathGuard:
    """The path alone: what is in a query has its own checks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_utf8(scope.get("raw_path") or b""):
            told = "The path is not UTF-8: percent-encode the bytes of its UTF-8."
            await problem_response(400, told)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_utf8(path: bytes) -> bool:
    try:
        unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return False
    return True
