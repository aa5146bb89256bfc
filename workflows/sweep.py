"""Started by a Temporal Schedule: one look for messages that were stored and never woken."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.sweep import SweepActivities
    from schemas.sweeps import SweepResult


@workflow.defn(name="Sweep")
class Sweep:
    """One sweep; if it fails, the Schedule starts the next one all the same."""

    @workflow.run
    async def run(self) -> SweepResult:
        return await workflow.execute_activity_method(
            SweepActivities.sweep,
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(seconds=30),
            retry_policy=RetryPolicy(maximum_attempts=3),
            summary="Wake what was stored and never woken",
        )
