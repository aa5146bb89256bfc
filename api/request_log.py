"""A line and a count for each request: its id, route, status and time. Never a word: no name, no query, no body.

Runs as ASGI middleware around all others, so what they refuse is there too.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config import metrics
from config.logs import get_logger

log = get_logger(__name__)

_METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
_ASKED_ALL_THE_TIME = frozenset(["/healthz", "/readyz", "/metrics"])
_NO_ROUTE = "none"


class RequestLog:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0  # 0: the caller left before there was an answer

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            status = status or 500  # its problem is sent further out
            raise
        finally:
            _note(scope, status, time.monotonic() - began)


def _note(scope: Scope, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "other"
    route = _route(scope)
    metrics.REQUESTS.labels(method, route, str(status)).inc()
    write = log.debug if route in _ASKED_ALL_THE_TIME else log.info
    write("request", method=method, route=route, status=status, ms=round(seconds * 1_000))


def _route(scope: Scope) -> str:
    """The pattern that the path fitted, with names of places where the path has names."""
    routed: Mapping[str, Any] = scope.get("state", {}).get("routed") or scope
    return str(getattr(routed.get("route"), "path", _NO_ROUTE))
