"""Temporal Schedules that the system needs: made, or brought up to date, when a worker starts."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
)

from config.settings import Settings
from workflows.sweep import Sweep

SWEEP = "sweep"


async def ensure_schedules(client: Client, settings: Settings) -> None:
    """Makes the sweep's Schedule, or changes an existing one to what the settings say now."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            Sweep.run,
            id=SWEEP,
            task_queue=settings.temporal_task_queue,
            execution_timeout=timedelta(minutes=15),
            static_summary="Wake what was stored and never woken",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=settings.sweep_every_seconds))]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
    try:
        await client.create_schedule(SWEEP, schedule)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(SWEEP).update(lambda _: ScheduleUpdate(schedule=schedule))
