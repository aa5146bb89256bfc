"""Settings → adapters → activities → Worker. `agent worker` runs this until SIGTERM."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from temporalio.client import Client
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.service import RPCError

from config import metrics
from config.hosts import listening_address
from config.logs import configure_logs, get_logger
from config.settings import Settings
from config.values import masked
from integrations.endpoints.http import HttpEndpoints
from integrations.perplexity.wrapper import WrapperClient
from integrations.temporal.connection import address_of, connect, reporting
from integrations.temporal.health import plain_reason
from integrations.whatsapp.configuration import whatsapp_from
from schemas.channels import WHATSAPP
from storage.database import Database
from worker.app import Outside, create_worker
from worker.running import running
from worker.schedules import ensure_schedules
from worker.search_attributes import ensure_search_attributes
from worker.stopping import StopSignals
from worker.under_way import UnderWay

log = get_logger(__name__)

_RECONNECT_SECONDS = 1.0


def main(settings: Settings) -> None:
    """Runs until SIGTERM or Ctrl-C; answers under way get WORKER_SHUTDOWN_SECONDS to end.

    Gone at the latest WORKER_ABANDON_SECONDS after that.
    """
    configure_logs(settings, "worker")
    if settings.worker_counters_port:
        metrics.serve(settings.host, settings.worker_counters_port)
    under_way = UnderWay()
    stop = StopSignals(settings.worker_shutdown_seconds + settings.worker_abandon_seconds, under_way.names)
    stop.listen()
    asyncio.run(_run(settings, stop, under_way))


async def _run(settings: Settings, stop: StopSignals, under_way: UnderWay) -> None:
    assert settings.database_url
    assert settings.perplexity_base_url
    async with AsyncExitStack() as stack:
        database = Database(
            settings.database_url,
            pool_size=settings.database_pool_size,
            statement_seconds=settings.database_timeout_seconds,
        )
        stack.push_async_callback(database.close)
        outside = _outside(settings, stack)
        client = await stop.unless_told(_prepared(settings))
        if client is None:
            return
        worker = create_worker(client, database, outside, settings, interceptors=[under_way])
        log.info("worker_starting", perplexity=masked(settings.perplexity_base_url))
        async with running(worker, settings):
            await stop.until_told()
            log.info("worker_stopping", grace_seconds=settings.worker_shutdown_seconds)


async def _prepared(settings: Settings) -> Client:
    """A client of a Temporal that has our search attributes, as far as we may make them, and our schedules."""
    client = await _connected(settings)
    await ensure_search_attributes(client, settings)
    await ensure_schedules(client, settings)
    return client


def _outside(settings: Settings, stack: AsyncExitStack) -> Outside:
    """The services that activities talk to; *stack* closes them."""
    perplexity = WrapperClient(settings)
    stack.push_async_callback(perplexity.close)
    endpoints = HttpEndpoints(
        settings.endpoint_secrets,
        allowed=frozenset(settings.endpoint_private_hosts),
        max_bytes=settings.endpoint_answer_bytes,
        connect_seconds=settings.endpoint_connect_seconds,
    )
    stack.push_async_callback(endpoints.close)
    whatsapp = whatsapp_from(settings)
    if whatsapp:
        stack.push_async_callback(whatsapp.close)
    return Outside(perplexity, endpoints, {WHATSAPP: whatsapp} if whatsapp else {})


async def _connected(settings: Settings) -> Client:
    """A client, waiting for Temporal as long as it takes."""
    runtime = _runtime(settings)
    while True:
        try:
            return await connect(settings, runtime=runtime, retries=reporting(settings))
        except (RPCError, RuntimeError) as error:
            log.warning("temporal_away", address=address_of(settings), why=plain_reason(error))
            await asyncio.sleep(_RECONNECT_SECONDS)


def _runtime(settings: Settings) -> Runtime:
    """The SDK's own metrics (slots, pollers, latencies) on WORKER_METRICS_PORT; 0: not shown."""
    if not settings.worker_metrics_port:
        return Runtime.default()
    address = listening_address(settings.host, settings.worker_metrics_port)
    return Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=address)))
