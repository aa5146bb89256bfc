"""The floor: what a durable answer costs at least on this Temporal server, with nothing of ours in it.

A workflow with two updates, one that does nothing and one that runs an empty activity, served by a worker process of
its own (`python -m bench.floor ADDRESS`), with the same pollers as ours. See `bench/README.md`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import PollerBehaviorAutoscaling, Worker

TASK_QUEUE = "bench-floor"
_EMPTY_ACTIVITY_SECONDS = 30
_STOP_SECONDS = 20


@activity.defn(name="nothing")
async def nothing() -> None:
    """The empty activity."""


@workflow.defn(name="Floor")
class Floor:
    """Lives until the server goes."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    def nudge(self) -> None:
        """No activity: what a webhook costs at least."""

    @workflow.update
    async def touch(self) -> None:
        """No activity: 5 events."""

    @workflow.update
    async def act(self) -> None:
        """One empty activity: 11 events, as a turn of ours."""
        await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=_EMPTY_ACTIVITY_SECONDS))


class FloorCaller:
    """Calls the floor as the API calls a conversation: update-with-start."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def touch(self, workflow_id: str) -> float:
        return await self._update("touch", workflow_id)

    async def act(self, workflow_id: str) -> float:
        return await self._update("act", workflow_id)

    async def signal(self, workflow_id: str) -> float:
        """Seconds for a signal-with-start."""
        begin = time.perf_counter()
        await self._client.start_workflow(
            "Floor",
            id=workflow_id,
            task_queue=TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal="nudge",
        )
        return time.perf_counter() - begin

    async def _update(self, name: str, workflow_id: str) -> float:
        """Seconds until it is done."""
        begin = time.perf_counter()
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            "Floor",
            id=workflow_id,
            task_queue=TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        await self._client.execute_update_with_start_workflow(name, id=str(uuid4()), start_workflow_operation=start)
        return time.perf_counter() - begin


@asynccontextmanager
async def floor_at(address: str) -> AsyncIterator[FloorCaller]:
    """The floor's worker as a process, and who calls it."""
    worker = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.floor", address)
    try:
        yield FloorCaller(await Client.connect(address))
    finally:
        worker.terminate()
        await asyncio.wait_for(worker.wait(), _STOP_SECONDS)


async def serve(address: str) -> None:
    """Works for the floor until the process ends."""
    worker = Worker(
        await Client.connect(address),
        task_queue=TASK_QUEUE,
        workflows=[Floor],
        activities=[nothing],
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
