"""Refuses a call in which a header or a part of the query has two values: nobody knows which of both is meant.

Runs as ASGI middleware, before any route reads the first or the last of them. The keys of a body are counted in
`api/bodies.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import problem_response

_READ = ("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID")
"""The headers that say something here; others may come several times."""


class DoubledGuard:
    """Of calls under `/api/`. Who is *exempt* is called by others' programs."""

    def __init__(self, app: ASGIApp, *, exempt: tuple[str, ...] = ()) -> None:
        self._app = app
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        trouble = next(_doubled(scope), None) if self._guards(scope) else None
        if trouble:
            await problem_response(422, f"{trouble} has two values; send one of them.")(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _guards(self, scope: Scope) -> bool:
        path = str(scope.get("path", ""))
        return scope["type"] == "http" and path.startswith("/api/") and not path.startswith(self._exempt)


def _doubled(scope: Scope) -> Iterator[str]:
    names = {name.lower().encode(): name for name in _READ}
    read = ((names[key.lower()], bytes(value)) for key, value in scope["headers"] if key.lower() in names)
    yield from (f"The header {name}" for name in _with_two_values(read))
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    yield from (f"{name[:100]!r} in the query" for name in _with_two_values(query))


def _with_two_values(pairs: Iterable[tuple[str, str | bytes]]) -> Iterator[str]:
    known: dict[str, str | bytes] = {}
    return (name for name, value in pairs if known.setdefault(name, value) != value)
