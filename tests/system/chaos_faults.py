"""Kills parts of the running program now and again, from a seeded plan, and counts what it killed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random

import psutil

from tests.system.running import Program

_LOOK_AGAIN_SECONDS = 0.1


class Killer:
    """SIGKILL for one of *parts* after each *pause* of seconds (from, to), as long as `killing` lasts.

    The pause begins once the program answers again (*answered* grows): a part that is killed while it starts, again
    and again, would only show that nothing answers.
    """

    def __init__(
        self,
        program: Program,
        random: Random,
        parts: Sequence[str],
        pause: tuple[float, float],
    ) -> None:
        self._program = program
        self._random = random
        self._parts = parts
        self._pause = pause
        self.killed: Counter[str] = Counter()

    async def kill_on(self, answered: Callable[[], int]) -> None:
        """Until cancelled. Each part in its turn, so that none is spared by chance."""
        while True:
            for part in self._random.sample(self._parts, len(self._parts)):
                before = answered()
                while answered() == before:  # noqa: ASYNC110 - the answers come in other processes
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                await asyncio.sleep(self._random.uniform(*self._pause))
                await self._kill(part)

    async def _kill(self, part: str) -> None:
        """As soon as the part runs: it may still be on its way back from the last time."""
        while True:
            try:
                await asyncio.to_thread(self._program.kill, part)
            except (LookupError, psutil.NoSuchProcess):
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            else:
                self.killed[part] += 1
                return


@asynccontextmanager
async def killing(killer: Killer, answered: Callable[[], int]) -> AsyncIterator[Killer]:
    """*killer* at work beside the block."""
    task = asyncio.create_task(killer.kill_on(answered))
    try:
        yield killer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
