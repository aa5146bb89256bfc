"""Settings → adapters → activities → Worker. `agent worker` runs this until SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.service import RPCError
from temporalio.worker import PollerBehaviorAutoscaling, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.answering import Answering
from activities.asking import Asking
from activities.remembering import Remembering
from activities.sweeping import Sweeping
from config.logs import configure_logs, get_logger
from config.settings import Settings
from integrations.perplexity.port import Perplexity
from integrations.perplexity.wrapper import WrapperClient
from integrations.temporal.connection import connect
from integrations.temporal.conversations import Conversations
from schemas.operations import TASK_QUEUE
from storage.accounts import AccountCalls
from storage.configurations import Configurations
from storage.database import Database
from storage.sessions import Sessions
from storage.streams import StreamEvents
from storage.turns import Turns
from storage.waiting import Waiting
from worker.schedules import ensure_schedules
from workflows.conversation import Conversation
from workflows.sweep import Sweep

log = get_logger(__name__)

_RECONNECT_SECONDS = 1.0
_SANDBOX = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(
        "pydantic", "pydantic_core", "annotated_types", "schemas", "activities", "storage", "integrations", "config"
    )
)


def create_worker(client: Client, database: Database, perplexity: Perplexity, settings: Settings) -> Worker:
    """The worker with everything it does; the caller runs it, and closes what it passed in."""
    events = StreamEvents(database)
    accounts = AccountCalls(
        database,
        in_flight=settings.account_calls_in_flight,
        per_minute=settings.account_calls_per_minute,
        lease_seconds=settings.turn_timeout_seconds,
    )
    asking = Asking(perplexity, accounts, events, settings, activity.heartbeat)
    answering = Answering(Turns(database), Configurations(database), asking, settings)
    remembering = Remembering(Sessions(database))
    sweeping = Sweeping(Waiting(database), events, Conversations(client, settings), settings)
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[Conversation, Sweep],
        activities=[
            answering.answer,
            answering.apologize,
            remembering.recall,
            remembering.reset,
            sweeping.sweep,
        ],
        workflow_runner=_SANDBOX,
        max_concurrent_activities=settings.worker_activities,
        max_concurrent_workflow_tasks=settings.worker_workflow_tasks,
        max_cached_workflows=settings.worker_cached_workflows,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        max_heartbeat_throttle_interval=timedelta(seconds=settings.turn_heartbeat_seconds / 2),
        default_heartbeat_throttle_interval=timedelta(seconds=settings.turn_heartbeat_seconds / 2),
        graceful_shutdown_timeout=timedelta(seconds=settings.worker_shutdown_seconds),
    )


def main(settings: Settings) -> None:
    """Runs until SIGTERM or Ctrl-C; answers under way get WORKER_SHUTDOWN_SECONDS to end."""
    configure_logs(settings, "worker")
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    assert settings.database_url
    assert settings.perplexity_base_url
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        database = Database(
            settings.database_url,
            pool_size=settings.database_pool_size,
            statement_seconds=settings.database_timeout_seconds,
        )
        stack.push_async_callback(database.close)
        perplexity = WrapperClient(settings)
        stack.push_async_callback(perplexity.close)
        client = await _connected(settings, stopping)
        if client is None:
            return
        await ensure_schedules(client, settings)
        worker = create_worker(client, database, perplexity, settings)
        log.info("worker_ready", perplexity=settings.perplexity_base_url)
        async with worker:
            await stopping.wait()
            log.info("worker_stopping", grace_seconds=settings.worker_shutdown_seconds)


async def _connected(settings: Settings, stopping: asyncio.Event) -> Client | None:
    """A client, waiting for Temporal as long as it takes; None if we are told to stop meanwhile."""
    runtime = _runtime(settings)
    while not stopping.is_set():
        try:
            return await connect(settings, runtime=runtime)
        except (RPCError, RuntimeError) as error:
            log.warning("temporal_away", why=str(error).splitlines()[0][:200])
            await asyncio.sleep(_RECONNECT_SECONDS)
    return None


def _runtime(settings: Settings) -> Runtime:
    """The SDK's own metrics (slots, pollers, latencies) on WORKER_METRICS_PORT; 0: not shown."""
    if not settings.worker_metrics_port:
        return Runtime.default()
    address = f"{settings.host}:{settings.worker_metrics_port}"
    return Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=address)))
