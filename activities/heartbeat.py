"""A heartbeat beside whatever takes long: what takes minutes must be seen to live, and hears when it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

Beat = Callable[[], None]


@asynccontextmanager
async def beating(beat: Beat, every_seconds: float) -> AsyncIterator[None]:
    """Calls *beat* now and again until the block ends: what takes minutes must be seen to live."""

    async def keep_beating() -> None:
        while True:
            beat()
            await asyncio.sleep(every_seconds)

    task = asyncio.create_task(keep_beating())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
