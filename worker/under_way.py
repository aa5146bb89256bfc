"""Which activities run in this worker now, so that a stop can name those that did not end."""

from __future__ import annotations

from collections import Counter
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor


class UnderWay(Interceptor):
    """Counts activities while they run."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Counting(next, self._running)

    def names(self) -> list[str]:
        """`activity of workflow` of each that runs. May be called from any thread."""
        return sorted(name for name, count in list(self._running.items()) if count > 0)


class _Counting(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, running: Counter[str]) -> None:
        super().__init__(next)
        self._running = running

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        name = f"{info.activity_type} of {info.workflow_id}"
        self._running[name] += 1
        try:
            return await super().execute_activity(input)
        finally:
            self._running[name] -= 1
            if not self._running[name]:
                del self._running[name]
