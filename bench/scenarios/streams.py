"""How late a customer sees the first text: through us, against who reads the simulator's stream directly.

Both clocks start when the simulator notes the question (`at` in `/simulator/questions`); with the same pace its first
text leaves equally late after that, so the difference of the two is what lies between its frame and our chunk.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx2

from bench.comparison import Comparison, Round, take_turns
from bench.stage import BenchStage

_TEXT = "Hello, who are you? [[sim: pace=0.1]]"
_READ_SECONDS = 60.0


async def streams(stage: BenchStage) -> list[Comparison]:
    first = Comparison(
        "first text of a stream",
        "first chunk at our client",
        "first text frame at a direct reader of the simulator",
        "≤ 150 ms later",
        relation="difference",
    )
    async with httpx2.AsyncClient(base_url=stage.simulator, timeout=_READ_SECONDS) as simulator:

        async def ours() -> float:
            came, turn = await stage.caller.stream("streams", _TEXT)
            return came - await _asked_at(simulator, turn["thread"]["frontend_context_uuid"])

        async def direct() -> float:
            thread = str(uuid4())
            came = await _first_frame(simulator, thread)
            return came - await _asked_at(simulator, thread)

        await take_turns(stage.random, 1, ours, direct)
        for _ in range(stage.sizes.rounds):
            first.rounds.append(Round(*await take_turns(stage.random, stage.sizes.streams, ours, direct)))
    return [first]


async def _first_frame(simulator: httpx2.AsyncClient, thread: str) -> float:
    """When the first frame with text came, in seconds since the epoch; the rest is read too."""
    asked = {"q": _TEXT, "account_name": "bench", "frontend_context_uuid": thread, "answer_only": "false"}
    came = 0.0
    async with simulator.stream("GET", "/api/query_async", params=asked) as response:
        async for line in response.aiter_lines():
            if not came and '"ask_text"' in line:
                came = time.time()
    return came


async def _asked_at(simulator: httpx2.AsyncClient, thread: str) -> float:
    """When the simulator noted the newest question of *thread*, in seconds since the epoch."""
    questions: list[dict[str, Any]] = (await simulator.get("/simulator/questions", params={"thread": thread})).json()
    return datetime.fromisoformat(questions[-1]["at"]).timestamp()
