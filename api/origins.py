"""Pages of other sites that may call the API from a browser (ALLOWED_ORIGINS); of no others does a browser show them an
answer. Without the setting there is none.

A key in such a page is everybody's: docs/deployment.md says why a server should hold it.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_SENT = ("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Request-ID")
_READ = ("Message-Id", "Next-Before", "Retry-After", "X-Request-ID")
_PREFLIGHT_SECONDS = 600


class AllowedOrigins(CORSMiddleware):
    """Of calls under `/api/`; never for cookies, which are the pages' of our own."""

    def __init__(self, app: ASGIApp, *, origins: Collection[str]) -> None:
        super().__init__(
            app,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=list(_SENT),
            expose_headers=list(_READ),
            max_age=_PREFLIGHT_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._is_meant(scope):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _is_meant(self, scope: Scope) -> bool:
        origin = Headers(scope=scope).get("origin")
        return scope["path"].startswith("/api/") and origin is not None and self.is_allowed_origin(origin)
