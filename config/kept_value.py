"""A value that is dear to find and may be a little old: found once for all who ask meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class KeptValue(Generic[T]):
    """What *find* gave, at most *seconds* ago. Whoever asks meanwhile waits for the one that is looking; what that
    raises, all of them do, and the next looks anew."""

    def __init__(self, find: Callable[[], Awaitable[T]], seconds: float) -> None:
        self._find = find
        self._seconds = seconds
        self._finding: asyncio.Task[T] | None = None
        self._until = 0.0

    async def now(self) -> T:
        finding = self._finding
        if finding is None or (finding.done() and (time.monotonic() >= self._until or _failed(finding))):
            finding = self._finding = asyncio.create_task(self._look())
            finding.add_done_callback(_failed)  # looked at, so that one whose callers have all left causes no warning
        return await asyncio.shield(finding)

    async def _look(self) -> T:
        found = await self._find()
        self._until = time.monotonic() + self._seconds
        return found


def _failed(finding: asyncio.Task[T]) -> bool:
    return finding.cancelled() or finding.exception() is not None
