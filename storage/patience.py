"""Waiting out a database that is away, where what is in hand cannot be had again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from storage.database import StorageUnavailable

T = TypeVar("T")

_PAUSE_SECONDS = 0.25


async def patiently(write: Callable[[], Awaitable[T]], patience_seconds: float) -> T:
    """Repeats *write*, which must be safe to repeat, until it succeeds; StorageUnavailable after *patience_seconds*."""
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            return await write()
        except StorageUnavailable:
            if time.monotonic() >= deadline:
                raise
        await asyncio.sleep(_PAUSE_SECONDS)
