"""Services in memory, for tests of what stands above the port: answer as told, and remember the calls."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from integrations.endpoints.port import EndpointFailed, EndpointResult
from schemas.actions import Endpoint


class ScriptedEndpoints:
    """Gives the next of *outcomes*, then a plain success. Holds back while `gate` is closed."""

    def __init__(self, *outcomes: EndpointResult | EndpointFailed) -> None:
        self.calls: list[tuple[str, dict[str, Any], str | None]] = []
        self.outcomes: deque[EndpointResult | EndpointFailed] = deque(outcomes)
        self.gate = asyncio.Event()
        self.gate.set()

    async def call(self, endpoint: Endpoint, params: dict[str, Any], key: str | None) -> EndpointResult:
        self.calls.append((endpoint.name, params, key))
        await self.gate.wait()
        outcome = self.outcomes.popleft() if self.outcomes else EndpointResult(status=200, body='{"ok": true}')
        if isinstance(outcome, EndpointFailed):
            raise outcome
        return outcome

    async def close(self) -> None:
        return None
