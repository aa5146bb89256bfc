"""A planned response, played in time. The last step of the simulator."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Receive, Scope, Send

SERVER = "perplexity-wrapper SIMULATOR"


@dataclass(frozen=True)
class Piece:
    """Bytes of the body, sent *delay* seconds after those before."""

    data: bytes
    delay: float = 0.0
    shows_text: bool = False


@dataclass(frozen=True)
class Plan:
    """A response: head, pieces, and whether the connection breaks off after them."""

    pieces: list[Piece]
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    broken_off: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As an ASGI response; ends early when the caller leaves."""
        tasks = [asyncio.create_task(self._play(send)), asyncio.create_task(_caller_left(receive))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _play(self, send: Send) -> None:
        headers = {"content-type": self.content_type, "server": SERVER, **self.headers}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        for piece in self.pieces:
            await asyncio.sleep(piece.delay)
            await send({"type": "http.response.body", "body": piece.data, "more_body": True})
        if not self.broken_off:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _caller_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def json_plan(body: Any, *, status: int = 200, delay: float = 0.0) -> Plan:
    """Compact and not escaped, as the wrapper's JSON bodies are."""
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Plan([Piece(data, delay)], status=status)


def frame(body: dict[str, Any]) -> bytes:
    """Spaced and escaped, as the wrapper's frames are."""
    return f"data: {json.dumps(body)}\n\n".encode()


def stream_plan(pieces: list[Piece], *, broken_off: bool = False) -> Plan:
    return Plan(pieces, content_type="text/event-stream; charset=utf-8", broken_off=broken_off)
