"""Which request targets our servers take, beside a plain path."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from config.serving import taking_absolute_targets


async def seen(target: bytes, kind: str = "http") -> dict[str, Any]:
    """What an application is told of a request for *target*, split as uvicorn does it."""
    found: list[dict[str, Any]] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        found.append(scope)

    raw, _, query = target.partition(b"?")
    headers = [(b"accept", b"*/*"), (b"host", b"other")]
    scope = {"type": kind, "path": unquote(raw.decode()), "raw_path": raw, "query_string": query, "headers": headers}
    await taking_absolute_targets(app)(scope, None, None)  # type: ignore[arg-type]
    return found[0]


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"http://bots.example/readyz?for=store", "/readyz", b"bots.example"),
        (b"HTTPS://[::1]:8000/a%20b", "/a b", b"[::1]:8000"),
        (b"http://bots.example", "/", b"bots.example"),
        (b"http://bots.example?for=store", "/", b"bots.example"),
    ],
)
async def test_a_target_with_scheme_and_host(target: bytes, path: str, host: bytes) -> None:
    scope = await seen(target)

    assert scope["path"] == path
    assert scope["raw_path"] == path.replace(" ", "%20").encode()
    assert [value for name, value in scope["headers"] if name == b"host"] == [host]
    assert (b"accept", b"*/*") in scope["headers"]


@pytest.mark.parametrize("target", [b"/readyz", b"/http://x/y", b"*", b"ftp://x/y", b"http:///x", b"/a?b=http://c/d"])
async def test_any_other_is_left_as_it_is(target: bytes) -> None:
    scope = await seen(target)

    assert scope["raw_path"] == target.partition(b"?")[0]
    assert scope["headers"][1] == (b"host", b"other")
