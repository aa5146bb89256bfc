"""How the worker's process ends: told once or often, at any moment, it is gone in time and with exit code 0.

The first SIGTERM or Ctrl-C starts a clock in a thread of its own, which nothing else in the process can hold up. What
has not ended when it runs out is named in the log and abandoned: Temporal and the database take it for a crash, and
whoever comes next goes on from what is stored.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

from config.logs import get_logger

T = TypeVar("T")
log = get_logger(__name__)


class StopSignals:
    """Hears SIGTERM and Ctrl-C from `listen` to the end of the process.

    *seconds*: how long the process may take to end. *under_way* says what has not ended by then.
    """

    def __init__(self, seconds: float, under_way: Callable[[], list[str]]) -> None:
        self._seconds = seconds
        self._under_way = under_way
        self._told = False
        self._clock = threading.Event()
        self._wake: Callable[[], object] = lambda: None

    def listen(self) -> None:
        """Call it in the main thread. The clock's thread starts now: a signal's handler must not start one."""
        threading.Thread(target=self._watch_the_clock, name="stop clock", daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    async def until_told(self) -> None:
        """Returns when the process is told to stop, at once if it was before. For one waiter at a time."""
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: loop.call_soon_threadsafe(told.set)
        try:
            if not self._told:
                await told.wait()
        finally:
            self._wake = lambda: None

    async def unless_told(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What *work* returns; None if the process was told to stop before, and *work* was cancelled."""
        working, told = asyncio.create_task(work), asyncio.create_task(self.until_told())
        try:
            await asyncio.wait({working, told}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (working, told):
                task.cancel()
            await asyncio.wait({working, told})
        return None if working.cancelled() else working.result()

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if not self._told:
            self._told = True
            self._clock.set()
            self._wake()

    def _watch_the_clock(self) -> None:
        self._clock.wait()
        time.sleep(self._seconds)
        log.error("worker_abandoned", after_seconds=self._seconds, under_way=self._under_way())
        sys.stdout.flush()
        os._exit(0)
