"""Temporal Schedules that the system needs: made, or brought up to date, when a worker starts."""

from __future__ import annotations

import asyncio
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
from temporalio.service import RPCError

from config.errors import first_line
from config.logs import get_logger
from config.settings import Settings
from workflows.sweep import Sweep

log = get_logger(__name__)

SWEEP = "sweep"
_AGAIN_SECONDS = 1.0


async def ensure_schedules(client: Client, settings: Settings) -> None:
    """Makes the sweep's Schedule, or changes an existing one to what the settings say now, once Temporal lets us."""
    while True:
        try:
            await _ensure(client, settings)
            return
        except RPCError as error:
            log.warning("schedules_cannot_be_made", why=first_line(error))
        await asyncio.sleep(_AGAIN_SECONDS)


async def _ensure(client: Client, settings: Settings) -> None:
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
