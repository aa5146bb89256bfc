"""What is measured: the real program in a folder of its own, and a client of its HTTP API with a stopwatch."""

from __future__ import annotations

import hmac
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2

from tests.system.running import KEY, Program

_APP_SECRET = "bench-app-secret"
_SETTINGS = {
    "WHATSAPP_APP_SECRET": _APP_SECRET,
    "WHATSAPP_PHONE": "1",
    "SIMULATOR_PACE": "0",  # the model answers at once: what is left is ours
    "PERPLEXITY_ACCOUNT_CALLS_IN_FLIGHT": "1000",
    "PERPLEXITY_ACCOUNT_CALLS_PER_MINUTE": "100000",
    "TURN_HEARTBEAT_SECONDS": "15",
    "SWEEP_EVERY_SECONDS": "30",
    "SWEEP_AFTER_SECONDS": "60",
}
_CALL_SECONDS = 60.0
_CONNECTIONS = 200


def sign_webhook(body: bytes) -> str:
    """`X-Hub-Signature-256`, as Meta makes it."""
    return "sha256=" + hmac.new(_APP_SECRET.encode(), body, "sha256").hexdigest()


@contextmanager
def program() -> Iterator[Program]:
    """Not started yet; stopped at the end. PostgreSQL's account may pass through the folder, for when we are root."""
    with tempfile.TemporaryDirectory(prefix="agent-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        subject = Program(Path(folder) / "data", dict(_SETTINGS))
        try:
            yield subject
        finally:
            subject.stop()


@dataclass(frozen=True)
class TimedCall:
    """A turn as the API gave it, and how many seconds its caller waited."""

    seconds: float
    turn: dict[str, Any]

    @property
    def without_model(self) -> float:
        """Seconds that are not the simulator's, which remembers every turn of a thread and so gets slower."""
        return self.seconds - float(self.turn["timings"]["model_ms"] or 0) / 1_000


class Caller:
    """A customer's front end: one connection pool for all calls."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def say(self, customer: str, text: str = "Hello", message_id: str | None = None) -> TimedCall:
        """One message by `POST /api/message`. Raises HTTPStatusError for anything but an answer."""
        body = {"customer_id": customer, "text": text, "message_id": message_id or str(uuid4())}
        begin = time.perf_counter()
        response = await self._http.post("/api/message", json=body)
        seconds = time.perf_counter() - begin
        response.raise_for_status()
        return TimedCall(seconds, response.json())

    async def webhook(self, body: bytes, sign: Callable[[bytes], str]) -> float:
        """Seconds until a webhook is acknowledged. Raises HTTPStatusError for anything but that."""
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": sign(body)}
        begin = time.perf_counter()
        response = await self._http.post("/api/webhooks/whatsapp", content=body, headers=headers)
        seconds = time.perf_counter() - begin
        response.raise_for_status()
        return seconds

    async def stream(self, customer: str, text: str) -> tuple[float, dict[str, Any]]:
        """One message by `POST /api/query_async`: when its first chunk came (seconds since the epoch), and the Turn."""
        body = {"customer_id": customer, "text": text, "message_id": str(uuid4())}
        first, kind = 0.0, ""
        async with self._http.stream("POST", "/api/query_async", json=body) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                name, _, value = line.partition(": ")
                kind = value if name == "event" else kind
                if kind == "chunk" and not first:
                    first = time.time()
                if name == "data" and kind == "done":
                    return first, dict(json.loads(value))
        raise RuntimeError(f"the stream ended with {kind!r}, not with done")


@asynccontextmanager
async def caller_of(subject: Program) -> AsyncIterator[Caller]:
    limits = httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
    headers = {"Authorization": f"Bearer {KEY}"}
    address = subject.addresses["api"]
    async with httpx2.AsyncClient(base_url=address, headers=headers, timeout=_CALL_SECONDS, limits=limits) as http:
        yield Caller(http)
