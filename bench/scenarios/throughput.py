"""Turns a second with many conversations at once, against bare updates with an activity at the same concurrency."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from bench.comparison import Comparison, Round, take_turns
from bench.stage import BenchStage


async def throughput(stage: BenchStage) -> list[Comparison]:
    sizes = stage.sizes
    many = Comparison(
        f"{sizes.conversations} conversations at once",
        "HTTP turns a second",
        "bare update + activity, a second",
        "≥ 0.4 ×",
        unit="per second",
    )

    async def ours() -> float:
        return await _per_second(stage, lambda n: stage.caller.say(f"many-{n}"))

    async def floor() -> float:
        return await _per_second(stage, lambda n: stage.floor.act(f"floor-many-{n}"))

    await take_turns(stage.random, 1, ours, floor)  # starts the workflows
    for _ in range(sizes.rounds):
        many.rounds.append(Round(*await take_turns(stage.random, 1, ours, floor)))
    return [many]


async def _per_second(stage: BenchStage, call: Callable[[int], Awaitable[object]]) -> float:
    """Each conversation calls *turns_each* times, one after the other; all conversations at once."""
    conversations, each = stage.sizes.conversations, stage.sizes.turns_each

    async def talk(number: int) -> None:
        for _ in range(each):
            await call(number)

    begin = time.perf_counter()
    await asyncio.gather(*(talk(number) for number in range(conversations)))
    return conversations * each / (time.perf_counter() - begin)
