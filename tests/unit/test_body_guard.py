"""The guard refuses a body while it arrives: it never reads on, however long the sender would."""

from __future__ import annotations

from typing import Any

from api.bodies import BodyGuard


async def call(guard: BodyGuard, chunks: list[dict[str, Any]], content_length: str | None = None) -> tuple[int, int]:
    """The status, and how many chunks were read."""
    headers = [(b"content-type", b"application/json")]
    if content_length:
        headers.append((b"content-length", content_length.encode()))
    scope = {"type": "http", "method": "POST", "path": "/api/message", "headers": headers}
    sent: list[dict[str, Any]] = []
    taken = iter(chunks)

    async def receive() -> dict[str, Any]:
        return next(taken)

    async def send(message: Any) -> None:
        sent.append(message)

    await guard(scope, receive, send)
    return sent[0]["status"], len(chunks) - len(list(taken))


async def app(scope: Any, receive: Any, send: Any) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def chunk(size: int) -> dict[str, Any]:
    return {"type": "http.request", "body": b" " * size, "more_body": True}


async def test_an_endless_body_is_cut_off_at_the_limit() -> None:
    guard = BodyGuard(app, max_bytes=1_000, seconds=5, judged={})

    assert await call(guard, [chunk(100)] * 1_000) == (413, 11)


async def test_an_announced_size_over_the_limit_is_refused_unread() -> None:
    guard = BodyGuard(app, max_bytes=1_000, seconds=5, judged={})

    assert await call(guard, [chunk(100)] * 1_000, content_length="1001") == (413, 0)


async def test_a_sender_that_leaves_is_not_an_error_of_ours() -> None:
    guard = BodyGuard(app, max_bytes=1_000, seconds=5, judged={})

    assert await call(guard, [chunk(10), {"type": "http.disconnect"}]) == (400, 2)


async def test_a_body_within_the_limit_is_passed_on_whole() -> None:
    guard = BodyGuard(app, max_bytes=1_000, seconds=5, judged={})
    parts = [{"type": "http.request", "body": part, "more_body": part != b"}"} for part in (b'{"a"', b": 1", b"}")]

    assert await call(guard, parts) == (200, 3)
