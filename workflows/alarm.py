"""The run's timer: it wakes the loop at the earliest of its deadlines, which then looks what is due."""

from __future__ import annotations

import asyncio
from datetime import datetime

from temporalio import workflow


class Alarm:
    """One timer for the earliest moment asked for.

    A later one that was set before is left alone, and serves again once the earlier has rung: cancelling it and
    setting it again would cost each turn two events and a billable action. A moment that has lost its reason rings
    all the same, and is looked at in vain.
    """

    def __init__(self) -> None:
        self._set: dict[datetime, asyncio.Task[None]] = {}

    def covers(self, moment: datetime | None) -> bool:
        """Whether it rings by then."""
        return moment is None or any(each <= moment for each in self._set)

    def set(self, moment: datetime | None) -> None:
        if moment is not None and not self.covers(moment):
            self._set[moment] = asyncio.create_task(self._ring(moment))

    async def _ring(self, moment: datetime) -> None:
        await workflow.sleep(moment - workflow.now(), summary="Look what is due")
        del self._set[moment]
