"""An event loop whose time stands still until it is told to pass, and that runs until nothing can go on by itself.

Only what is really under way outside (a statement) is waited for. So the machine's timing decides nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import Context
from typing import Any

_ROUNDS = 200_000
"""More than any step of a test takes."""


class VirtualLoop(asyncio.SelectorEventLoop):
    _ready: deque[asyncio.Handle]  # of asyncio's own loop
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 0.0
        self._under_way = 0

    def time(self) -> float:
        return self._seconds

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """To a tenth of a second: deadlines come from the database, whose clock runs while it counts what is left, so
        by a hair each differs from run to run. What asyncpg keeps for a while from one example to the next never ends
        while time stands still."""
        if getattr(callback, "__module__", "").startswith("asyncpg."):
            when = math.inf
        elif (tenth := round(when, 1)) > self._seconds:  # else it is so short that it would take no time at all
            when = tenth
        return super().call_at(when, callback, *args, context=context)

    def advance(self, seconds: float) -> None:
        """Lets time pass; what is due by then runs with the next `run_until_quiet`."""
        self._seconds += seconds

    @contextmanager
    def real(self) -> Iterator[None]:
        """What is done within takes real time: the loop waits for its end."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self.stop()

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """At once: a thread would come back when the machine likes."""
        done = self.create_future()
        done.set_result(func(*args))
        return done

    def next_timer(self) -> float | None:
        """When the next timer is due."""
        return min((timer.when() for timer in self._scheduled if not timer.cancelled()), default=None)

    def run_until_quiet(self) -> None:
        """Runs until everybody waits: for a stop's release, for time to pass, or for nothing more."""
        for _ in range(_ROUNDS):
            if not self._under_way:
                self.call_soon(self.stop)
            self.run_forever()
            if not self._under_way and not self._ready and not self._timer_is_due():
                return
        raise RuntimeError("the loop does not come to rest")

    def _timer_is_due(self) -> bool:
        due = self.next_timer()
        return due is not None and due <= self._seconds
