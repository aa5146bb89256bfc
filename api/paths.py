"""How an address is read: by its path as it came, so that `%2F` belongs to a name and only `/` parts names.

Runs as ASGI middleware, before any route reads its part of the path. A path that is no UTF-8 is refused: the server
would put the same sign for every wrong byte, and two names of two customers would be one. A slash at the end says
nothing, and HEAD asks for what GET would answer (the server leaves the body out).
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import problem_response


class PathGuard:
    """The path alone: what is in a query has its own checks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            path = _routed(scope.get("raw_path") or scope["path"].encode())
        except UnicodeDecodeError:
            told = "The path is not UTF-8: percent-encode the bytes of its UTF-8."
            await problem_response(400, told)(scope, receive, send)
            return
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        inner = {**scope, "path": path, "method": method}
        scope.setdefault("state", {})["routed"] = inner  # who stands outside reads there which route was taken
        await self._app(inner, receive, send)


def name_in_path(part: object) -> object:
    """A name that is a part of the path, as its caller spells it. For the validators of such parameters."""
    return part.replace("%2F", "/").replace("%25", "%") if isinstance(part, str) else part


def _routed(raw_path: bytes) -> str:
    """The path as routes are compared with it: decoded, but for the signs that would part a name, or be taken for such
    ones. Raises UnicodeDecodeError."""
    path = "/".join(_parts(raw_path))
    return path[:-1] if len(path) > 1 and path.endswith("/") else path


def _parts(raw_path: bytes) -> Iterator[str]:
    for part in raw_path.split(b"/"):
        yield unquote_to_bytes(part).decode().replace("%", "%25").replace("/", "%2F")
