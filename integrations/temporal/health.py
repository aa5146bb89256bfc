"""Whether a conversation could be answered now, as far as Temporal goes: for `/readyz` and `agent doctor`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, RPCError

from config.errors import first_line
from config.settings import Settings
from integrations.temporal.search_attributes import WrongAttributes, wrong_attributes

_QUEUES = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
"""A turn needs somebody on both."""


@dataclass(frozen=True)
class TemporalHealth:
    """*reason*: one line, why Temporal does not answer for our namespace. *connected*: whether one is there at all.

    *worker_seen_seconds*: how long ago a worker last asked for work, of the kind that was asked for longest ago; None:
    there is none. A worker with nothing to do asks once a minute, and Temporal remembers one that has died for a while.
    """

    answers: bool
    attributes: WrongAttributes = field(default_factory=WrongAttributes)
    worker_seen_seconds: float | None = None
    reason: str = ""
    connected: bool = True


async def temporal_health(client: Client, settings: Settings) -> TemporalHealth:
    """Three small calls at once, within READINESS_TIMEOUT_SECONDS."""
    seconds = settings.readiness_timeout_seconds
    queue = settings.temporal_task_queue
    try:
        async with asyncio.timeout(seconds):
            wrong, seen = await asyncio.gather(
                wrong_attributes(client, seconds),
                asyncio.gather(*(_seen_seconds(client, queue, kind, seconds) for kind in _QUEUES)),
            )
    except TimeoutError:
        return TemporalHealth(answers=False, reason=f"no answer within {seconds:g} s", connected=False)
    except RPCError as error:
        return TemporalHealth(answers=False, reason=plain_reason(error))
    except RuntimeError as error:
        return TemporalHealth(answers=False, reason=plain_reason(error), connected=False)
    ages = [age for age in seen if age is not None]
    return TemporalHealth(True, wrong, max(ages) if len(ages) == len(_QUEUES) else None)


def plain_reason(error: Exception) -> str:
    """One line. The SDK's RuntimeError has the words of three libraries in it, and none for a user."""
    if isinstance(error, RuntimeError):
        return "it cannot be connected to; is the address right, does it run, and does it want TLS?"
    return first_line(error)


async def _seen_seconds(client: Client, queue: str, kind: TaskQueueType.ValueType, seconds: float) -> float | None:
    wanted = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
    )
    found = await client.workflow_service.describe_task_queue(wanted, timeout=timedelta(seconds=seconds))
    now = datetime.now(UTC)
    ages = [(now - poller.last_access_time.ToDatetime(UTC)).total_seconds() for poller in found.pollers]
    return max(0.0, min(ages)) if ages else None
