"""What a run does beside its loop: at most one task for each duty."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows.policy import Duty


class UnderWay:
    """The duties that were begun and have not been seen to end. *does*: what each of them is."""

    def __init__(self, does: Mapping[Duty, Callable[[], Coroutine[Any, Any, None]]]) -> None:
        self._does = does
        self._tasks: dict[Duty, asyncio.Task[None]] = {}

    def __contains__(self, duty: object) -> bool:
        return duty in self._tasks

    def __iter__(self) -> Iterator[Duty]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def has_ended(self) -> bool:
        """Whether one came to its end since `see_ends`."""
        return any(task.done() for task in self._tasks.values())

    def begin(self, duty: Duty) -> None:
        self._tasks[duty] = asyncio.create_task(self._does[duty]())

    def see_ends(self) -> None:
        """Forgets what has ended; raises what was nobody's to handle."""
        for duty, task in list(self._tasks.items()):
            if task.done():
                del self._tasks[duty]
                task.result()

    async def cancel(self) -> None:
        """Returns once all have ended, however."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
