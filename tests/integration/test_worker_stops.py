"""A worker that is told to stop is gone within its grace time and 5 seconds, whatever it is doing: `agent worker`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.silence import Way, silence, way_to
from tests.support.waiting import within
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer
from tests.worker_process import GRACE_SECONDS, WorkerProcess, worker_process

LIMIT_SECONDS = GRACE_SECONDS + 5


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, worker=False, **SETTINGS) as system:
        yield system


async def check_stops(worker: WorkerProcess) -> None:
    code, seconds = await worker.stopped()
    assert (code, seconds <= LIMIT_SECONDS) == (0, True), (code, seconds, worker.said()[-2_000:])


def way_to_database(system: System) -> AbstractAsyncContextManager[Way]:
    """And so through a port: the database itself is reached by a Unix socket."""
    (folder,) = parse_qs(urlsplit(system.settings.database_url or "").query)["host"]
    return way_to(partial(asyncio.open_unix_connection, f"{folder}/.s.PGSQL.5432"))


def way_to_temporal(system: System) -> AbstractAsyncContextManager[Way]:
    host, _, port = (system.settings.temporal_address or "").partition(":")
    return way_to(partial(asyncio.open_connection, host, int(port)))


async def test_while_the_model_is_silent(system: System) -> None:
    async with silence() as model, worker_process(system, PERPLEXITY_BASE_URL=f"http://{model.address}") as worker:
        await Customer(system).write("Hello")
        await within("a question to the model", model.heard.wait(), worker.said)

        await check_stops(worker)


async def test_while_the_database_is_silent(system: System) -> None:
    name = urlsplit(system.settings.database_url or "").path
    async with way_to_database(system) as way:
        url = f"postgresql://postgres@{way.address}{name}"
        async with worker_process(system, DATABASE_URL=url) as worker:
            await worker.until_said("worker_starting")
            way.is_open = False
            await Customer(system).write("Hello")
            await within("a statement that does not pass", way.held.wait(), worker.said)

            await check_stops(worker)


async def test_while_temporal_is_silent(system: System) -> None:
    async with way_to_temporal(system) as way, worker_process(system, TEMPORAL_ADDRESS=way.address) as worker:
        await worker.until_said("worker_starting")
        way.is_open = False

        await check_stops(worker)


async def test_while_temporal_has_not_answered_yet(system: System) -> None:
    async with silence() as temporal, worker_process(system, TEMPORAL_ADDRESS=temporal.address) as worker:
        await within("a call to Temporal", temporal.heard.wait(), worker.said)

        await check_stops(worker)


async def test_while_nothing_listens_where_temporal_should(system: System) -> None:
    async with worker_process(system, TEMPORAL_ADDRESS="127.0.0.1:9") as worker:
        await worker.until_said("temporal_away")

        await check_stops(worker)


async def test_while_the_channel_is_silent(system: System) -> None:
    async with silence() as channel:
        account = {
            "WHATSAPP_ACCESS_TOKEN": "token",
            "WHATSAPP_PHONE_NUMBER_ID": "1",
            "WHATSAPP_APP_SECRET": "secret",
            "WHATSAPP_VERIFY_TOKEN": "verify",
            "WHATSAPP_GRAPH_URL": f"http://{channel.address}",
        }
        async with worker_process(system, **account) as worker:
            await worker.until_said("worker_starting")
            await Customer(system).write("Hello")
            await within("a call to the channel", channel.heard.wait(), worker.said)

            await check_stops(worker)


async def test_as_soon_as_it_can_be_told(system: System) -> None:
    async with worker_process(system) as worker:
        await worker.until_it_hears(signal.SIGTERM)

        await check_stops(worker)


async def test_told_twice_and_by_both_signals(system: System) -> None:
    async with silence() as model, worker_process(system, PERPLEXITY_BASE_URL=f"http://{model.address}") as worker:
        await Customer(system).write("Hello")
        await within("a question to the model", model.heard.wait(), worker.said)

        worker.process.send_signal(signal.SIGTERM)
        await worker.until_said("worker_stopping")
        worker.process.send_signal(signal.SIGINT)

        await check_stops(worker)
